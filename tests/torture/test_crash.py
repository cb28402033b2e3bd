"""The small version of `make torture TORTURE_ARGS=crash`."""

from pathlib import Path

from torture import crash
from torture.generated import Size


def test_a_killed_run_leaves_nothing_behind_and_is_taken_up_by_the_next(tmp_path: Path) -> None:
    """At a few of its steps, and at random moments; the big version kills at all of them."""
    outcome = crash.run(
        tmp_path,
        size=Size(events=600, files=6),
        names=["hourly"],
        step_share=0.005,
        moments=2,
        parallel=1,
    )
    assert outcome.failures == []
    assert outcome.figures["killed"]
