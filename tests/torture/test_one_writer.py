"""The small version of `make torture TORTURE_ARGS=one-writer`."""

from pathlib import Path

from torture import one_writer


def test_of_two_runs_one_writes_and_the_other_names_it(tmp_path: Path) -> None:
    """From Dagster and the command line, in both orders; a stopped run does not harm the API."""
    assert one_writer.run(tmp_path, rounds=1, seconds_between=1).failures == []
