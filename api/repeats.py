"""A question asked again: answered from memory before it is routed, parsed or leased a snapshot."""

from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.answers import Asked
from api.callers import recognise
from api.services import Services


class Repeats:
    """ASGI middleware inside the envelope: recognises who asks, and answers what it can.

    A question is the path and query of a request, byte for byte. It is answered here if this
    customer asked it before, of the snapshot that is still the newest one, on dates that are still
    the same, and the answer is still in memory. All else goes on to the routes, with what was found
    out about the caller in `request.state.caller`.
    """

    def __init__(self, app: ASGIApp, *, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through, or answer it."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        state = scope["state"]
        caller = state["caller"] = await recognise(self._services, headers.get("X-API-Key"))
        asked = None
        if caller.customer_id is not None and scope["method"] == "GET":
            asked = self._asked_before(caller.customer_id, question_of(scope))
        if asked is None or caller.customer_id is None or caller.allowance is None:
            await self._app(scope, receive, send)
            return
        answers = self._services.answers
        if has_already(headers.getlist("If-None-Match"), asked.etag):
            status, content, own_headers = 304, b"", asked.unmodified_headers
        else:
            stored = answers.find(caller.customer_id, asked.etag)
            if stored is None:
                await self._app(scope, receive, send)
                return
            status, content, own_headers = 200, stored.content, stored.headers
        state["customer_id"] = caller.customer_id
        state["answer_headers"].update(caller.allowance.headers)
        state["answer_headers"].update(asked.context_headers)
        scope["route"] = asked.route
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": _raw(own_headers, None if status == 304 else len(content)),
            }
        )
        await send({"type": "http.response.body", "body": content})

    def _asked_before(self, customer_id: int, question: str) -> Asked | None:
        asked = self._services.answers.asked(customer_id, question)
        if asked is None:
            return None
        snapshots = self._services.snapshots
        newest = snapshots.current
        if newest is None or newest.snapshot_id != asked.snapshot_id or snapshots.is_outdated:
            return None
        if not asked.valid_from <= self._services.settings.clock() < asked.valid_until:
            return None
        return asked


def question_of(scope: Scope) -> str:
    """Path and query of a request as they came."""
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"


def has_already(if_none_match: list[str], etag: str) -> bool:
    """Whether a client that sent these If-None-Match headers has the answer with this tag."""
    # Weak comparison, as RFC 9110 asks for here: a proxy that compresses marks a tag as weak.
    tags = [tag.strip().removeprefix("W/") for line in if_none_match for tag in line.split(",")]
    return "*" in tags or etag in tags


def _raw(headers: dict[str, Any], length: int | None) -> list[tuple[bytes, bytes]]:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    if length is not None:
        raw.append((b"content-length", str(length).encode()))
    return raw
