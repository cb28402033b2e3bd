"""The OpenAPI document: FastAPI derives it from the routes, and this completes it."""

import functools
import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.middleware.envelope import MAX_URL_BYTES

Json = dict[str, Any]

EXAMPLES_FILE = Path(__file__).resolve().parent / "guide_examples.json"

STRING = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Json] = {
    "X-Request-ID": {"description": "Echoes the request's if that is sane.", "schema": STRING},
    "X-Scope": {
        "description": "Families of endpoints that the access token opens, with spaces between; "
        "absent where all are open.",
        "schema": STRING,
    },
    "X-Snapshot-Id": {"description": "The snapshot that was read.", "schema": STRING},
    "X-Data-As-Of": {
        "description": "Newest load in the snapshot, ISO 8601; absent before the first.",
        "schema": {"type": "string", "format": "date-time"},
    },
    "X-Covered-From": {
        "description": "First UTC date that retention lets this customer see.",
        "schema": {"type": "string", "format": "date"},
    },
    "X-Time-Zone": {
        "description": "The zone of the dates: `tz`, else the customer's own, else UTC.",
        "schema": STRING,
    },
    "X-Period-Start": {
        "description": "First date of the period in `tz`, whether it has data or not.",
        "schema": {"type": "string", "format": "date"},
    },
    "X-Period-End": {
        "description": "Last date of the period in `tz`.",
        "schema": {"type": "string", "format": "date"},
    },
    "ETag": {"description": "For If-None-Match.", "schema": STRING},
    "Cache-Control": {"description": "Always private.", "schema": STRING},
    "X-RateLimit-Limit": {"description": "Requests a minute.", "schema": COUNT},
    "X-RateLimit-Remaining": {"description": "Requests left in this minute.", "schema": COUNT},
    "X-RateLimit-Reset": {"description": "All are back, Unix seconds.", "schema": COUNT},
    "X-Truncated": {
        "description": "`true` where there are more rows than these, which are the greatest.",
        "schema": STRING,
    },
    "X-Total-Rows": {"description": "How many rows there are, if truncated.", "schema": COUNT},
    "Retry-After": {"description": "Seconds to wait.", "schema": COUNT},
    "Allow": {"description": "Methods that work.", "schema": STRING},
}
SOMETIMES = {"X-Scope", "X-Data-As-Of", "X-Truncated", "X-Total-Rows"}
RATE = ("X-Scope", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
SOURCE = ("X-Snapshot-Id", "X-Data-As-Of", "X-Covered-From")
PERIOD = ("X-Time-Zone", "X-Period-Start", "X-Period-End")
ANSWER_HEADERS = ("X-Request-ID", "ETag", "Cache-Control", *SOURCE, *RATE)

ERRORS: dict[str, tuple[str, tuple[str, ...], Json]] = {
    "401": (
        "The key or token is missing, malformed, unknown, expired or revoked; or two credentials "
        "are of two customers.",
        (),
        {
            "error": "The API key is missing or not valid. Send it as X-API-Key.",
            "error_code": "INVALID_API_KEY",
            "details": {},
        },
    ),
    "403": (
        "The token is right and does not open this: by its scope, or because its agents are some "
        "and this is about the customer as a whole.",
        RATE,
        {
            "error": "This token does not open this: the token's scope does not have feedback.",
            "error_code": "FORBIDDEN",
            "details": {"reason": "the token's scope does not have feedback"},
        },
    ),
    "404": (
        "There is nothing at this address.",
        (),
        {
            "error": "There is nothing at this address. See /docs for what there is.",
            "error_code": "NOT_FOUND",
            "details": {},
        },
    ),
    "405": (
        "Only GET is answered.",
        ("Allow",),
        {
            "error": "This address answers GET only.",
            "error_code": "METHOD_NOT_ALLOWED",
            "details": {},
        },
    ),
    "414": (
        "Path and query are too long.",
        (),
        {
            "error": f"The address is longer than {MAX_URL_BYTES} bytes.",
            "error_code": "URI_TOO_LONG",
            "details": {"allowed_bytes": MAX_URL_BYTES},
        },
    ),
    "422": (
        "A parameter is unknown, repeated, or has a value that is not allowed.",
        RATE,
        {
            "error": "The parameter 'days' is not valid. Allowed: a whole number from 1 to 2557.",
            "error_code": "INVALID_PARAMETER",
            "details": {"parameter": "days", "allowed": "a whole number from 1 to 2557"},
        },
    ),
    "429": (
        "Too many requests of this customer, or wrong keys from this address, in a minute.",
        ("Retry-After",),
        {
            "error": "More than 60 requests in a minute. Try again in 12 s.",
            "error_code": "RATE_LIMIT_EXCEEDED",
            "details": {"limit": 60, "reset_at": "2025-12-03T12:00:12Z", "retry_after": 12},
        },
    ),
    "500": (
        "A failure of ours.",
        (),
        {
            "error": "Something went wrong on our side. Quote the X-Request-ID if you report it.",
            "error_code": "INTERNAL_ERROR",
            "details": {},
        },
    ),
    "503": (
        "No snapshot yet, one that cannot be read or is of an older version, or keys cannot be "
        "read (NOT_READY); the query took too long (QUERY_TIMEOUT) or needs more memory than there "
        "is (BUSY).",
        ("Retry-After",),
        {
            "error": "No data has been published yet. Try again in a minute.",
            "error_code": "NOT_READY",
            "details": {},
        },
    ),
}


def operation_id(route: APIRoute) -> str:
    """The name of the route's function: stable when paths or tags change."""
    return route.name


class DocumentedApp(FastAPI):
    """An app whose OpenAPI document says everything that a client meets."""

    def openapi(self) -> Json:
        """The document, made once."""
        if self.openapi_schema is None:
            _complete(super().openapi())
        document: Json = super().openapi()
        return document


@functools.cache
def _guide_examples() -> Json:
    examples: Json = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    return examples


def _complete(document: Json) -> None:
    components = document["components"]
    components["headers"] = {
        name: {**header, "required": name not in SOMETIMES} for name, header in HEADERS.items()
    }
    components["responses"] = {
        f"Error{status}": {
            "description": description,
            "headers": _headers("X-Request-ID", "Cache-Control", *headers),
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ErrorBody"},
                    "example": example,
                }
            },
        }
        for status, (description, headers, example) in ERRORS.items()
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            _complete_operation(operation)


def _complete_operation(operation: Json) -> None:
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    headers = _headers(*ANSWER_HEADERS, *(PERIOD if "tz" in names else ()))
    for parameter in operation.get("parameters", []):
        _complete_parameter(parameter)
    responses = operation["responses"]
    found = responses["200"]
    found["description"] = "The answer."
    if "format" in names:
        # One type of content, because what clients are generated from has no way to say that a
        # parameter decides between two.
        found["description"] = "The answer; where `format` is `csv`, its rows as text/csv."
    found["headers"] = headers
    example = _guide_examples().get(operation["operationId"])
    if example is not None:
        found["content"]["application/json"]["example"] = example
    operation["responses"] = {
        "200": found,
        "304": {
            "description": "The client has this answer: If-None-Match names its ETag.",
            "headers": headers,
        },
        **{status: {"$ref": f"#/components/responses/Error{status}"} for status in ERRORS},
    }


def _complete_parameter(parameter: Json) -> None:
    schema = parameter["schema"]
    # A description of a parameter is enough once; and a query cannot say null.
    schema.pop("description", None)
    schema.pop("title", None)
    if parameter["name"] == "tz":
        parameter["schema"] = {"type": "string", "examples": schema["examples"]}
        parameter["example"] = schema["examples"][0]
    elif parameter["name"] in ("end", "start"):
        parameter["schema"] = {
            "type": "string",
            "format": "date",
            "pattern": "^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}$",
        }
        parameter["example"] = schema["examples"][0]


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def text_of(app: FastAPI) -> str:
    """The document as it is committed."""
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"
