"""Taking back a load that the marts cannot be built with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from orchestration.lake.quarantine import move_to_quarantine
from orchestration.landing.files import LOADED_FOLDER, content_of
from orchestration.landing.land import move_away
from orchestration.settings import Settings
from orchestration.storage.durable import make_folder, sync_folder
from orchestration.storage.ledger import Ledger, Load

log = structlog.get_logger()


def set_load_aside(settings: Settings, ledger: Ledger, load: Load, failure: str) -> Load:
    """Let the load count no more, and move its file to where those are that could not be loaded.

    Its lake files go to the quarantine, where retention and erasure reach them. Returns the load
    as it is in the ledger now.
    """
    failed = _unload(settings, ledger, load, failure)
    log.error("load_set_aside", file=load.source_file, load_id=load.load_id, reason=failure)
    if archived := _archived(settings, load):
        move_away(archived, failed, settings.landing)
    return failed


def put_back_files_with_duplicates(
    settings: Settings, ledger: Ledger, others: Sequence[Load], gone: Load
) -> bool:
    """Put back the files of later loads that have duplicates of events of a load that is gone.

    What they have in common was recorded as the other's. Returns whether there are any.
    """
    days = set(gone.dates_touched)
    found = False
    for load in others:
        has_duplicates = load.duplicates or load.conflicting_duplicates
        if load.stream != gone.stream or not has_duplicates or not days & set(load.dates_touched):
            continue
        archived = _archived(settings, load)
        waiting = settings.landing / load.source_file
        if archived is None or waiting.exists():
            log.warning("file_not_reloaded", file=load.source_file, reason="its file is not there")
            continue
        _unload(settings, ledger, load, f"is landed again, because {gone.source_file} was undone")
        make_folder(waiting.parent)
        archived.rename(waiting)
        sync_folder(waiting.parent)
        found = True
    return found


def _unload(settings: Settings, ledger: Ledger, load: Load, failure: str) -> Load:
    for file in ledger.unload(load, failure):
        move_to_quarantine(settings, file.path)
    return replace(
        load,
        status="failed",
        failure=failure,
        rows_read=0,
        accepted=0,
        duplicates=0,
        rejected=0,
        conflicting_duplicates=0,
        total_mismatches=0,
        received_in_future=0,
        unknown_time_zones=0,
        withdrawn=0,
        rejected_by_reason={},
        lake_files=(),
    )


def _archived(settings: Settings, load: Load) -> Path | None:
    """The file of the load, where it was moved when it had been loaded."""
    path = settings.landing / LOADED_FOLDER / load.source_file
    for candidate in (path, path.with_name(f"{load.load_id}.{path.name}")):
        if candidate.is_file() and content_of(candidate).sha256 == load.sha256:
            return candidate
    return None
