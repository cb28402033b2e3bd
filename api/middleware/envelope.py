"""What goes around every answer: request id, security headers, one log line, one measurement."""

import re
import secrets
import sys
import time
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import UriTooLong, internal_error, response_of
from api.middleware.cross_origin import CrossOrigin

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"
MAX_URL_BYTES = 4096
CONTENT_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
VARY = "X-API-Key, Authorization, Cookie, Origin, Accept-Encoding"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": CONTENT_POLICY,
}


class StandardError:
    """A log file that is whatever standard error is at the time of writing."""

    def write(self, text: str) -> int:
        """Write to standard error."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush standard error."""
        sys.stderr.flush()


def request_log() -> Any:
    """A logger that writes one JSON object a line to standard error."""
    return structlog.wrap_logger(
        # It asks for a whole text file, and uses no more of it than `write` and `flush`.
        structlog.WriteLogger(StandardError()),  # type: ignore[arg-type]
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )


@dataclass(frozen=True)
class Measurements:
    """Prometheus measurements of requests, by route template: a label never holds raw input."""

    requests: Counter
    durations: Histogram

    @classmethod
    def in_registry(cls, registry: CollectorRegistry) -> "Measurements":
        """The measurements, registered."""
        return cls(
            requests=Counter(
                "agentstats_requests_total",
                "Answered requests.",
                ("method", "route", "status"),
                registry=registry,
            ),
            durations=Histogram(
                "agentstats_request_duration_seconds",
                "Time from the request to the end of its answer.",
                ("route",),
                buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
                registry=registry,
            ),
        )


class Envelope:
    """ASGI middleware around the whole app.

    Routes leave headers for every kind of answer, errors too, in `request.state.answer_headers`,
    the customer of a valid key in `request.state.customer_id`, and what operators must know about
    an answer of 503 in `request.state.problem`. A page that may be embedded sets
    `request.state.may_be_framed`, and says in its content policy by whom.
    """

    def __init__(
        self, app: ASGIApp, *, log: Any, measurements: Measurements, cross_origin: CrossOrigin
    ) -> None:
        self._app = app
        self._cross_origin = cross_origin
        self._log = log
        self._measurements = measurements

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        request_id = headers.get("X-Request-ID", "")
        if not SANE_REQUEST_ID.fullmatch(request_id):
            request_id = secrets.token_hex(16)
        answer_headers: dict[str, str] = {"X-Request-ID": request_id}
        # A copy: what the server hands over here is shared by all requests.
        state = {**(scope.get("state") or {}), "answer_headers": answer_headers}
        scope["state"] = state
        status = 0
        cross_origin = self._cross_origin.headers_of(scope["path"], headers)
        preflight = self._cross_origin.preflight(scope["method"], scope["path"], headers)

        async def send_wrapped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = _raw({**SECURITY_HEADERS, **cross_origin, **answer_headers})
                if state.get("may_be_framed", False):
                    del added[b"x-frame-options"]
                kept = [pair for pair in message["headers"] if pair[0] not in added]
                message["headers"] = [*kept, *added.items()]
                if scope["path"].startswith("/api/"):
                    MutableHeaders(scope=message).add_vary_header(VARY)
            await send(message)

        failure: Exception | None = None
        try:
            if _url_bytes(scope) > MAX_URL_BYTES:
                await response_of(UriTooLong(MAX_URL_BYTES))(scope, receive, send_wrapped)
            elif preflight is not None:
                await preflight(scope, receive, send_wrapped)
            else:
                await self._app(scope, receive, send_wrapped)
        except Exception as error:  # the last resort: everything else has a handler
            failure = error
            if status == 0:
                await internal_error()(scope, receive, send_wrapped)
        seconds = time.perf_counter() - started
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", UNMATCHED)
        self._measurements.requests.labels(method, route, str(status)).inc()
        self._measurements.durations.labels(route).observe(seconds)
        problem = state.get("problem")
        self._log.log(
            40 if failure is not None or problem is not None else 20,
            "request",
            request_id=request_id,
            method=method,
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            customer_id=state.get("customer_id"),
            exc_info=failure,
            **({} if problem is None else {"problem": problem}),
        )


def _raw(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {
        name.lower().encode("latin-1"): value.encode("latin-1") for name, value in headers.items()
    }


def _url_bytes(scope: Scope) -> int:
    path = scope.get("raw_path") or scope["path"].encode()
    return len(path) + len(scope["query_string"])
