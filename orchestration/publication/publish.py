"""The snapshot: one new, immutable file, then one atomic move of the pointer to it.

Readers never see the warehouse. They open a file that is never written again, in a folder
whose name says so; so a publication cannot disturb them, nor they it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import duckdb
import structlog

from orchestration.publication import snapshot_file
from orchestration.publication.snapshot_file import Info, NotReusable
from orchestration.settings import Settings
from orchestration.storage.durable import make_folder, sync_folder
from orchestration.storage.ledger import Ledger
from orchestration.warehouse import dbt, published, rollups

CURRENT = "CURRENT"
# DuckDB names a database after its file, some versions after the link to it. Every snapshot has a
# folder of its own, so that file and link have the same name, and the database has it too, whatever
# is published next.
FILE = "agentstats.duckdb"
# By the second link, some versions call the database as its schema is called: `marts.agents` is
# ambiguous then.
_LINKS = (FILE, "marts.duckdb")
SCHEMA_VERSION = 4

log = structlog.get_logger()


@dataclass(frozen=True)
class Snapshot:
    """A published file. `rows` counts those of all its marts; `is_sorted` where it was written
    anew, not as a copy of the last one."""

    snapshot_id: str
    path: Path
    rows: int
    size_bytes: int
    is_sorted: bool


def current_snapshot(snapshots: Path) -> Path | None:
    """The file that CURRENT names, where there is one."""
    try:
        name = (snapshots / CURRENT).read_text().strip()
    except FileNotFoundError:
        return None
    return snapshots / name


def name_of(snapshot: Path, snapshots: Path) -> str:
    """What CURRENT calls the file."""
    return str(snapshot.relative_to(snapshots))


@dataclass(frozen=True)
class Content:
    """What a snapshot is of: the newest load in it, the version of the marts, and the newest
    deletion that it is without."""

    load_seq: int
    marts_version: str
    deletion_seq: int


def content_of_marts(ledger: Ledger, marts_version: str) -> Content:
    """What a snapshot would be of, if it was published now."""
    return Content(ledger.newest_load_seq(), marts_version, ledger.newest_deletion_seq())


def published_content(path: Path | None) -> Content | None:
    """What the snapshot is of; None where there is no readable one."""
    if path is None or not path.exists():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            rows = connection.execute(
                "select load_seq, marts_version, deletion_seq from marts.snapshot_info"
            ).fetchall()
    except duckdb.Error as error:
        log.warning("snapshot_unreadable", path=str(path), reason=str(error))
        return None
    return Content(*rows[0])


def finish_publication(snapshots: Path, *, keep: int) -> None:
    """Do what a publication that was cut off left undone, before or after it moved the pointer."""
    for leftover in snapshots.glob(".*.tmp*"):
        _remove(leftover)
    current = current_snapshot(snapshots)
    if current is None or not current.exists():
        return
    if any(os.path.realpath(snapshots / name) != os.path.realpath(current) for name in _LINKS):
        _link_to(current, snapshots)
    finished_at = current.stat().st_mtime_ns
    for path in _published_in(snapshots):
        if path.stat().st_mtime_ns > finished_at:
            # Whole, but never pointed to: it has no reader.
            _drop(path)
    _drop_old(snapshots, keep=keep)


def drop_snapshots_before(snapshots: Path, deletion_seq: int) -> list[str]:
    """Unlink the snapshots that hold what was deleted since; never the current one.

    Whoever has one open reads on until it is closed. Returns the names.
    """
    current = current_snapshot(snapshots)
    dropped = []
    for path in _published_in(snapshots):
        content = published_content(path) if path != current else None
        if path != current and (content is None or content.deletion_seq != deletion_seq):
            _drop(path)
            dropped.append(name_of(path, snapshots))
    return dropped


def publish(settings: Settings, ledger: Ledger, *, run_id: str, content: Content) -> Snapshot:
    """Write a snapshot of the marts as they are, point CURRENT to it, and drop the oldest ones."""
    now = settings.clock()
    snapshots = settings.snapshots
    make_folder(snapshots)
    info = Info(
        snapshot_id=f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}",
        published_at=now,
        data_as_of=ledger.newest_load_at(now),
        marts_version=content.marts_version,
        load_seq=content.load_seq,
        deletion_seq=content.deletion_seq,
        run_id=run_id,
        schema_version=SCHEMA_VERSION,
        agentstats_version=version("agentstats"),
        duckdb_version=duckdb.__version__,
        engine=settings.engine,
        toxicity_threshold=settings.toxicity_threshold,
        recounted_at=rollups.recounted_at(settings),
        price_book=rollups.price_book(settings),
    )
    path = snapshots / info.snapshot_id / FILE
    folder = snapshots / f".{info.snapshot_id}.tmp"
    folder.mkdir()
    unfinished = folder / FILE
    made_by = _made_by(info)
    rows = _update_last(unfinished, settings, ledger, info, made_by)
    is_sorted = rows is None
    if rows is None:
        rows = snapshot_file.write(unfinished, settings, ledger, info)
    digest = snapshot_file.digest_of(unfinished)
    _order_after_all_others(unfinished, snapshots)
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(folder)
    folder.rename(path.parent)
    _point_to(path, snapshots)
    with rollups.open_warehouse(settings) as warehouse:
        published.note(
            warehouse,
            snapshot=name_of(path, snapshots),
            digest=digest,
            made_by=made_by,
            is_sorted=is_sorted,
        )
    _drop_old(snapshots, keep=settings.snapshots_kept)
    size = path.stat().st_size
    log.info("published", snapshot_id=info.snapshot_id, rows=rows, bytes=size, sorted=is_sorted)
    return Snapshot(info.snapshot_id, path, rows, size, is_sorted)


def _update_last(
    target: Path, settings: Settings, ledger: Ledger, info: Info, made_by: str
) -> int | None:
    """Write the file as a copy of the last one in which what was rebuilt since is replaced.

    Returns its rows; None where every mart has to be written anew, and nothing is at `target`.
    """
    with rollups.open_warehouse(settings) as warehouse:
        last = published.read(warehouse)
    current = current_snapshot(settings.snapshots)
    if last is None or current is None or name_of(current, settings.snapshots) != last.snapshot:
        return None
    try:
        if made_by != last.made_by:
            raise NotReusable("it is of another version of the models or of the program")
        return snapshot_file.update(
            target,
            settings,
            ledger,
            info,
            snapshot_file.Last(current, last.digest, last.rebuilt, last.replaced),
        )
    except (NotReusable, OSError, duckdb.Error) as reason:
        log.info("last_snapshot_not_reused", reason=str(reason), then="every mart is written anew")
    for leftover in target.parent.glob(f"{target.name}*"):
        leftover.unlink()
    return None


def _made_by(info: Info) -> str:
    """What else than the data decides what is in a file, as one text."""
    parts = [
        dbt.project_fingerprint(),
        *(info.agentstats_version, info.duckdb_version, str(info.schema_version)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _point_to(path: Path, snapshots: Path) -> None:
    """Make `path` the current snapshot: one rename for the API, two for analysts."""
    pointer = snapshots / f".{CURRENT}.tmp"
    with pointer.open("w") as file:
        file.write(name_of(path, snapshots) + "\n")
        file.flush()
        os.fsync(file.fileno())
    # The name of the file's folder must be on disk before anything points to it.
    sync_folder(snapshots)
    pointer.rename(snapshots / CURRENT)
    _link_to(path, snapshots)


def _link_to(path: Path, snapshots: Path) -> None:
    """Let the links lead to `path`; each is replaced in one step."""
    for name in _LINKS:
        link = snapshots / f".{name}.tmp"
        link.symlink_to(name_of(path, snapshots))
        link.rename(snapshots / name)
    sync_folder(snapshots)


def _order_after_all_others(unfinished: Path, snapshots: Path) -> None:
    """Let the file be the newest by its time, also where the machine's clock was put back."""
    written = unfinished.stat().st_mtime_ns
    newest = max((path.stat().st_mtime_ns for path in _published_in(snapshots)), default=0)
    os.utime(unfinished, ns=(written, max(written, newest + 1)))


def _drop_old(snapshots: Path, *, keep: int) -> None:
    """Unlink all but the newest files; whoever has one open reads on undisturbed."""
    current = current_snapshot(snapshots)
    by_age = sorted(_published_in(snapshots), key=lambda path: path.stat().st_mtime_ns)
    for path in by_age[:-keep]:
        if path != current:
            _drop(path)


def _published_in(snapshots: Path) -> list[Path]:
    """Every whole snapshot."""
    return sorted(snapshots.glob(f"[0-9]*/{FILE}"))


def _drop(path: Path) -> None:
    """Take a snapshot away. Where that is cut off, its folder is a leftover, and no snapshot."""
    leftover = path.parent.with_name(f".{path.parent.name}.tmp")
    path.parent.rename(leftover)
    _remove(leftover)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
