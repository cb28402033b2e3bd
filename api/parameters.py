"""Who asks, and for which days: the shared dependencies of all routes, with limits as data."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Query, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from pydantic import AfterValidator, BeforeValidator

from api.auth.callers import Caller
from api.errors import (
    MOST_ROWS,
    Forbidden,
    InvalidApiKey,
    InvalidParameter,
    KeysUnavailable,
    RateLimitExceeded,
    WrongKeysExceeded,
)
from api.services import DEFAULT_ZONE, services_of, time_zone_in
from api.windows import ONE_DAY, Comparing, today, zone

MIN_DAYS = 1
MAX_DAYS = 2557
FIRST_DATE = date(1970, 1, 1)

MOST_SKIPPED = 1_000_000

ALLOWED = {
    "days": f"a whole number from {MIN_DAYS} to {MAX_DAYS}",
    "start": f"instead of days a date YYYY-MM-DD from {FIRST_DATE} to end, at most {MAX_DAYS} "
    "dates with both",
    "tz": "an IANA time zone name such as Europe/Paris, written exactly so",
    "end": f"a date YYYY-MM-DD from {FIRST_DATE} to today in tz",
    "format": "json or csv",
    "by": "agent, model, agent-type or day",
    "compare": "previous, week, month or none",
    "until": "day, week or month",
    "metrics": "names of /api/stats/metrics, with commas between",
    "metric": "a name of /api/stats/metrics",
    "group_by": "names of dimensions of /api/stats/metrics, with commas between",
    "order_by": "a metric or dimension that is asked for, with or without - before it",
    "granularity": "all, quarter_hour, hour, day, week or month",
    "limit": f"a whole number from 1 to {MOST_ROWS}",
    "offset": f"a whole number from 0 to {MOST_SKIPPED}",
}
PERIOD_PARAMETERS = ("days", "start", "tz", "end")
TABLE_PARAMETERS = (*PERIOD_PARAMETERS, "format")
PAGE_PARAMETERS = ("limit", "offset")
LIST_PARAMETERS = (*PERIOD_PARAMETERS, *PAGE_PARAMETERS)
LISTED_TABLE_PARAMETERS = (*TABLE_PARAMETERS, *PAGE_PARAMETERS)
GROUPED_PARAMETERS = (*LIST_PARAMETERS, "by")
COMPARED_PARAMETERS = (*PERIOD_PARAMETERS, "compare")

api_key_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="`cust_…`; it decides whose data is read."
)
bearer_token = HTTPBearer(
    scheme_name="Token",
    bearerFormat="JWT",
    auto_error=False,
    description="A token that the platform signed, where tokens are accepted; or in its cookie.",
)


def allowed_values(parameter: str) -> str:
    """What a query parameter may be, for people."""
    return ALLOWED.get(parameter, "no such parameter")


async def authenticated_customer(
    request: Request,
    _key: Annotated[str | None, Security(api_key_header)],
    _token: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)],
) -> int:
    """The customer of the key or token, whose rate limit has counted this request.

    A wrong key counts against the address it came from. A right one is never refused because of
    its address, so no client is shut out by a neighbour behind the same proxy.
    Raises InvalidApiKey, WrongKeysExceeded, RateLimitExceeded, Forbidden or KeysUnavailable.
    """
    caller: Caller = request.state.caller
    if caller.problem is not None:
        raise KeysUnavailable(caller.problem)
    if caller.access is None or caller.allowance is None:
        services = services_of(request)
        address = request.client.host if request.client else ""
        # All workers count in one file: waiting for it is not for the event loop.
        failures = await run_in_threadpool(services.wrong_keys.count, address)
        if not failures.allowed:
            raise WrongKeysExceeded(
                limit=failures.limit,
                reset_at=failures.reset_at_text,
                retry_after=failures.retry_after,
            )
        raise InvalidApiKey
    request.state.customer_id = caller.access.customer_id
    request.state.answer_headers.update(caller.allowance.headers)
    if not caller.allowance.allowed:
        raise RateLimitExceeded(
            limit=caller.allowance.limit,
            reset_at=caller.allowance.reset_at_text,
            retry_after=caller.allowance.retry_after,
        )
    refusal = caller.access.refusal_of(request.url.path)
    if refusal is not None:
        raise Forbidden(refusal)
    return caller.access.customer_id


AuthenticatedCustomer = Annotated[int, Depends(authenticated_customer)]


def _digits(text: object) -> object:
    # Stricter than pydantic, which also reads 7.0, +7, 1_0 and spaces.
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise ValueError("not a whole number")
    return text


def _iso_date(text: object) -> object:
    # Stricter than pydantic, which also reads Unix times.
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
        raise ValueError("not a date")
    return text


def _not_too_early(day: date | None) -> date | None:
    if day is not None and day < FIRST_DATE:
        raise ValueError("too early")
    return day


def _zone_name(name: str | None) -> str | None:
    if name is not None:
        zone(name)
    return name


Days = Annotated[
    int,
    Query(
        ge=MIN_DAYS,
        le=MAX_DAYS,
        description="Number of dates that the period covers; not together with `start`.",
    ),
    BeforeValidator(_digits),  # last: the schema loses the limits if it comes before them
]
Tz = Annotated[
    str | None,
    AfterValidator(_zone_name),
    Query(
        description="IANA time zone that says when a date begins: a name of the pinned tzdata "
        "package, written exactly so. Default: the customer's own (`time_zone` of "
        "/api/stats/account), else UTC.",
        examples=["America/Los_Angeles", "Asia/Kathmandu", "Europe/Paris"],
    ),
]
End = Annotated[
    date | None,
    Query(
        description=f"Last date, from {FIRST_DATE} on; default and latest: today in `tz`.",
        examples=["2025-12-03"],
    ),
    AfterValidator(_not_too_early),
    BeforeValidator(_iso_date),
]
Start = Annotated[
    date | None,
    Query(
        description=f"First date, from {FIRST_DATE} on, instead of `days`; with the last date at "
        f"most {MAX_DAYS} dates.",
        examples=["2025-11-04"],
    ),
    AfterValidator(_not_too_early),
    BeforeValidator(_iso_date),
]


Limit = Annotated[
    int | None,
    Query(ge=1, le=MOST_ROWS, description="How many groups have rows; default: all that may."),
    BeforeValidator(_digits),
]
Offset = Annotated[
    int,
    Query(ge=0, le=MOST_SKIPPED, description="How many groups are skipped before them."),
    BeforeValidator(_digits),
]


class Format(StrEnum):
    """How a table is written."""

    json = "json"
    csv = "csv"


TableFormat = Annotated[
    Format, Query(description="`csv` for a spreadsheet: text/csv with a header line.")
]


class Grouping(StrEnum):
    """What the answer is grouped by."""

    agent = "agent"
    model = "model"
    agent_type = "agent-type"
    day = "day"


GroupedBy = Annotated[Grouping, Query(description="What each element of the answer stands for.")]


ComparedWith = Annotated[
    Comparing,
    Query(
        description="`previous`: with equally many dates right before; `week` or `month`: with the "
        "dates a week or a month before. In a month that is too short its last day stands for "
        "those that it lacks. A period that runs into today is compared up to the last quarter "
        "hour that is loaded, with the earlier one up to the same time of day."
    ),
]


@dataclass(frozen=True)
class Period:
    """The dates that were asked for. `end` is never after the date of `asked_at` in `tz`."""

    days: int
    tz: str
    end: date
    asked_at: datetime
    """The one reading of the clock that all of an answer goes by, aware and in UTC."""
    is_asked: bool = True
    """False where the question is about no period: the dates are today's then."""
    is_in_own_zone: bool = False
    """Whether no `tz` was given, so that it is the zone of the customer who asks."""

    @property
    def start(self) -> date:
        """The first of the dates."""
        return self.end - ONE_DAY * (self.days - 1)


def period(
    *,
    default_days: int,
    parameters: tuple[str, ...] = PERIOD_PARAMETERS,
    repeatable: tuple[str, ...] = (),
) -> Callable[..., Awaitable[Period]]:
    """The dependency that reads days or start, tz and end; refuses what is not in `parameters`.

    Each may be given once, but for the `repeatable` ones, which are not among them; one of those
    that ends with a point stands for all that begin with it.
    """

    async def asked_period(
        request: Request,
        customer_id: AuthenticatedCustomer,  # first, so that no key means 401 and nothing else
        days: Days = default_days,
        tz: Tz = None,
        end: End = None,
        start: Start = None,
    ) -> Period:
        _each_known_and_once(request, parameters, repeatable)
        zone_of_dates = await _own_zone(request, customer_id) if tz is None else tz
        now = services_of(request).settings.clock()
        latest = today(now, zone_of_dates)
        if end is not None and end > latest:
            raise InvalidParameter("end", ALLOWED["end"], problem=f"is after today, {latest}")
        last = latest if end is None else end
        if start is not None:
            if "days" in request.query_params:
                raise InvalidParameter("start", ALLOWED["start"], problem="is given beside days")
            days = _dates_from(start, last)
        return Period(
            days=days,
            tz=zone_of_dates,
            end=last,
            asked_at=now,
            is_in_own_zone=tz is None,
        )

    return asked_period


def of_today(parameters: tuple[str, ...]) -> Callable[..., Awaitable[Period]]:
    """The dependency that reads tz alone, for what is asked about today; refuses what is not in
    `parameters`."""

    async def asked_today(
        request: Request,
        customer_id: AuthenticatedCustomer,  # first, so that no key means 401 and nothing else
        tz: Tz = None,
    ) -> Period:
        _each_known_and_once(request, parameters)
        zone_of_dates = await _own_zone(request, customer_id) if tz is None else tz
        now = services_of(request).settings.clock()
        return Period(
            days=1,
            tz=zone_of_dates,
            end=today(now, zone_of_dates),
            asked_at=now,
            is_in_own_zone=tz is None,
        )

    return asked_today


async def _own_zone(request: Request, customer_id: int) -> str:
    """The time zone of the customer, by the newest snapshot, which is opened first if need be."""
    snapshots = services_of(request).snapshots
    if snapshots.current is None or snapshots.is_outdated:
        await run_in_threadpool(snapshots.refresh)
    return time_zone_in(snapshots.current, customer_id)


def _dates_from(start: date, end: date) -> int:
    if start > end:
        raise InvalidParameter("start", ALLOWED["start"], problem=f"is after the end, {end}")
    days = (end - start).days + 1
    if days > MAX_DAYS:
        raise InvalidParameter(
            "start", ALLOWED["start"], problem=f"makes a period of {days} dates up to {end}"
        )
    return days


async def no_period(request: Request, customer_id: AuthenticatedCustomer) -> Period:
    """Today in UTC, for what is asked without a period; refuses any parameter."""
    _each_known_and_once(request, ())
    now = services_of(request).settings.clock()
    latest = today(now, DEFAULT_ZONE)
    return Period(days=1, tz=DEFAULT_ZONE, end=latest, asked_at=now, is_asked=False)


def _each_known_and_once(
    request: Request, parameters: tuple[str, ...], repeatable: tuple[str, ...] = ()
) -> None:
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if any(name == each or (each[-1] == "." and name.startswith(each)) for each in repeatable):
            continue
        if name not in parameters:
            allowed = f"only {', '.join(parameters)}" if parameters else "no parameter"
            raise InvalidParameter(name, allowed, problem="is not known here")
        if name in seen:
            raise InvalidParameter(name, f"{ALLOWED[name]}, once", problem="is given twice")
        seen.add(name)
