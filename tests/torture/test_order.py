"""The small version of `make torture TORTURE_ARGS=order`."""

from pathlib import Path

from torture import order
from torture.generated import Size


def test_any_order_of_arrival_gives_what_the_recount_says(tmp_path: Path) -> None:
    """Late, repeated, contradicting and bad rows, in two orders: the same marts to the byte."""
    outcome = order.run(tmp_path, size=Size(events=4000, files=18), shuffles=2, files_in_a_run=9)
    assert outcome.failures == []
    assert outcome.figures["recounted events"] == 4000
