"""The big versions, with figures: `make source-torture` (SOURCE_ARGS=torture or first-pull).

torture     ten minutes of a writer with 8 connections, whose transactions last up to 60 s, abort
            and update, while a puller that is killed at random pulls every few seconds
first-pull  5,000,000 rows of first pull, against psql's COPY of the same table to a file
"""

from __future__ import annotations

import argparse
import signal
import sys

from source import first_pull, torture


def main() -> None:
    """Run one of them, or both; end with 1 where something is lost or doubled."""
    parser = argparse.ArgumentParser(
        prog="make source-torture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("which", nargs="*", default=["torture", "first-pull"])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    # Asked to end, it still stops the server that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    is_exact = True
    if "torture" in given.which:
        is_exact &= torture.run(minutes=given.minutes, seed=given.seed)
    if "first-pull" in given.which:
        is_exact &= first_pull.run(rows=given.rows, rounds=given.rounds)
    if not is_exact:
        sys.exit(1)


if __name__ == "__main__":
    main()
