"""A run that counts its steps, and kills itself, is killed or stopped at one of them.

The product knows nothing of it. This process loads Dagster and dbt once, and then forks a child
for each run: a process of its own, which does what `agentstats run` does and can be killed like
one, without the seconds that loading takes. It reads orders from standard input, one a line in
JSON, and answers each with the child's number and then with how it ended.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from api.installation import parsed_ahead
from orchestration.warehouse import dbt

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Ended:
    """How a run ended: `status` is its exit code, or minus the signal that killed it."""

    status: int
    steps: list[str]
    output: str


class Runs:
    """The process that forks the runs of a home folder; used for one run at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # The definitions are made of it; the process that forks must not have run dbt itself.
        dbt.parse_into(parsed_ahead())
        self._steps, self._output = folder / "steps", folder / "output"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "torture.steps"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("AGENTSTATS_")},
                "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            },
        )

    def close(self) -> None:
        """End the process; it has no run then."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def start(
        self,
        home: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        at: int = 0,
        by: int = signal.SIGKILL,
        file_bytes: int = 0,
    ) -> int:
        """Start `agentstats <arguments>`; returns its process number.

        It sends itself the signal `by` at step number `at`, from 1, and fails to write files
        beyond `file_bytes`, where those are not 0.
        """
        self._steps.unlink(missing_ok=True)
        self._tell(
            home=str(home),
            arguments=arguments,
            environment=dict(environment or {}),
            at=at,
            by=int(by),
            file_bytes=file_bytes,
            steps=str(self._steps),
            output=str(self._output),
        )
        return self._hear()

    def wait(self) -> Ended:
        """Wait for the run that was started."""
        status = self._hear()
        return Ended(status, self.steps_so_far(), self._output.read_text(errors="replace"))

    def steps_so_far(self) -> list[str]:
        """The steps that the run has taken."""
        return self._steps.read_text().splitlines() if self._steps.exists() else []

    def has_ended(self) -> bool:
        """Whether the run is over, so that its process number may be another's by now."""
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def run(self, home: Path, *arguments: str, **options: Any) -> Ended:
        """Start a run, and wait for it."""
        self.start(home, *arguments, **options)
        return self.wait()

    def _tell(self, **order: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> int:
        assert self._process.stdout
        return int(self._process.stdout.readline())


@dataclass
class _Steps:
    """Names each step that leaves something behind, before and after it."""

    home: str
    file: io.TextIOBase
    at: int
    by: int
    taken: int = field(default=0)
    run: int = field(default_factory=os.getpid)

    def step(self, name: str) -> None:
        if os.getpid() != self.run:
            # A process that reads files writes nowhere but to the scratch folder.
            return
        self.taken += 1
        # Numbers and hashes out, so that the same step has the same name in every run.
        name = re.sub(r"[0-9a-f]{8,}(-[0-9a-f]+)*|\d{8}T\d{6}Z|\d{4}-\d\d-\d\d", "*", name)
        self.file.write(name.replace(self.home, "") + "\n")
        self.file.flush()
        if self.taken == self.at:
            os.kill(os.getpid(), self.by)

    @contextlib.contextmanager
    def around(self, name: str) -> Any:
        self.step(f"before {name}")
        yield
        self.step(f"after {name}")

    def watch(self) -> None:
        """Watch the functions that leave something behind."""
        self._watch_files()
        self._watch_ledger()
        self._watch_databases()
        self._watch_dbt()

    def _watch_files(self) -> None:
        for name in ("rename", "replace", "unlink", "symlink", "mkdir", "rmdir", "fsync"):
            setattr(os, name, self._watched(name, getattr(os, name)))
        names = {".tmp", "reason.txt"}

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event != "open" or not isinstance(arguments[0], str):
                return
            path, mode = arguments[0], arguments[1]
            is_ours = path.startswith(self.home) and any(path.endswith(name) for name in names)
            if is_ours and mode and "w" in mode:
                self.step(f"before open {path}")

        sys.addaudithook(hook)

    def _watched(self, name: str, function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            target = arguments[1] if name in ("rename", "replace", "symlink") else arguments[0]
            if isinstance(target, int):
                target = Path(f"/proc/self/fd/{target}").readlink()
            # Not what Dagster keeps for itself, nor dbt.
            path = str(target).removeprefix(self.home)
            if path == str(target) or path.startswith(("/.dagster", "/.dbt")):
                return function(*arguments, **options)
            with self.around(f"{name} {path}"):
                return function(*arguments, **options)

        return call

    def _watch_ledger(self) -> None:
        from orchestration.storage.ledger import connection as ledger_connection

        around = self.around

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if sql not in ("begin immediate", "commit"):
                    return super().execute(sql, *parameters)
                with around(f"ledger {sql}"):
                    return super().execute(sql, *parameters)

        def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
            return sqlite3.connect(*arguments, **options, factory=Connection)

        vars(ledger_connection)["sqlite3"] = SimpleNamespace(
            **{**vars(sqlite3), "connect": connect}
        )

    def _watch_databases(self) -> None:
        import duckdb

        from orchestration.storage import database

        around = self.around

        class Connection:
            """A DuckDB connection of which the statements that change something are steps."""

            def __init__(self, connection: Any) -> None:
                self._connection = connection

            def __getattr__(self, name: str) -> Any:
                return getattr(self._connection, name)

            def cursor(self) -> Any:
                return Connection(self._connection.cursor())

            def execute(self, sql: str, *parameters: Any) -> Any:
                words = sql.split()
                if words[0] not in ("copy", "commit", "checkpoint", "attach", "detach") and (
                    "snapshot.marts" not in sql
                    or words[0] not in ("create", "drop", "delete", "insert")
                ):
                    return self._connection.execute(sql, *parameters)
                what = next((word for word in words if "snapshot.marts" in word), "")
                with around(f"database {words[0]} {what}".rstrip()):
                    return self._connection.execute(sql, *parameters)

        def connect(*arguments: Any, **options: Any) -> Any:
            return Connection(duckdb.connect(*arguments, **options))

        vars(database)["duckdb"] = SimpleNamespace(**{**vars(duckdb), "connect": connect})

    def _watch_dbt(self) -> None:
        from dbt.cli import main

        def noted(event: Any) -> None:
            if event.info.name in ("NodeStart", "NodeFinished"):
                moment = "before" if event.info.name == "NodeStart" else "after"
                self.step(f"{moment} dbt {event.data.node_info.unique_id}")

        runner = main.dbtRunner
        vars(main)["dbtRunner"] = partial(runner, callbacks=[noted])


def _child(order: Mapping[str, Any]) -> None:
    """Become the run. Never returns."""
    import resource

    from orchestration import cli

    status = 70
    try:
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(order["environment"], AGENTSTATS_HOME=order["home"])
        file = os.fdopen(os.open(order["steps"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w")
        steps = _Steps(order["home"], file, order["at"], order["by"])
        steps.watch()
        if order["file_bytes"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"], -1))
        sys.argv = ["agentstats", *order["arguments"]]
        cli.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve() -> None:
    """Load what a run needs, then fork a run for each order. No database is opened here: its
    threads would not come along."""
    import warnings

    warnings.simplefilter("ignore")
    import dagster  # noqa: F401  # loaded for the children
    import dbt.adapters.duckdb
    import dbt.cli.main  # noqa: F401  # loaded for the children

    from orchestration import cli, definitions  # noqa: F401  # loaded for the children
    from orchestration.cli import in_process  # noqa: F401  # loaded for the children

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _child(json.loads(line))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
