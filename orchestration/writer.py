"""The resource that a run writes through: settings, ledger, and the place of the only writer."""

# No postponed annotations here: Dagster reads them while it builds the resource.
import os
from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg
from pydantic import PrivateAttr

from orchestration import pipeline
from orchestration.ledger import Ledger
from orchestration.settings import Settings, read_settings
from orchestration.writer_lock import writer_lock


class Writer(dg.ConfigurableResource):  # type: ignore[type-arg]  # generic over itself
    """Held from the first step of a run to its last, which says that the run `succeeded`."""

    _settings: Settings = PrivateAttr()
    _ledger: Ledger = PrivateAttr()
    _run_id: str = PrivateAttr(default="")
    _has_succeeded: bool = PrivateAttr(default=False)

    @contextmanager
    def yield_for_execution(
        self, context: dg.InitResourceContext
    ) -> Generator["Writer", None, None]:
        """Take the writer's place and book the run; free it and book the end, however it ended."""
        assert context.run is not None
        self._settings = settings = read_settings()
        self._run_id = context.run.run_id
        self._has_succeeded = False
        job = context.run.job_name
        with writer_lock(
            settings.home,
            task=f"run {job}",
            now=settings.clock(),
            wait_seconds=settings.lock_wait_seconds,
        ):
            pipeline.clear_scratch(settings)
            self._ledger = Ledger(settings.ledger_path)
            try:
                self._ledger.start_run(
                    run_id=self._run_id, job=job, pid=os.getpid(), at=settings.clock()
                )
                try:
                    yield self
                finally:
                    self._ledger.end_run(
                        self._run_id, succeeded=self._has_succeeded, at=settings.clock()
                    )
            finally:
                self._ledger.close()

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    @property
    def run_id(self) -> str:
        return self._run_id

    def note(self, **detail: object) -> None:
        """Add to what the run's record says about it."""
        self._ledger.note_in_run(self._run_id, detail)

    def succeeded(self) -> None:
        """To be called by the last step of a job."""
        self._has_succeeded = True
