"""Who asks: the credentials of a request, verified once, and the customer's requests counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from api.auth.access import Access
from api.auth.keys import KeyStore, KeyStoreUnreadable
from api.auth.rate_limit import Allowance, RateLimiter
from api.auth.tokens import KeysUnreadable, Tokens

BEARER = "bearer"


@dataclass(frozen=True)
class Caller:
    """What is known of a request's sender. Without `access` the credentials are wrong.

    `problem` says why keys cannot be read, where they cannot; `allowance` is there with access.
    """

    access: Access | None = None
    allowance: Allowance | None = None
    problem: str | None = None

    @property
    def may_be_answered(self) -> bool:
        """Whether there is access, and something left of the rate limit."""
        return self.access is not None and self.allowance is not None and self.allowance.allowed


@dataclass(frozen=True)
class Credentials:
    """What a request sent to say who asks, of each kind all that it sent."""

    keys: tuple[str, ...] = ()
    """X-API-Key headers."""
    tokens: tuple[str, ...] = ()
    """Tokens of Authorization headers."""
    cookies: tuple[str, ...] = ()
    """Tokens of the cookie with the configured name."""


class WrongCredentials(Exception):
    """A request shows nothing that opens anything, or two things that contradict each other."""


def credentials_of(headers: Headers, *, cookie: str | None, with_tokens: bool) -> Credentials:
    """The credentials in a request's headers; of Authorization and `cookie` only if tokens are
    accepted at all. Another scheme than Bearer is none of ours, but a proxy's."""
    tokens: list[str] = []
    cookies: list[str] = []
    if with_tokens:
        for line in headers.getlist("Authorization"):
            scheme, _, token = line.strip().partition(" ")
            if scheme.lower() == BEARER:
                tokens.append(token.strip())
        if cookie is not None:
            cookies = _cookies_named(cookie, headers.getlist("Cookie"))
    return Credentials(tuple(headers.getlist("X-API-Key")), tuple(tokens), tuple(cookies))


def _cookies_named(name: str, lines: list[str]) -> list[str]:
    found = []
    for line in lines:
        for pair in line.split(";"):
            given, is_pair, value = pair.strip().partition("=")
            if is_pair and given == name:
                found.append(value.strip().strip('"'))
    return found


@dataclass(frozen=True)
class Authenticator:
    """What decides who asks: API keys, and tokens where they are accepted."""

    keys: KeyStore
    rate_limiter: RateLimiter
    tokens: Tokens | None = None
    cookie: str | None = None
    """Name of the cookie that a token may be in."""

    async def caller_of(
        self, headers: Headers, own_limits: Mapping[int, int], now: datetime
    ) -> Caller:
        """Verify the credentials and count the request, against the customer's own limit if there
        is one.

        It takes microseconds, so it runs on the event loop; where another process has locked one of
        the files, a thread waits for it.
        """
        sent = credentials_of(headers, cookie=self.cookie, with_tokens=self.tokens is not None)
        try:
            return self._caller_of(sent, own_limits, now, may_wait=False)
        except BlockingIOError:
            return await run_in_threadpool(self._caller_of, sent, own_limits, now, may_wait=True)

    def _caller_of(
        self, sent: Credentials, own_limits: Mapping[int, int], now: datetime, *, may_wait: bool
    ) -> Caller:
        try:
            access = self._access(sent, now, may_wait=may_wait)
        except (KeyStoreUnreadable, KeysUnreadable) as error:
            return Caller(problem=str(error))
        except WrongCredentials:
            return Caller()
        customer_id = access.customer_id
        own_limit = own_limits.get(customer_id)
        counted = self.rate_limiter.count(customer_id, own_limit=own_limit, may_wait=may_wait)
        return Caller(access, counted)

    def _access(self, sent: Credentials, now: datetime, *, may_wait: bool) -> Access:
        """What the credentials open.

        A key or a bearer token counts before a cookie, which browsers send unasked: one that is
        wrong or has ended does no harm beside them. A key and a token of one customer open what the
        token opens. Raises WrongCredentials where one that was sent on purpose is wrong, and where
        two are of different customers.
        """
        found: list[Access] = []
        try:
            if sent.keys or not (sent.tokens or sent.cookies):
                record = self.keys.verify(_only(sent.keys), now, may_wait=may_wait)
                found.append(_right(None if record is None else Access(record.customer_id)))
            if sent.tokens:
                found.append(_right(self._verified(sent.tokens, now)))
            if sent.cookies:
                of_cookie = self._verified(sent.cookies, now)
                if not found:
                    found.append(_right(of_cookie))
                elif of_cookie is not None and of_cookie.customer_id != found[0].customer_id:
                    raise WrongCredentials
            if len({access.customer_id for access in found}) > 1:
                raise WrongCredentials
        except WrongCredentials:
            self._spend_the_same_time(sent, now, may_wait=may_wait)
            raise
        return found[-1]

    def _verified(self, tokens: tuple[str, ...], now: datetime) -> Access | None:
        assert self.tokens is not None, "no token is taken from a request where none is accepted"
        return self.tokens.verify(_only(tokens), now)

    def _spend_the_same_time(self, sent: Credentials, now: datetime, *, may_wait: bool) -> None:
        """Look up a key and compute a signature, where the wrong credentials did not."""
        if not sent.keys and (sent.tokens or sent.cookies):
            try:
                self.keys.verify(None, now, may_wait=may_wait)
            except KeyStoreUnreadable:
                return  # what is wrong with the token is wrong whatever the keys are
        if self.tokens is not None and not (sent.tokens or sent.cookies):
            self.tokens.compare_in_vain()


def _only(sent: tuple[str, ...]) -> str | None:
    """What was sent; None where it differs.

    Which of two counts would be for a proxy to decide, and whose data is answered with it.
    """
    return sent[0] if len(set(sent)) == 1 else None


def _right(access: Access | None) -> Access:
    if access is None:
        raise WrongCredentials
    return access
