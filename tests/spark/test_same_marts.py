"""Both engines make the same marts, and the API gives the same bytes from either."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from golden_day.test_golden_day import EXPECTED
from golden_day.test_golden_day import FOLDER as GOLDEN_DAY
from recount.answers import ENDPOINTS
from spark.cluster import Cluster
from spark.engine_pair import EnginePair, copy_landing
from traces.test_published_answers import TRACES

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module", params=["golden day", "real traces"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cluster: Cluster
) -> Iterator[EnginePair]:
    """The day worked out by hand, and the real traces: landed, rolled up and published."""
    if request.param == "golden day":
        now, landing = EXPECTED["now"], GOLDEN_DAY / "landing"
    else:
        now = json.loads((TRACES / "expected.json").read_text())["now"]
        landing = TRACES / "landing"
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AGENTSTATS_TRACES", raising=False)
        environment.setenv("AGENTSTATS_ATTRIBUTES", ",".join(EXPECTED["attributes"]))
        pair = EnginePair(tmp_path_factory.mktemp("pair"), environment, now, cluster)
        pair.each(copy_landing(landing))
        pair.run()
        yield pair


def test_all_marts_are_identical(pair: EnginePair) -> None:
    """Row by row and type by type, the counts of deliveries included."""
    assert pair.differences() == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_endpoints_give_the_same_bytes(pair: EnginePair, endpoint: str) -> None:
    """For every customer, in UTC and in a zone that cuts through hours."""
    customers = [row["customer_id"] for row in pair.duckdb.marts("from marts.customers")]
    bodies: dict[str, list[bytes]] = {}
    for engine in pair.engines:
        installation = pair.turn_to(engine)
        with installation.client() as client:
            for customer in customers:
                headers = {"X-API-Key": installation.key(customer)}
                for tz in ("UTC", "Asia/Kathmandu"):
                    answer = client.get(endpoint, params={"days": "120", "tz": tz}, headers=headers)
                    assert answer.status_code == 200
                    bodies.setdefault(engine, []).append(answer.content)
    assert bodies["duckdb"] == bodies["spark"]
