"""An installation that has had its first run, made once for all tests and copied for each."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from installation import Installation, installation_in

Drop = Callable[[Installation], None]
FirstRun = Callable[[Installation, Drop], None]


def copy_first_run(folder: Path, installation: Installation, drop: Drop) -> None:
    """Give an empty installation what `drop` drops and a run makes of it, at its time.

    The run is made in `folder`, once however many processes ask for it: who needs a run of their
    own calls `installation.run`.
    """
    assert not any(installation.home.iterdir()), "it would not be a first run"
    settings = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("AGENTSTATS_") and name != "AGENTSTATS_HOME"
    }
    what = json.dumps([drop.__module__, drop.__qualname__, settings], sort_keys=True)
    made = folder / hashlib.sha256(what.encode()).hexdigest()
    made.mkdir(parents=True, exist_ok=True)
    with (made / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "done").exists():
            with installation_in(made / "home", installation.now) as first:
                drop(first)
                first.run()
            (made / "done").touch()
    shutil.copytree(made / "home", installation.home, symlinks=True, dirs_exist_ok=True)
