"""Every delivered row is counted once: by customer, time and reason, whatever way it came."""

from __future__ import annotations

import shutil
from datetime import datetime
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installation import Installation, Row, installation_in, rating, scan, usage_event
from orchestration import pipeline
from orchestration.lake.writing import COUNTS_FOLDER
from recount.deliveries import recount
from recount.quality import MEASURES, per_date

NOW = "2026-03-01T12:00:00Z"

ids = st.integers(0, 6)
customers = st.sampled_from([1, 1, 2, 3, "unreadable", None, -4])
# An event keeps its time: the number decides it. The last ones are of no use to a rejected row.
TIMES = [
    "2026-03-01T08:00:00Z", "2026-03-01T08:14:59.999999Z", "2026-02-28T23:59:59Z",
    "2026-02-22T00:00:00Z", "2026-02-21T23:59:59Z", "2026-03-01T12:05:01Z", "no time",
]  # fmt: skip
contents = st.fixed_dictionaries(
    {},
    optional={
        "customer_id": customers,
        "agent_id": st.sampled_from([11, "x", None]),
        "deleted": st.sampled_from([True, True, False, "perhaps"]),
        "received_at": st.sampled_from(
            [
                *("2026-03-01T09:00:00Z", "2026-03-01T12:05:00Z"),
                *("2026-03-01T12:05:00.000001Z", "2027-03-01T12:00:00Z"),
            ]
        ),
    },
)


def _of(make: Any, extra: dict[str, Any]) -> st.SearchStrategy[Row]:
    changes = st.fixed_dictionaries({}, optional=extra)
    return st.builds(
        lambda number, common, own: make(number, **{"occurred_at": TIMES[number], **common, **own}),
        ids, contents, changes,
    )  # fmt: skip


rows = {
    "agent_usage_events": _of(
        usage_event,
        {
            "output_tokens": st.sampled_from([20, -1, "many"]),
            "total_tokens": st.sampled_from([None, 7]),
        },
    ),
    "audit_events": _of(scan, {"toxicity_score": st.sampled_from([0.7, 3])}),
    "feedback_events": _of(rating, {"rating": st.sampled_from([1, 9]), "agent_id": st.none()}),
}
files = st.sampled_from(sorted(rows)).flatmap(
    lambda stream: st.tuples(st.just(stream), st.lists(rows[stream], min_size=1, max_size=8))
)
deliveries = st.lists(st.lists(files, min_size=1, max_size=3), min_size=1, max_size=4)


def counts_in_lake(installation: Installation) -> dict[tuple[str, int | None, str], dict[str, int]]:
    """Counts by stream, customer and date of the folder."""
    found: dict[tuple[str, int | None, str], dict[str, int]] = {}
    for row in installation.lake(COUNTS_FOLDER):
        key = (row["stream"], row["customer_id"], row["occurred_at"].date().isoformat())
        sums = found.setdefault(key, dict.fromkeys(MEASURES, 0))
        for name in MEASURES:
            sums[name] += row[name]
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(deliveries=deliveries, again=st.booleans())
def test_the_counts_are_those_of_a_recount_row_by_row(
    tmp_path_factory: pytest.TempPathFactory,
    deliveries: list[list[tuple[str, list[Row]]]],
    again: bool,
) -> None:
    """Late, twice, under another content, broken in any column: by customer and UTC date."""
    base = tmp_path_factory.getbasetemp() / "counts"
    with installation_in(base, NOW) as installation:
        everything = base / "everything"
        policy = [{"customer_id": 1, "tier": "free"}, {"customer_id": 2, "tier": "pro"}]
        installation.drop("customers", "c.ndjson", policy)
        number = 0
        for run in deliveries + (deliveries[:1] if again else []):
            for stream, written in run:
                number += 1
                installation.drop(stream, f"{number:03d}.ndjson", written)
            # What is delivered, apart from the runs that load it.
            shutil.copytree(base / "landing", everything, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("_loaded"))  # fmt: skip
            with installation.ledger() as ledger:
                pipeline.land(installation.settings, ledger)
        truth = recount(everything, datetime.fromisoformat(NOW))
        found = counts_in_lake(installation)
        assert found == per_date(truth, datetime.fromisoformat(NOW))
        with installation.ledger() as ledger:
            for name in set(MEASURES) - {"delivered"}:
                recorded = sum(
                    getattr(load, name) for load in ledger.loads() if load.stream in rows
                )
                assert recorded == sum(sums[name] for sums in found.values()), name


def test_a_row_that_has_no_usable_time_counts_when_it_was_delivered(
    installation: Installation,
) -> None:
    """No time, one before retention, one to come; and a hostile year makes no folder of its own."""
    installation.drop("customers", "c.csv", [{"customer_id": 1, "tier": "free"}])
    installation.drop(
        "agent_usage_events",
        "a.ndjson",
        [
            usage_event(1, occurred_at=None),
            usage_event(2, occurred_at="2026-02-21T23:59:59.999999Z"),
            usage_event(3, occurred_at="2026-03-01T12:05:00.000001Z"),
            usage_event(4, occurred_at="0300-01-01T00:00:00Z", customer_id=9, agent_id=0),
            usage_event(5, occurred_at="2026-02-22T00:00:00Z", agent_id=0),
        ],
    )
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
    found = {
        (row["customer_id"], row["reason"], row["is_dated"], str(row["occurred_at"]))
        for row in installation.lake(COUNTS_FOLDER)
    }
    assert found == {
        (1, "missing_occurred_at", False, "2026-03-01 12:00:00"),
        (1, "expired", False, "2026-03-01 12:00:00"),
        (1, "occurred_in_future", False, "2026-03-01 12:00:00"),
        (9, "invalid_agent_id", False, "2026-03-01 12:00:00"),
        (1, "invalid_agent_id", True, "2026-02-22 00:00:00"),
    }
    folders = {path.name for path in (installation.settings.lake / COUNTS_FOLDER).iterdir()}
    assert folders == {"occurred_date=2026-02-22", "occurred_date=2026-03-01"}


def test_of_an_id_with_two_times_in_a_date_the_first_row_of_the_file_counts(
    installation: Installation,
) -> None:
    """However many threads read the file: all ids come in one quarter hour, then in the next."""
    installation.drop("customers", "c.csv", [{"customer_id": 1, "tier": "pro"}])
    pairs = 300_000
    folder = installation.settings.landing / "agent_usage_events"
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as writer:
        # The second rows come after all first ones, in the opposite order.
        writer.execute(
            f"""
            copy (
                select 'response-' || id as event_id, 1 as customer_id, 11 as agent_id,
                    1 as agent_type_id, 1 as input_tokens, place as output_tokens,
                    timestamp '2026-03-01 08:00:00' + interval 15 minutes * place as occurred_at
                from (
                    select number % {pairs} as id, number // {pairs} as place
                    from range({2 * pairs}) as numbers (number)
                ) as rows
                order by place, case when place = 0 then id else -id end
            ) to '{folder}/a.parquet' (format parquet, row_group_size 20000)
            """
        )
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
    found = {
        row["occurred_at"].hour * 60 + row["occurred_at"].minute: row["accepted"]
        for row in installation.lake(COUNTS_FOLDER)
    }
    assert found == {8 * 60: pairs, 8 * 60 + 15: 0}


def test_the_same_bytes_in_two_streams_do_not_overwrite_each_other(
    installation: Installation,
) -> None:
    """A load's id is that of its content; the name of a file of counts has the stream too."""
    both = {**usage_event(1), **rating(1)}
    for stream in ("agent_usage_events", "feedback_events"):
        installation.drop(stream, "a.ndjson", [both])
    with installation.ledger() as ledger:
        pipeline.land(installation.settings, ledger)
    assert {row["stream"] for row in installation.lake(COUNTS_FOLDER)} == {
        "agent_usage_events", "feedback_events",
    }  # fmt: skip
