"""The small version of `make torture TORTURE_ARGS=cost`."""

from pathlib import Path

from torture import cost


def test_a_longer_history_changes_nothing_of_what_an_hourly_run_reads(tmp_path: Path) -> None:
    """By the run's own record, and because the other dates' files are not there to be read."""
    outcome = cost.run(tmp_path, histories=(3, 20), events_a_day=3)
    assert outcome.failures == []
