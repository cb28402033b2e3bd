"""Run as a program: retention that kills its own process before its n-th effect on a file.

`python cut_off.py n`: an effect is a rename, an unlink, a removed folder, a file opened for
writing, or a commit to the ledger. `python cut_off.py 0` runs to the end, and prints how many.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing

from orchestration.lake.compaction import compact
from orchestration.retention.nightly import delete_expired
from orchestration.settings import read_settings
from orchestration.storage.ledger import Ledger
from orchestration.storage.ledger.deletions import DeletionRecords

EFFECTS = {"os.rename", "os.remove", "os.rmdir"}


class Countdown:
    """Kills the process, as `kill -9` does, at the effect whose turn it is."""

    def __init__(self, effects: int) -> None:
        self.left = effects
        self.seen = 0

    def count(self) -> None:
        self.left -= 1
        self.seen += 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in EFFECTS:
            self.count()


def main() -> None:
    countdown = Countdown(int(sys.argv[1]))
    settings = read_settings()
    replace_lake_files = DeletionRecords.replace_lake_files

    def cut_off_around(*arguments: object, **named: object) -> None:
        countdown.count()
        replace_lake_files(*arguments, **named)  # type: ignore[arg-type]  # passed on as they came
        countdown.count()

    DeletionRecords.replace_lake_files = cut_off_around  # type: ignore[method-assign]  # to count it
    with closing(Ledger(settings.ledger_path)) as ledger:
        sys.addaudithook(countdown.see)
        delete_expired(settings, ledger, run_id=f"cut-off-{sys.argv[1]}")
        compact(settings, ledger)
    print(countdown.seen)


if __name__ == "__main__":
    main()
