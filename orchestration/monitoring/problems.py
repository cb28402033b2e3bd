"""What went wrong with a run, as whoever noticed it says, and what it published without."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import Any

from orchestration.contract.shown import inert_line
from orchestration.contract.streams import STREAMS
from orchestration.settings import Settings
from orchestration.storage.full_disk import reports_no_room
from orchestration.storage.ledger import Load

# Fewer rejected rows than this are judged only where nothing else came.
_ROWS_JUDGED = 100
_NAMED = 5
_NOT_OURS_TO_WRITE = {errno.EACCES, errno.EPERM, errno.EROFS}
_COUNTED = (
    ("rows_pulled", "rows pulled"),
    ("files_loaded", "files loaded"),
    ("files_failed", "files set aside"),
    ("rows_accepted", "rows accepted"),
    ("rows_duplicate", "duplicates"),
    ("rows_rejected", "rejected"),
    ("rows_deleted", "rows deleted"),
    ("events_recounted", "events recounted"),
)


def in_its_words(error: BaseException) -> str:
    """What went wrong, without the layers of Dagster around it."""
    while not (description := getattr(error, "description", None)):
        if error.__cause__ is None or type(error).__module__.partition(".")[0] != "dagster":
            break
        error = error.__cause__
    if isinstance(error, OSError) and error.errno in _NOT_OURS_TO_WRITE:
        return (
            f"{error.strerror}: {error.filename}; AGENTSTATS_HOME must be a folder that this user "
            "may write to"
        )
    # SQLAlchemy, below Dagster, adds its query and where to read about it.
    problem = str(description or getattr(error, "orig", None) or error) or type(error).__name__
    if reports_no_room(problem):
        return f"{problem}: make room on the disk, and run it again; nothing is lost"
    if "disk I/O error" in problem:
        # So says SQLite of a disk that is full, too.
        return f"{problem}: see that the disk has room and is sound, and run it again"
    return problem


def files_set_aside(loads: Sequence[Load]) -> list[str]:
    """One sentence for each file that was not loaded."""
    return [
        f"{inert_line(load.source_file)} was set aside: {load.failure}"
        for load in loads
        if load.failure
    ]


def policies_invalid(problems: Mapping[int, str]) -> list[str]:
    """One sentence for each customer of whom nothing is deleted, because its policy is invalid."""
    return [
        f"nothing of customer {customer_id} is deleted, because its {problem}"
        for customer_id, problem in problems.items()
    ]


def streams_rejected(settings: Settings, loads: Sequence[Load]) -> list[str]:
    """One sentence for each stream of which more rows were rejected than may be.

    Rows past their retention are no fault of the sender's, and duplicates say nothing of it.
    """
    found = []
    for stream in STREAMS:
        of_stream = [load for load in loads if load.stream == stream.name]
        accepted = sum(load.accepted for load in of_stream)
        rejected, share = rejected_share(of_stream)
        if (
            rejected
            and share > settings.reject_share
            and (rejected >= _ROWS_JUDGED or not accepted)
        ):
            found.append(
                f"{rejected} of {accepted + rejected} rows of {stream.name} were rejected "
                f"({share:.1%}), more than AGENTSTATS_REJECT_SHARE={settings.reject_share:g}"
            )
    return found


def rejected_share(loads: Sequence[Load]) -> tuple[int, float]:
    """Rows rejected, those past their retention aside, and their part of them and the accepted."""
    rejected = sum(load.rejected - load.rejected_by_reason.get("expired", 0) for load in loads)
    judged = rejected + sum(load.accepted for load in loads)
    return rejected, rejected / judged if judged else 0.0


def what_was_done(detail: Mapping[str, Any]) -> str:
    """The record of a run that published, in one line."""
    done = [f"{detail[name]} {what}" for name, what in _COUNTED if detail.get(name)]
    published = detail.get("snapshot_id")
    line = ", ".join(done) if done else "nothing new"
    line += f"; published {published}" if published else "; what is published stays as it is"
    set_aside = detail.get("set_aside")
    return f"{line}; but {named(set_aside)}" if set_aside else line


def named(problems: Sequence[str]) -> str:
    """Several problems in one line: the first of them, and how many more there are."""
    more = [f"and {len(problems) - _NAMED} more"] if len(problems) > _NAMED else []
    return "; ".join([*problems[:_NAMED], *more])
