"""The resource that a run writes through: settings, ledger, and the lock of the only writer."""

# No postponed annotations here: Dagster reads them while it builds the resource.
import os
import sqlite3
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from pydantic import PrivateAttr

from orchestration import pipeline
from orchestration.clock.retries import COMMAND_LINE, STARTED_BY_TAG
from orchestration.clock.run_worker import alive_until_exit
from orchestration.monitoring.problems import in_its_words
from orchestration.settings import Settings, read_settings
from orchestration.storage.ledger import Ledger
from orchestration.storage.writer_lock import writer_lock

# What SIGINT and SIGTERM become: Dagster's own inside of a step, Python's around it.
INTERRUPTIONS = (DagsterExecutionInterruptedError, KeyboardInterrupt)


class Writer(dg.ConfigurableResource):  # type: ignore[type-arg]  # generic over itself
    """Open from the first step of a run to its last, which says that the run `succeeded`.

    The writer lock is taken by the first step that uses it, not when the resource is made: Dagster
    makes a run's resources once more to show its results, when the run is over.
    """

    _run_id: str = PrivateAttr(default="")
    _job: str = PrivateAttr(default="")
    _settings: Settings | None = PrivateAttr(default=None)
    _ledger: Ledger | None = PrivateAttr(default=None)
    _has_succeeded: bool = PrivateAttr(default=False)
    _problems: list[str] = PrivateAttr(default_factory=list)
    _set_aside: list[str] = PrivateAttr(default_factory=list)
    _open: ExitStack = PrivateAttr(default_factory=ExitStack)

    @contextmanager
    def yield_for_execution(
        self, context: dg.InitResourceContext
    ) -> Generator["Writer", None, None]:
        """Release the writer lock at the end of the run, however it ended."""
        assert context.run is not None
        self._run_id = context.run.run_id
        self._job = context.run.job_name
        assert context.instance is not None
        if context.run.tags.get(STARTED_BY_TAG) != COMMAND_LINE:
            alive_until_exit(Path(context.instance.root_directory), self._run_id)
        with self._open:
            yield self

    @property
    def settings(self) -> Settings:
        """The settings, read once for a run."""
        if self._settings is None:
            self._settings = read_settings()
        return self._settings

    @property
    def ledger(self) -> Ledger:
        """The ledger; asking for it takes the writer lock and records the start of the run."""
        if self._ledger is None:
            self._ledger = self._begin(self.settings)
        return self._ledger

    @property
    def run_id(self) -> str:
        return self._run_id

    @property
    def job(self) -> str:
        return self._job

    def note(self, **detail: object) -> None:
        """Add to what the run's record says about it."""
        self.ledger.note_in_run(self._run_id, detail)

    def note_problem(self, problem: str) -> None:
        """Say what must fail the run, but only at its end: what there is can still be published."""
        self._problems.append(problem)
        self.note(problems=self._problems)

    @property
    def problems(self) -> list[str]:
        """What `note_problem` was given in this run."""
        return list(self._problems)

    def note_set_aside(self, problems: Sequence[str]) -> None:
        """Say what the run goes on without, and what its end will name."""
        if problems:
            self._set_aside += problems
            self.note(set_aside=self._set_aside)

    @property
    def set_aside(self) -> list[str]:
        """What `note_set_aside` was given in this run."""
        return list(self._set_aside)

    def note_failure(self, error: BaseException) -> None:
        """Say why the run fails, once it has begun."""
        if self._ledger is not None:
            with suppress(sqlite3.Error):
                self.note(failure=in_its_words(error))

    def succeeded(self) -> None:
        """To be called by the last step of a job."""
        self._has_succeeded = True

    def _begin(self, settings: Settings) -> Ledger:
        self._open.enter_context(
            writer_lock(
                settings.home,
                task=f"run {self._job}",
                now=settings.clock(),
                wait_seconds=settings.lock_wait_seconds,
            )
        )
        pipeline.clear_scratch(settings)
        ledger = self._open.enter_context(closing(Ledger(settings.ledger_path)))
        ledger.start_run(run_id=self._run_id, job=self._job, pid=os.getpid(), at=settings.clock())
        self._open.callback(self._record_end, ledger, settings)
        return ledger

    def _record_end(self, ledger: Ledger, settings: Settings) -> None:
        ledger.end_run(
            self._run_id,
            succeeded=self._has_succeeded,
            at=settings.clock(),
            # Dagster ends the run's resources while the exception is on its way out.
            interrupted=isinstance(sys.exception(), INTERRUPTIONS),
        )
        self._ledger = None
        self._has_succeeded = False
        self._problems = []
        self._set_aside = []
