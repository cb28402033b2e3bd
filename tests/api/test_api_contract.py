"""The OpenAPI document: complete, committed, and true to the guide."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

from api.app import create_app
from api.openapi import ERRORS, EXAMPLES_FILE, text_of
from api.settings import ServingSettings
from api.stats.changes import Change
from service_fixture import Service

OF_NO_PERIOD = ("/api/stats/account", "/api/stats/budgets", "/api/stats/metrics")
ASKED_FOR = set(Change.model_fields)
COMMITTED = Path(__file__).resolve().parents[2] / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each path with its one operation."""
    for path, by_method in DOCUMENT["paths"].items():
        assert list(by_method) == ["get"]
        yield path, by_method["get"]


def test_the_committed_document_is_the_one_of_the_app() -> None:
    """After a change of the API: `make openapi`."""
    app = create_app(ServingSettings(_env_file=None))
    assert COMMITTED.read_text(encoding="utf-8") == text_of(app), "run `make openapi`"


def test_the_served_document_is_the_committed_one(service: Service) -> None:
    """/openapi.json is OpenAPI 3.1 and needs no key."""
    served = service.client.get("/openapi.json").json()
    assert served == DOCUMENT
    assert served["openapi"].startswith("3.1.")


def test_operation_ids_are_the_names_of_the_guide_examples() -> None:
    """They are part of the contract: generated clients name their methods after them."""
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(set(ids)) == len(ids)
    assert set(json.loads(EXAMPLES_FILE.read_text())) <= set(ids)


def test_every_route_has_every_error_in_the_one_shape() -> None:
    """Each error refers to a response with ErrorBody and an example of its own."""
    for path, operation in operations():
        assert list(operation["responses"]) == ["200", "304", *ERRORS], path
        assert operation["security"] == [{"APIKeyHeader": []}, {"Token": []}]
    for response in DOCUMENT["components"]["responses"].values():
        content = response["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
        assert list(content["example"]) == ["error", "error_code", "details"]


def test_every_field_and_parameter_says_what_it_means() -> None:
    """A description on each property of each body, and on each parameter."""
    schemas = DOCUMENT["components"]["schemas"]
    for name, schema in schemas.items():
        for field, described in schema.get("properties", {}).items():
            if "$ref" in described:  # the thing it refers to describes itself
                described = schemas[described["$ref"].rsplit("/", 1)[1]]
            assert described.get("description"), f"{name}.{field}"
    for path, operation in operations():
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (path, parameter["name"])


def test_the_examples_of_the_guide_fit_their_schemas() -> None:
    """Each validates, and its fields come in the order of the schema, which is the guide's."""
    for path, operation in operations():
        content = operation["responses"]["200"]["content"]["application/json"]
        if "example" not in content:
            continue
        schema = {**content["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(content["example"])
        reference = content["schema"].get("$ref") or content["schema"]["items"]["$ref"]
        properties = DOCUMENT["components"]["schemas"][reference.rsplit("/", 1)[1]]["properties"]
        example = content["example"]
        first = example[0] if isinstance(example, list) else example
        assert list(first) == [field for field in properties if field not in ASKED_FOR], path


def test_generators_of_clients_meet_nothing_that_they_trip_over() -> None:
    """A zone is any text, because a list of names goes stale; an answer has one type of content."""
    for path, operation in operations():
        zones = [each for each in operation.get("parameters", []) if each["name"] == "tz"]
        assert len(zones) == (path not in OF_NO_PERIOD)
        for tz in zones:
            assert set(tz["schema"]) == {"type", "examples"}, path
            assert tz["schema"]["type"] == "string"
        for name, response in operation["responses"].items():
            assert len(response.get("content", {"none": ""})) == 1, (path, name)
