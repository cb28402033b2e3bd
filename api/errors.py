"""Errors: one table from exception to status and code, and one shape for all of them."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MOST_ROWS = 10_000
"""Rows that an answer has at most."""


class ErrorBody(BaseModel):
    """The body of every error."""

    error: str = Field(description="What is wrong, for people.")
    error_code: str = Field(
        description="What is wrong, for programs.", examples=["INVALID_PARAMETER"]
    )
    details: dict[str, Any] = Field(description="What to change; empty if there is no more to say.")


class ApiError(Exception):
    """An error that a client gets as its answer."""

    def __init__(
        self,
        message: str,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}
        self.headers = headers or {}


class InvalidApiKey(ApiError):
    """No key, or one that is malformed, unknown, expired or revoked: a client cannot tell which."""

    def __init__(self) -> None:
        super().__init__("The API key is missing or not valid. Send it as X-API-Key.")


class Forbidden(ApiError):
    """The token is right, and does not open this: by its scope, or by its agents."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"This token does not open this: {reason}.", {"reason": reason})


class InvalidParameter(ApiError):
    """A query parameter is unknown, repeated, or has a value that is not allowed."""

    def __init__(self, parameter: str, allowed: str, *, problem: str = "is not valid") -> None:
        shown = parameter[:64]
        super().__init__(
            f"The parameter {shown!r} {problem}. Allowed: {allowed}.",
            {"parameter": shown, "allowed": allowed},
        )


class TooLarge(ApiError):
    """The answer would have more rows than an answer may have."""

    def __init__(self, rows: int, what: str, most: int) -> None:
        super().__init__(
            f"The answer would have {rows} {what}, and {most} is the most. Ask for fewer dates, a "
            "coarser granularity, a filter or a limit.",
            {"rows": rows, "most": most},
        )


class UriTooLong(ApiError):
    """Path and query are longer than any request of this API needs to be."""

    def __init__(self, allowed_bytes: int) -> None:
        super().__init__(
            f"The address is longer than {allowed_bytes} bytes.", {"allowed_bytes": allowed_bytes}
        )


class RateLimitExceeded(ApiError):
    """The customer has used up the requests of this minute."""

    counted = "requests"

    def __init__(self, *, limit: int, reset_at: str, retry_after: int) -> None:
        super().__init__(
            f"More than {limit} {self.counted} in a minute. Try again in {retry_after} s.",
            {"limit": limit, "reset_at": reset_at, "retry_after": retry_after},
            {"Retry-After": str(retry_after)},
        )


class WrongKeysExceeded(RateLimitExceeded):
    """An address has sent too many wrong keys in this minute."""

    counted = "wrong API keys from this address"


class Unavailable(ApiError):
    """Something that every answer needs is not there.

    `what` is for strangers too; `reason` may name files, so it goes to the log alone.
    """

    what = ""
    advice = ""
    retry_after = "5"

    def __init__(self, reason: str) -> None:
        super().__init__(self.advice, headers={"Retry-After": self.retry_after})
        self.reason = reason


class NotReady(Unavailable):
    """Nothing was published yet."""

    what = "no snapshot has been published yet"
    advice = "No data has been published yet. Try again in a minute."


class SnapshotUnreadable(Unavailable):
    """What was published cannot be opened, or not read to its end."""

    what = "the newest snapshot cannot be read"
    advice = "The published data cannot be read at the moment. Try again in a minute."


class SnapshotOutdated(Unavailable):
    """The snapshot was published by a version that did not have what is asked for."""

    what = "the newest snapshot is of an older version"
    advice = (
        "The published data is of an older version, which does not have this. It is there after "
        "the next hourly run."
    )
    retry_after = "600"


class KeysUnavailable(Unavailable):
    """The key store cannot be read."""

    what = "API keys cannot be read"
    advice = "API keys cannot be checked at the moment. Try again in a minute."


class Busy(ApiError):
    """A query needed more memory than there is for all queries together."""

    def __init__(self) -> None:
        super().__init__(
            "There is not enough memory for this at the moment. Try again, or ask for fewer days.",
            headers={"Retry-After": "5"},
        )


class QueryTimeout(ApiError):
    """A query ran longer than it may."""

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(
            f"The query took longer than {timeout_seconds:g} s. Ask for fewer days.",
            headers={"Retry-After": "5"},
        )


class CacheHit(Exception):
    """The very answer is in memory. Not an error: the route has nothing left to do."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


class NotModified(Exception):
    """The client has this answer already. Not an error: answered by 304 without a body."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__("not modified")
        self.headers = headers


STATUS_AND_CODE: dict[type[ApiError], tuple[int, str]] = {
    InvalidApiKey: (401, "INVALID_API_KEY"),
    Forbidden: (403, "FORBIDDEN"),
    UriTooLong: (414, "URI_TOO_LONG"),
    InvalidParameter: (422, "INVALID_PARAMETER"),
    TooLarge: (422, "TOO_LARGE"),
    RateLimitExceeded: (429, "RATE_LIMIT_EXCEEDED"),
    WrongKeysExceeded: (429, "RATE_LIMIT_EXCEEDED"),
    NotReady: (503, "NOT_READY"),
    SnapshotUnreadable: (503, "NOT_READY"),
    SnapshotOutdated: (503, "NOT_READY"),
    KeysUnavailable: (503, "NOT_READY"),
    Busy: (503, "BUSY"),
    QueryTimeout: (503, "QUERY_TIMEOUT"),
}

FRAMEWORK_ERRORS: dict[int, tuple[str, str]] = {
    404: ("NOT_FOUND", "There is nothing at this address. See /docs for what there is."),
    405: ("METHOD_NOT_ALLOWED", "This address answers GET only."),
}


def error_response(
    status: int,
    code: str,
    message: str,
    details: dict[str, Any],
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """An error in the one shape; never stored by a cache."""
    body = ErrorBody(error=message, error_code=code, details=details)
    return JSONResponse(
        body.model_dump(),
        status_code=status,
        headers={"Cache-Control": "private, no-store", **(headers or {})},
    )


def response_of(error: ApiError) -> JSONResponse:
    """The answer that says this error."""
    status, code = STATUS_AND_CODE[type(error)]
    return error_response(status, code, error.message, error.details, error.headers)


def internal_error() -> JSONResponse:
    """The answer to a failure of ours: it says nothing about the inside."""
    return error_response(
        500,
        "INTERNAL_ERROR",
        "Something went wrong on our side. Quote the X-Request-ID if you report it.",
        {},
    )


def install(app: FastAPI, allowed: Callable[[str], str]) -> None:
    """Answer all errors of `app` in the one shape; `allowed` says what a parameter may be."""

    async def of_ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        if isinstance(error, Unavailable):
            request.state.problem = error.reason
        return response_of(error)

    async def of_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        name = str(error.errors()[0]["loc"][-1])
        return await of_ours(request, InvalidParameter(name, allowed(name)))

    async def of_framework(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, message = FRAMEWORK_ERRORS.get(error.status_code, ("BAD_REQUEST", str(error.detail)))
        return error_response(
            error.status_code, code, message, {}, dict(error.headers) if error.headers else None
        )

    async def not_modified(_request: Request, error: Exception) -> Response:
        assert isinstance(error, NotModified)
        return Response(status_code=304, headers=error.headers)

    async def answered_before(_request: Request, error: Exception) -> Response:
        assert isinstance(error, CacheHit)
        return error.response

    for kind in STATUS_AND_CODE:
        app.add_exception_handler(kind, of_ours)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(HTTPException, of_framework)
    app.add_exception_handler(NotModified, not_modified)
    app.add_exception_handler(CacheHit, answered_before)
