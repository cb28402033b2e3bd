"""The small version of `make torture TORTURE_ARGS=lake-flips`."""

from pathlib import Path

from torture import lake_flips


def test_no_flipped_bit_of_the_lake_is_read(tmp_path: Path) -> None:
    """In files of every folder: a build, a recount and a job name the file and publish nothing."""
    outcome = lake_flips.run(tmp_path, flips=24, jobs=1, seed=1)
    assert outcome.failures == []
