"""From a question to an answer: one snapshot, one window, its headers, and JSON or CSV."""

import csv
import functools
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, TypeAdapter

from api.auth.access import Access
from api.cache.answers import AnsweredQuestion, StoredAnswer
from api.cache.customer_rows import CustomerRows, NotCachedYet
from api.cache.parsed_questions import ParsedQuestion
from api.errors import CacheHit, ErrorBody, Forbidden, NotModified
from api.metrics.declared import declared
from api.middleware.cached_answers import has_already, question_of
from api.parameters import FIRST_DATE, Format, Grouping, Period
from api.questions.engine import Engine
from api.services import Services, own_time_zone, services_of, time_zone_in
from api.snapshots import Lease, Row
from api.stats.changes import Figures, change_of, why_not
from api.stats.shapes import FIRST_PAGE, SHAPES, Page
from api.windows import (
    ONE_DAY,
    QUARTER_HOUR,
    ComparedSpans,
    Comparing,
    Window,
    begun_quarter_hour,
    compared_spans,
    covered_from,
    next_change,
    window,
)

CACHING = {"Cache-Control": "private, no-cache"}  # stored, but asked about each time
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorBody, "description": "No valid API key."},
    403: {"model": ErrorBody, "description": "The token does not open this."},
    422: {"model": ErrorBody, "description": "A parameter is not valid."},
    429: {"model": ErrorBody, "description": "Too many requests in a minute."},
    503: {"model": ErrorBody, "description": "No snapshot yet, or the query took too long."},
}


class Answering:
    """The snapshot and the window that one question is answered from."""

    def __init__(
        self,
        services: Services,
        lease: Lease,
        *,
        access: Access,
        window: Window,
        kept_from: date | None,
        spans: ComparedSpans | None,
        page: Page,
        etag: str,
        may_wait: bool,
    ) -> None:
        self._may_wait = may_wait
        self._services = services
        self._lease = lease
        self._access = access
        self._customer_id = access.customer_id
        self._etag = etag
        self._kept_from = kept_from
        self._spans = spans
        self._page = page
        self._truncated: dict[str, str] = {}
        self.window = window

    @property
    def retention_from(self) -> date | None:
        """The first UTC date that retention shows; None where nothing is deleted."""
        return self._kept_from

    @property
    def own_time_zone(self) -> str | None:
        """The zone of the customer's days where a question names none; None for UTC by default."""
        return own_time_zone(self._lease.snapshot, self._customer_id)

    @property
    def data_as_of(self) -> datetime | None:
        """The newest load in the snapshot, aware; None if nothing was ever loaded."""
        return self._lease.snapshot.data_as_of

    @property
    def price_book(self) -> str | None:
        """Which price book the costs are of; None where that is not known."""
        return self._lease.snapshot.price_book

    @property
    def requests_per_minute(self) -> int:
        """How many requests of the customer are answered in a minute."""
        own = self._lease.snapshot.rate_limits.get(self._customer_id)
        return own or self._services.settings.rate_limit

    @property
    def covered_from(self) -> date:
        """The first UTC date that retention shows."""
        return self._kept_from or FIRST_DATE

    @property
    def whole_window(self) -> Window:
        """The window with what lies before retention: for rows that are not subject to it."""
        asked = self.window
        return window(days=asked.days, tz=asked.tz, end=asked.end, kept_from=None)

    def rows(self, query: str, window: Window | None = None) -> list[Row]:
        """The rows of the shape or query with this name, about the customer who asks."""
        asked = window or self.window
        if query in SHAPES:
            return SHAPES[query](self.engine, asked, FIRST_PAGE).rows
        if self._access.agent_ids is not None:
            raise Forbidden(f"{query} is about the customer as a whole")
        if not self._may_wait:
            raise NotCachedYet
        queries = self._services.queries
        return queries.run(self._lease, query, customer_id=self._customer_id, window=asked)

    def _customer_rows(self) -> CustomerRows:
        return CustomerRows(
            self._services.row_cache,
            self._services.queries,
            self._lease,
            self._customer_id,
            may_wait=self._may_wait,
            agent_ids=self._access.agent_ids,
            place=self._access.place,
        )

    def list_of(self, shape: str) -> list[Row]:
        """The rows of a shape that lists groups: those of the page, the greatest where it is none.

        The answer says how many there are, where it has fewer.
        """
        page = self._page
        found = SHAPES[shape](self.engine, self.window, page)
        if page.limit is None:
            self.say_if_truncated(len(found.rows), max(0, found.in_all - page.offset))
        if len(found.rows) < found.in_all:
            self._truncated["X-Total-Rows"] = str(found.in_all)
        return found.rows

    def say_if_truncated(self, shown: int, in_all: int) -> None:
        """Let the answer's headers say that it has fewer rows than there are, where it has."""
        if shown < in_all:
            self._truncated = {"X-Truncated": "true", "X-Total-Rows": str(in_all)}

    @property
    def engine(self) -> Engine:
        """What answers any question about the customer who asks."""
        return Engine(
            declared(),
            self._services.queries,
            self._lease,
            self._customer_id,
            self._customer_rows(),
            may_wait=self._may_wait,
            agent_ids=self._access.agent_ids,
        )

    def compared_windows(self) -> tuple[str | None, Window | None, Window | None]:
        """Why nothing can be compared; the window as far as it is known; and the earlier one.

        Either the reason is None or the windows are.
        """
        spans = self._spans
        assert spans is not None, "asked without `compare`"
        data_from, first_event_at = self._beginning()
        reason = why_not(
            spans,
            self.window.tz,
            data_as_of=self._lease.snapshot.data_as_of,
            kept_from=self._kept_from,
            data_from=data_from,
            first_event_at=in_utc(first_event_at),
        )
        if reason is not None:
            return reason, None, None
        return None, self.window.of_dates(spans.current), self.window.of_dates(spans.previous)

    def _beginning(self) -> tuple[date | None, datetime | None]:
        """The first date that is whole, and when the first event occurred; None without events.

        For some agents it is their own: when others began is not theirs to see.
        """
        if self._access.agent_ids is None:
            account = self.rows("account")[0]
            return account["data_from"], account["first_event_at"]
        first = self.engine.first_event_at()
        return None if first is None else first.date() + ONE_DAY, first

    def change(self, query: str, figures: Figures) -> dict[str, Any]:
        """The fields of a Change, from two spans of the query; none if none were asked for."""
        if self._spans is None:
            return {}
        reason, current, previous = self.compared_windows()
        now = None if current is None else self.rows(query, current)[0]
        before = None if previous is None else self.rows(query, previous)[0]
        return change_of(figures, self._spans, now, before, reason)

    def json(self, body: BaseModel) -> Response:
        """A JSON object; fields that were not asked for are not in it."""
        return self._response(
            body.model_dump_json(exclude_unset=True, by_alias=True).encode(), "application/json"
        )

    def json_list(self, kind: TypeAdapter[Any], body: Sequence[BaseModel]) -> Response:
        """A JSON array."""
        return self._response(kind.dump_json(body), "application/json")

    def csv(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> Response:
        """A CSV file with a header line; `columns` are the keys of each row, in order."""
        return self._response(
            csv_text(columns, rows).encode(),
            "text/csv; charset=utf-8",
            {"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )

    def written(self, content: bytes, content_type: str, file_name: str | None = None) -> Response:
        """Content that is written already; a file to save if it has a name."""
        saved = {"Content-Disposition": f'attachment; filename="{file_name}"'}
        return self._response(content, content_type, saved if file_name else None)

    def _response(
        self, content: bytes, content_type: str, headers: dict[str, str] | None = None
    ) -> Response:
        answer = StoredAnswer(
            content,
            {
                "ETag": self._etag,
                **CACHING,
                "Content-Type": content_type,
                **self._truncated,
                **(headers or {}),
            },
        )
        self._services.answers.store(
            self._access.place, self._etag, answer, snapshot_id=self._lease.snapshot.snapshot_id
        )
        return _response_of(answer)


@contextmanager
def answering(
    request: Request,
    customer_id: int,
    period: Period,
    *,
    written_as: Format = Format.json,
    grouped_by: Grouping | None = None,
    compared_with: Comparing = Comparing.none,
    question: str = "",
    page: Page = FIRST_PAGE,
) -> Iterator[Answering]:
    """Lease one snapshot while a question is answered, and note what the answer came from.

    `question` is whatever else makes it another question, `page` says which rows of a list.

    Raises NotModified if the client has this very answer, CacheHit if it is in memory,
    NotReady if there is no snapshot.
    """
    services = services_of(request)
    access = _access_of(request, customer_id)
    now = period.asked_at
    with services.snapshots.lease() as lease:
        snapshot = lease.snapshot
        kept_from = covered_from(
            now,
            snapshot.retention_days.get(customer_id),
            snapshot.deleted_before.get(customer_id),
        )
        asked = window(days=period.days, tz=period.tz, end=period.end, kept_from=kept_from)
        spans, valid_until = None, next_change(now, period.tz)
        if compared_with is not Comparing.none:
            spans = compared_spans(
                days=period.days,
                tz=period.tz,
                end=period.end,
                known_until=min(now, snapshot.data_as_of or now),
                comparing=compared_with,
            )
            valid_until = min(valid_until, begun_quarter_hour(now) + QUARTER_HOUR)
        context_headers = {
            "X-Snapshot-Id": snapshot.snapshot_id,
            "X-Covered-From": (kept_from or FIRST_DATE).isoformat(),
        }
        if period.is_asked:
            context_headers |= {
                "X-Time-Zone": period.tz,
                "X-Period-Start": period.start.isoformat(),
                "X-Period-End": period.end.isoformat(),
            }
        if snapshot.data_as_of is not None:
            context_headers["X-Data-As-Of"] = iso_utc(snapshot.data_as_of)
        request.state.answer_headers.update(context_headers)
        etag = _etag(
            services.version,
            snapshot.snapshot_id,
            access.place,
            request.url.path,
            written_as,
            grouped_by,
            question,
            (page.limit, page.offset),
            asked.fingerprint,
            None if spans is None else str(spans),
            context_headers["X-Covered-From"],
        )
        unmodified_headers = {"ETag": etag, **CACHING}
        # Where a snapshot of another zone was published since the zone was looked up, this is the
        # answer to this request alone.
        if not period.is_in_own_zone or period.tz == time_zone_in(snapshot, customer_id):
            services.answers.store_question(
                access.place,
                question_of(request.scope),
                AnsweredQuestion(
                    etag=etag,
                    snapshot_id=snapshot.snapshot_id,
                    valid_from=now,
                    valid_until=valid_until,
                    context_headers=context_headers,
                    unmodified_headers=unmodified_headers,
                    route=request.scope["route"],
                ),
            )
        if has_already(request.headers.getlist("If-None-Match"), etag):
            raise NotModified(unmodified_headers)
        stored = services.answers.find(access.place, etag)
        if stored is not None:
            raise CacheHit(_response_of(stored))
        yield Answering(
            services,
            lease,
            access=access,
            window=asked,
            kept_from=kept_from,
            spans=spans,
            page=page,
            etag=etag,
            may_wait=getattr(request.state, "may_wait", True),
        )


def _access_of(request: Request, customer_id: int) -> Access:
    """What the credentials of the request open. Raises Forbidden where that is not this address."""
    access: Access = request.state.caller.access
    assert access.customer_id == customer_id, "the route asks about another customer"
    refusal = access.refusal_of(request.url.path)
    if refusal is not None:
        raise Forbidden(refusal)
    return access


def from_memory_or_in_a_thread(endpoint: Callable[..., Response]) -> Callable[..., Any]:
    """An endpoint that answers on the event loop where all it needs is in memory.

    To hand a request to a thread and back costs more than to answer it, and only reading may block.
    """

    @functools.wraps(endpoint)
    async def answered(**arguments: Any) -> Response:
        request: Request = arguments["request"]
        services = services_of(request)
        asked: Period = arguments["asked"]
        services.parsed_questions.store(
            question_of(request.scope),
            asked.tz
            if asked.is_in_own_zone
            else time_zone_in(services.snapshots.current, arguments["customer_id"]),
            _parsed_question(endpoint, arguments, request.scope["route"]),
        )
        if not services.snapshots.is_outdated:
            request.state.may_wait = False
            with suppress(NotCachedYet):
                return endpoint(**arguments)
        request.state.may_wait = True
        return await run_in_threadpool(endpoint, **arguments)

    return answered


def _parsed_question(
    endpoint: Callable[..., Response], arguments: dict[str, Any], route: Any
) -> ParsedQuestion:
    period: Period = arguments["asked"]
    others = {
        name: value
        for name, value in arguments.items()
        if name not in ("request", "customer_id", "asked")
    }

    def answer(request: Request, customer_id: int, now: datetime) -> Response:
        request.state.may_wait = False
        asked = replace(period, asked_at=now)
        try:
            return endpoint(request=request, customer_id=customer_id, asked=asked, **others)
        except NotModified as answered:
            return Response(status_code=304, headers=answered.headers)
        except CacheHit as answered:
            return answered.response

    now = period.asked_at
    return ParsedQuestion(answer, route, valid_from=now, valid_until=next_change(now, period.tz))


def _response_of(answer: StoredAnswer) -> Response:
    return Response(answer.content, headers=answer.headers)


def iso_utc(instant: datetime) -> str:
    """An aware instant in ISO 8601, with Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def in_utc(instant: datetime | None) -> datetime | None:
    """An instant as the marts store it, aware; None stays None."""
    return None if instant is None else instant.replace(tzinfo=UTC)


def csv_text(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """CSV of rows; null is an empty cell, and no text cell runs as a formula in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([inert(row[column]) for column in columns])
    return text.getvalue()


def inert(cell: object) -> object:
    """The cell; a text that a spreadsheet would run as a formula gets a quote in front."""
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell


def _etag(*parts: object) -> str:
    return f'"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"'
