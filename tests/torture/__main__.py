"""`make torture`: the big versions, with their figures. Ends with 1 if a claim does not hold."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from fuzz.outcome import Outcome
from torture import bad_files, cost, crash, lake_flips, matrix, one_writer, order, stopped
from torture.generated import Size
from torture.nasty import TYPED

SMALL_HOME = Size(events=2_000, files=12)

# Each takes a folder and the share of the big size that is wanted.
BIG: dict[str, Callable[[Path, float], Outcome]] = {
    "order": lambda folder, share: order.run(
        folder,
        size=Size(events=round(1_000_000 * share), files=max(30, round(300 * share))),
        shuffles=3,
        files_in_a_run=10,
    ),
    "cost": lambda folder, share: cost.run(
        folder, histories=(7, max(8, round(365 * share))), events_a_day=20
    ),
    "crash": lambda folder, share: crash.run(
        folder,
        size=SMALL_HOME,
        names=["hourly"],
        step_share=share,
        moments=round(200 * share),
        parallel=2,
    ),
    # At what they do besides, whatever steps an hourly run has too.
    "crash-of-others": lambda folder, share: crash.run(
        folder,
        size=SMALL_HOME,
        names=["first-run", "nightly", "retention", "erasure"],
        step_share=share,
        moments=round(100 * share),
        parallel=2,
    ),
    "stopped": lambda folder, share: stopped.run(
        folder,
        size=SMALL_HOME,
        terms=round(40 * share),
        limits=[64 * 1024, 512 * 1024, 2 * 1024**2, 3 * 1024**2],
        disks=[0, 1, 4],
        warehouses=list(stopped.WAREHOUSES),
    ),
    "one-writer": lambda folder, share: one_writer.run(folder, rounds=max(1, round(10 * share))),
    "bad-files": lambda folder, share: bad_files.run(
        folder, flips=round(500 * share), damaged=round(2000 * share), bomb_gb=5 * share
    ),
    # Whole, with each column in a file of its own; a share of it in some types of Parquet only.
    "matrix": lambda folder, share: matrix.run(
        folder,
        seed=1,
        types_of_a_column=None if share == 1 else max(1, round(len(TYPED) * share)),
        all_packings=share == 1,
    ),
    "lake-flips": lambda folder, share: lake_flips.run(
        folder, flips=round(400 * share), jobs=max(1, round(16 * share)), seed=1
    ),
}


def main() -> int:
    """Run what was named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BIG], help="runs; default: all")
    parser.add_argument("--share", type=float, default=1.0, help="of the big size; default: 1")
    arguments = parser.parse_args()
    # Its lines, one for each file, are no figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    failures = 0
    for name in arguments.names or BIG:
        print(f"\n{name}", flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            outcome = BIG[name](Path(folder), arguments.share)
        for what, figure in outcome.figures.items():
            print(f"  {what}: {figure}")
        print(f"  took {time.monotonic() - began:.0f} s", flush=True)
        for failure in outcome.failures:
            print(f"  FAILED: {failure}", flush=True)
        failures += len(outcome.failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
