"""The small version of `make torture TORTURE_ARGS=stopped`."""

from pathlib import Path

from torture import stopped
from torture.generated import Size


def test_signals_full_disks_and_broken_warehouses_are_survived(tmp_path: Path) -> None:
    """Readers keep the last snapshot, no file is blamed, and one plain run makes it whole."""
    outcome = stopped.run(
        tmp_path,
        size=Size(events=600, files=6),
        terms=1,
        limits=[64 * 1024],
        disks=[],
        warehouses=["has damaged blocks", "is truncated"],
    )
    assert outcome.failures == []
