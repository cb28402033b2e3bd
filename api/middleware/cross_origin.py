"""Pages of other origins: which may read the API in a browser, and what a preflight is answered."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import Response

ALLOWED_HEADERS = ("X-API-Key", "Authorization", "If-None-Match", "X-Request-ID", "Content-Type")
EXPOSED_HEADERS = (
    *("X-Request-ID", "X-Scope", "X-Snapshot-Id", "X-Data-As-Of", "X-Covered-From"),
    *("X-Time-Zone", "X-Period-Start", "X-Period-End", "X-Truncated", "X-Total-Rows"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"),
    *("ETag", "Content-Disposition"),
)
PREFLIGHT_SECONDS = 600
"""How long a browser keeps what a preflight said."""


class CrossOrigin:
    """The origins that may read the API, by their exact names. There is no "any": an answer that is
    given for a cookie would be for all the web then."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def headers_of(self, path: str, sent: Headers) -> dict[str, str]:
        """The headers that let the page of a request read its answer; none for a stranger's."""
        origin = self._allowed(path, sent)
        if origin is None:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS),
        }

    def preflight(self, method: str, path: str, sent: Headers) -> Response | None:
        """The answer to a preflight of an allowed origin; None for anything else."""
        asked = sent.get("Access-Control-Request-Method")
        if method != "OPTIONS" or asked is None or self._allowed(path, sent) is None:
            return None
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": "GET",
                "Access-Control-Allow-Headers": ", ".join(ALLOWED_HEADERS),
                "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            },
        )

    def _allowed(self, path: str, sent: Headers) -> str | None:
        origins = sent.getlist("Origin")
        if len(origins) != 1 or not path.startswith("/api/"):
            return None
        return origins[0] if origins[0] in self._origins else None
