"""A question asked again, answered from memory: not routed, not parsed, no snapshot leased."""

from datetime import datetime

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth.access import Access
from api.cache.answers import AnsweredQuestion
from api.cache.customer_rows import NotCachedYet
from api.errors import Forbidden, NotReady
from api.services import Services, time_zone_in


class CachedAnswers:
    """ASGI middleware inside the envelope: authenticates who asks, and answers what it can.

    A question is the path and query of a request, byte for byte. It is answered here if this
    customer asked it before, with a key or with a token of the same agents and scope, of the
    snapshot that is still the newest one, on dates that are still the same, and the answer is still
    in memory. It is also answered here if anybody of the same time zone asked it before on this
    date and the rows it takes are in memory: then its parameters need not be read again. All else
    goes on to the routes, with what was found out about the caller in `request.state.caller`.
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
        newest = self._services.snapshots.current
        caller = state["caller"] = await self._services.authenticator.caller_of(
            headers,
            newest.rate_limits if newest is not None else {},
            self._services.settings.clock(),
        )
        access = caller.access
        if access is not None:
            state["answer_headers"].update(access.headers)
        answer = None
        if (
            access is not None
            and caller.may_be_answered
            and access.refusal_of(scope["path"]) is None
            and scope["method"] == "GET"
            and not self._services.snapshots.is_outdated
        ):
            now = self._services.settings.clock()
            question = question_of(scope)
            answer = self._again(access, question, now, scope, headers)
            if answer is None:
                answer = self._parsed_before(access, question, now, scope)
        if answer is None or access is None or caller.allowance is None:
            await self._app(scope, receive, send)
            return
        state["customer_id"] = access.customer_id
        state["answer_headers"].update(caller.allowance.headers)
        await answer(scope, receive, send)

    def _again(
        self, access: Access, question: str, now: datetime, scope: Scope, headers: Headers
    ) -> ASGIApp | None:
        """The answer that this access got before, if it still holds and is still there."""
        asked = self._asked_before(access, question, now)
        if asked is None:
            return None
        if has_already(headers.getlist("If-None-Match"), asked.etag):
            answer = _Answer(304, b"", asked.unmodified_headers)
        else:
            stored = self._services.answers.find(access.place, asked.etag)
            if stored is None:
                return None
            answer = _Answer(200, stored.content, stored.headers)
        scope["state"]["answer_headers"].update(asked.context_headers)
        scope["route"] = asked.route
        return answer

    def _parsed_before(
        self, access: Access, question: str, now: datetime, scope: Scope
    ) -> ASGIApp | None:
        """The answer to a question that somebody asked before, if it is made from memory alone."""
        own_zone = time_zone_in(self._services.snapshots.current, access.customer_id)
        parsed = self._services.parsed_questions.find(question, own_zone, now)
        if parsed is None:
            return None
        scope["route"] = parsed.route
        try:
            return parsed.answer(Request(scope), access.customer_id, now)
        except (NotCachedYet, NotReady, Forbidden):
            return None  # the route says it, or reads what is missing

    def _asked_before(
        self, access: Access, question: str, now: datetime
    ) -> AnsweredQuestion | None:
        asked = self._services.answers.find_question(access.place, question)
        if asked is None:
            return None
        newest = self._services.snapshots.current
        if newest is None or newest.snapshot_id != asked.snapshot_id:
            return None
        if not asked.valid_from <= now < asked.valid_until:
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


class _Answer:
    """A whole answer as an ASGI app: what a response of the framework does, for less."""

    def __init__(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self._status = status
        self._content = content
        self._headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        if self._status != 304:
            headers.append((b"content-length", str(len(self._content)).encode()))
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._content})
