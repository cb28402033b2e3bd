"""The process that `torture` kills: pull and land, again and again, as hourly runs do."""

from __future__ import annotations

import sys
import time
from contextlib import closing

from orchestration import pipeline
from orchestration.cli.output import log_to_stderr
from orchestration.settings import read_settings
from orchestration.storage.ledger import Ledger
from orchestration.storage.writer_lock import writer_lock


def main() -> None:
    """Until killed. Prints a line for each pull: rows pulled, and problems."""
    log_to_stderr()
    while True:
        settings = read_settings()
        with (
            writer_lock(settings.home, task="torture", now=settings.clock(), wait_seconds=60),
            closing(Ledger(settings.ledger_path)) as ledger,
        ):
            pipeline.clear_scratch(settings)
            done = pipeline.pull(settings, ledger)
            pipeline.land(settings, ledger)
        print(done.rows, *done.problems, flush=True)
        time.sleep(float(sys.argv[1]))


if __name__ == "__main__":
    main()
