"""Most tests run the steps of a job alone: that this is what Dagster runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from installation import installation_in, rating, scan, usage_event

NOW = "2026-03-01T12:00:00Z"
# What differs by nature: a random part, a size of a file that DuckDB laid out, Dagster's own.
OF_ONE_RUN = {"snapshot_id", "lake_read", "dagster_runs_deleted"}


def everything_of(home: Path, *, in_dagster: bool) -> tuple[Any, ...]:
    """What a rebuild and a nightly run leave: marts, files, and what each run says of itself."""
    with installation_in(home, NOW) as installation:
        old = "2026-01-01T08:00:00Z"
        installation.drop(
            "agent_usage_events", "a.ndjson", [usage_event(1), usage_event(2), usage_event(3)]
        )
        installation.drop("agent_usage_events", "b.ndjson", [usage_event(4, event_id=None)])
        installation.drop("agent_usage_events", "c.ndjson", [usage_event(5, occurred_at=old)])
        installation.drop_bytes("audit_events", "broken.parquet", b"not what its name says")
        installation.drop("audit_events", "a.ndjson", [scan(1)])
        installation.drop("feedback_events", "a.ndjson", [rating(1)])
        set_aside = installation.run(full_refresh=True, in_dagster=in_dagster).set_aside
        customer = {"customer_id": 1, "tier": "starter", "updated_at": NOW}
        installation.drop("customers", "c.csv", [customer])
        installation.run(in_dagster=in_dagster)
        installation.run("nightly", in_dagster=in_dagster)
        with installation.ledger() as ledger:
            runs = [
                (
                    run.job,
                    run.status,
                    {name: value for name, value in run.detail.items() if name not in OF_ONE_RUN},
                )
                for run in ledger.runs(9)
            ]
        # Merged files are named anew by each run.
        files = sorted(
            str(path.parent.relative_to(home))
            for folder in ("landing", "lake")
            for path in (home / folder).rglob("*")
        )
        marts = installation.fingerprints()
        del marts["retention_ledger"]
        deletions = installation.marts(
            "select * exclude (run_id) from marts.retention_ledger order by all"
        )
        installation.settings.ledger_path.write_bytes(b"not a ledger")
        outcome = installation.try_run(in_dagster=in_dagster)
        problem = str(outcome.problem).replace(str(home), "the home folder")
        return runs, files, marts, set_aside, problem, deletions


def test_the_steps_alone_leave_what_dagsters_run_leaves(tmp_path: Path) -> None:
    """Marts, files, and what each run says, of a rebuild, a deletion, a recount and a failure."""
    by_dagster = everything_of(tmp_path / "by_dagster", in_dagster=True)
    runs, _, _, set_aside, problem, deletions = by_dagster
    assert [run[:2] for run in runs] == [
        ("nightly", "succeeded"),
        ("hourly", "succeeded"),
        ("hourly", "succeeded"),
    ]
    assert len(deletions) > 0 and len(set_aside) == 1 and "damaged" in problem
    assert everything_of(tmp_path / "alone", in_dagster=False) == by_dagster
