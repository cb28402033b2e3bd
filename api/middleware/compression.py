"""Compression: answers of the API by gzip, where the client takes it and it is worth it."""

import re
import zlib
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.cache.answers import AnswerCache, Place, StoredAnswer

MIN_BYTES = 500  # a smaller answer travels in one packet either way
LEVEL = 5  # of 1 MB, level 1 leaves 22 % in 5 ms, 5 leaves 17 % in 10 ms, 9 leaves 16 % in 47 ms
INLINE_BYTES = 65_536  # 0.6 ms; what takes longer is done in a thread
COMPRESSED_TYPES = ("application/json", "text/csv")
WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
TAG_END = '-gzip"'


class Compression:
    """ASGI middleware inside the envelope, around all that answers below `/api/`.

    Two representations are two byte strings, so they have two strong tags, as RFC 9110 asks for:
    `"x"` is `"x-gzip"` when it is compressed. What is inside knows the first alone. An answer that
    is kept in memory is kept compressed as well once it was asked for so, and leaves with the
    snapshot it came from.
    """

    def __init__(self, app: ASGIApp, *, answers: AnswerCache) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through; its answer is compressed if it may be."""
        if (
            scope["type"] != "http"
            or not scope["path"].startswith("/api/")
            or not takes_gzip(Headers(scope=scope).getlist("Accept-Encoding"))
        ):
            await self._app(scope, receive, send)
            return
        tags = ",".join(Headers(scope=scope).getlist("If-None-Match"))
        if TAG_END in tags:
            # In place: the envelope reads from this very scope which route was found.
            MutableHeaders(scope=scope)["If-None-Match"] = tags.replace(TAG_END, '"')
        start: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if _is_worth_it(message):
                    start = message  # its length and tag follow from the body
                    return
                if message["status"] == 304:
                    _name_the_one_at_hand(message, tags)
            elif start is not None:
                begun, start = start, None
                if not message.get("more_body", False):
                    body = await self._compressed(scope, begun, message.get("body", b""))
                    message = {**message, "body": body}
                await send(begun)
            await send(message)

        await self._app(scope, receive, send_compressed)

    async def _compressed(self, scope: Scope, start: Message, content: bytes) -> bytes:
        """The compressed body; the headers of `start` become those of it."""
        headers = MutableHeaders(scope=start)
        tag = headers.get("ETag")
        if tag is None:
            body = await _gzipped_anywhere(content)
        else:
            headers["ETag"] = tag = _tag_of_compressed(tag)
            body = await self._kept(scope["state"], tag, content)
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body))
        return body

    async def _kept(self, state: dict[str, Any], tag: str, content: bytes) -> bytes:
        """The compressed body with this tag, from memory if it is there; else made and stored."""
        place: Place = state["caller"].access.place
        stored = self._answers.find(place, tag)
        if stored is not None:
            return stored.content
        body = await _gzipped_anywhere(content)
        self._answers.store(
            place,
            tag,
            StoredAnswer(body, {}),
            snapshot_id=state["answer_headers"]["X-Snapshot-Id"],
        )
        return body


def takes_gzip(accept_encoding: list[str]) -> bool:
    """Whether a client that sent these Accept-Encoding headers is best served with gzip.

    It is not where it names no coding, refuses this one (`q=0`), or would rather have `identity`.
    What is malformed is refused.
    """
    weights: dict[str, float] = {}
    for element in ",".join(accept_encoding).lower().split(","):
        coding, _, parameter = (part.strip() for part in element.partition(";"))
        weight = WEIGHT.fullmatch(parameter) if parameter else None
        if parameter:
            weights[coding] = float(weight[1]) if weight else 0.0
        elif coding:
            weights[coding] = 1.0
    of_any = weights.get("*", 0.0)
    of_gzip = weights.get("gzip", weights.get("x-gzip", of_any))
    return of_gzip > 0 and of_gzip >= weights.get("identity", 0.0)


def gzipped(content: bytes) -> bytes:
    """The same bytes in every run: no time and no name are in it."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


async def _gzipped_anywhere(content: bytes) -> bytes:
    if len(content) > INLINE_BYTES:
        return await run_in_threadpool(gzipped, content)
    return gzipped(content)


def _is_worth_it(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return (
        start["status"] == 200
        and headers.get("Content-Type", "").partition(";")[0] in COMPRESSED_TYPES
        and int(headers.get("Content-Length", "0")) >= MIN_BYTES
        and "Content-Encoding" not in headers
    )


def _name_the_one_at_hand(start: Message, tags: str) -> None:
    """Let a 304 name the representation that the client has, which may be the compressed one."""
    headers = MutableHeaders(scope=start)
    tag = headers.get("ETag")
    if tag is not None and _tag_of_compressed(tag) in tags:
        headers["ETag"] = _tag_of_compressed(tag)


def _tag_of_compressed(tag: str) -> str:
    return tag.removesuffix('"') + TAG_END
