"""`make fuzz`: the big versions, with their figures. Ends with 1 if a claim does not hold."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fuzz import (
    access,
    isolation,
    load,
    neighbour,
    schema,
    sockets,
    swaps,
    wrong_keys,
    wrong_tokens,
)
from fuzz.outcome import Outcome

BIG: dict[str, Callable[[Path], Outcome]] = {
    "wrong-keys": lambda home: wrong_keys.run(home, requests=10_000, addresses=12_000),
    "wrong-tokens": lambda home: wrong_tokens.run(home, requests=20_000),
    "access": lambda home: access.run(home, requests=120_000),
    "trickling-sockets": lambda home: sockets.trickle(home, sockets=500),
    "unread-answers": lambda home: sockets.leave_unread(home, sockets=500),
    "swaps": lambda home: swaps.run(home, count=100, workers=2),
    "isolation": lambda _home: isolation.run(100),
    "load": lambda home: load.run(home, customers=2_000, days=90, requests=500),
    "neighbour": lambda home: neighbour.run(home, agents=200_000, seconds=60),
    "schema": lambda home: schema.run(home, examples=1_000, at_least=100_000, workers=2),
}


def main() -> int:
    """Run what was named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BIG], help="runs; default: all")
    failures = 0
    for name in parser.parse_args().names or BIG:
        print(f"\n{name}", flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            outcome = BIG[name](Path(folder))
        for what, figure in outcome.figures.items():
            print(f"  {what}: {figure}")
        print(f"  took {time.monotonic() - began:.0f} s", flush=True)
        for failure in outcome.failures:
            print(f"  FAILED: {failure}", flush=True)
        failures += len(outcome.failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
