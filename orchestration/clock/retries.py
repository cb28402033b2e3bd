"""Which failures of a step are worth another try: those that time mends.

A failed data test, a wrong setting or a difference in the recount fails at once: it would fail
again, and an operator has to look.
"""

# No postponed annotations here: Dagster reads those of the steps that are wrapped.
import errno
import inspect
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import dagster as dg
import duckdb

from orchestration.storage.writer_lock import WriterBusy
from orchestration.warehouse.rollups import WarehouseUnusable
from orchestration.warehouse.spark.connection import SparkUnavailable

# On runs that `agentstats run` started: whoever called it gets the problem at once, and decides.
STARTED_BY_TAG = "agentstats/started_by"
COMMAND_LINE = "command line"
TAGS_OF_COMMAND_LINE = {STARTED_BY_TAG: COMMAND_LINE, "dagster/max_retries": "0"}

MAX_RETRIES = 2
SECONDS_BETWEEN = 30

_PASSING = (
    sqlite3.OperationalError,
    duckdb.IOException,
    SparkUnavailable,
    WarehouseUnusable,
    WriterBusy,
)
_PASSING_ERRNOS = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.EDQUOT,
    errno.EINTR,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOLCK,
    errno.ENOSPC,
    errno.ESTALE,
    errno.ETIMEDOUT,
}


def retried_where_it_helps(step: Callable[..., Any]) -> Callable[..., Any]:
    """Have Dagster try the step again where disk, database or another writer were in its way.

    Every step takes up what the one before it left, so that doing it twice changes nothing.
    """
    if inspect.isgeneratorfunction(step):

        @wraps(step)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            with _asking_for_another_try(named["writer"]):
                yield from step(*arguments, **named)

    else:

        @wraps(step)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            with _asking_for_another_try(named["writer"]):
                return step(*arguments, **named)

    return wrapped


def passes_with_time(error: BaseException | None) -> bool:
    """Whether the same step may well succeed half a minute later."""
    while error is not None:
        if isinstance(error, dg.Failure):
            return error.allow_retries
        if isinstance(error, OSError) and error.errno in _PASSING_ERRNOS:
            return True
        if isinstance(error, _PASSING):
            return True
        error = error.__cause__
    return False


@contextmanager
def _asking_for_another_try(writer: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        writer.note_failure(error)
        run = dg.OpExecutionContext.get().run
        if passes_with_time(error) and run.tags.get(STARTED_BY_TAG) != COMMAND_LINE:
            raise dg.RetryRequested(
                max_retries=MAX_RETRIES, seconds_to_wait=SECONDS_BETWEEN
            ) from error
        raise
