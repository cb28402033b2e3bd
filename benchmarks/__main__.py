"""`make bench`: the benchmarks that were named, or all. Ends with 1 if a goal is not met."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from api.installation import parsed_ahead
from benchmarks import (
    api_history,
    api_peers,
    api_repeated,
    api_tokens,
    forecasts,
    growth,
    history,
    hourly_peers,
    landing,
    nothing_new,
    publishing,
    rebuild,
    roll_up,
    storage,
)
from benchmarks.pictures import draw
from benchmarks.report import Report, read_all
from orchestration.warehouse import dbt

# Each takes an empty folder and the share of the full size that is wanted.
BENCHMARKS: dict[str, Callable[[Path, float], Report]] = {
    "api": api_peers.run,
    "api-repeated": api_repeated.run,
    "api-history": api_history.run,
    "api-tokens": api_tokens.run,
    "nothing-new": nothing_new.run,
    "landing": landing.run,
    "roll-up": roll_up.run,
    "hourly-peers": hourly_peers.run,
    "history": history.run,
    "publish": publishing.run,
    "rebuild": rebuild.run,
    "storage": storage.run,
    "growth": growth.run,
    "forecasts": forecasts.run,
}


def main() -> int:
    """Run them, and write what they found to `benchmarks/results/`."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], help="default: all")
    parser.add_argument("--share", type=float, default=1.0, help="of the full size; default: 1")
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    arguments = parser.parse_args()
    if arguments.draw:
        for report in read_all():
            if report.name in (arguments.names or BENCHMARKS):
                print(*draw(report), sep="\n")
        return 0
    # A wheel comes with it; parsing is no part of what is measured.
    dbt.parse_into(parsed_ahead())
    missed = 0
    for name in arguments.names or BENCHMARKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            report = BENCHMARKS[name](Path(folder), arguments.share)
        report.write()
        print(f"\n{report.title}, {time.monotonic() - began:.0f} s")
        for figure in report.figures:
            missed += figure.holds is False
            mark = {True: "met", False: "MISSED", None: ""}[figure.holds]
            print(
                f"  {figure.ratio:8.3f}x  {figure.goal:8}{mark:7} {figure.what} / {figure.against}"
            )
        for curve in report.curves:
            print(f"  slope {curve.slope():.2f}: CPU by {curve.of}; {curve.points}")
        for what, value in report.measured.items():
            print(f"  {what}: {value}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
