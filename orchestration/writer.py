"""The resource that a run writes through: settings, ledger, and the place of the only writer."""

# No postponed annotations here: Dagster reads them while it builds the resource.
import os
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager

import dagster as dg
from pydantic import PrivateAttr

from orchestration import pipeline
from orchestration.ledger import Ledger
from orchestration.settings import Settings, read_settings
from orchestration.writer_lock import writer_lock


class Writer(dg.ConfigurableResource):  # type: ignore[type-arg]  # generic over itself
    """Held from the first step of a run to its last, which says that the run `succeeded`.

    The place is taken by the first step that uses it, not when the resource is made: Dagster
    makes a run's resources once more to show its results, when the run is over.
    """

    _run_id: str = PrivateAttr(default="")
    _job: str = PrivateAttr(default="")
    _settings: Settings | None = PrivateAttr(default=None)
    _ledger: Ledger | None = PrivateAttr(default=None)
    _has_succeeded: bool = PrivateAttr(default=False)
    _problems: list[str] = PrivateAttr(default_factory=list)
    _held: ExitStack = PrivateAttr(default_factory=ExitStack)

    @contextmanager
    def yield_for_execution(
        self, context: dg.InitResourceContext
    ) -> Generator["Writer", None, None]:
        """Free the writer's place at the end of the run, however it ended."""
        assert context.run is not None
        self._run_id = context.run.run_id
        self._job = context.run.job_name
        with self._held:
            yield self

    @property
    def settings(self) -> Settings:
        """The settings, read once for a run."""
        if self._settings is None:
            self._settings = read_settings()
        return self._settings

    @property
    def ledger(self) -> Ledger:
        """The ledger; asking for it takes the writer's place and books the start of the run."""
        if self._ledger is None:
            self._ledger = self._take_place(self.settings)
        return self._ledger

    @property
    def run_id(self) -> str:
        return self._run_id

    def note(self, **detail: object) -> None:
        """Add to what the run's record says about it."""
        self.ledger.note_in_run(self._run_id, detail)

    def note_problem(self, problem: str) -> None:
        """Say what must fail the run, but only at its end: what there is can still be published."""
        self._problems.append(problem)
        self.note(problems=self._problems)

    @property
    def problems(self) -> list[str]:
        """What `note_problem` was told in this run."""
        return list(self._problems)

    def succeeded(self) -> None:
        """To be called by the last step of a job."""
        self._has_succeeded = True

    def _take_place(self, settings: Settings) -> Ledger:
        self._held.enter_context(
            writer_lock(
                settings.home,
                task=f"run {self._job}",
                now=settings.clock(),
                wait_seconds=settings.lock_wait_seconds,
            )
        )
        pipeline.clear_scratch(settings)
        ledger = self._held.enter_context(closing(Ledger(settings.ledger_path)))
        ledger.start_run(run_id=self._run_id, job=self._job, pid=os.getpid(), at=settings.clock())
        self._held.callback(self._book_end, ledger, settings)
        return ledger

    def _book_end(self, ledger: Ledger, settings: Settings) -> None:
        ledger.end_run(self._run_id, succeeded=self._has_succeeded, at=settings.clock())
        self._ledger = None
        self._has_succeeded = False
        self._problems = []
