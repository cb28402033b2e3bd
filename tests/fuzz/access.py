"""Whoever asks, in whatever order and with whatever else in the request: no byte of another.

A real server answers two customers, by keys and by tokens of all or of some agents and scopes. Each
answer is compared with that of an app over nothing but the rows that the asker may see.
"""

import contextlib
import dataclasses
import gzip
import http.client
import random
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth.access import Access
from api.auth.keys import KeyStore
from api.settings import ServingSettings
from fuzz.outcome import Outcome, check_log
from fuzz.served import Served, serving
from narrowing_fixture import NARROWABLE, OF_THE_WHOLE, STATS, more_than_the_sample, of_agents
from snapshot_fixture import ACME, BOREAL, NOW, Marts, publish
from tokens_fixture import COOKIE, SECRET, signed, token, wrong_claims

COMPARED_HEADERS = (
    *("X-Covered-From", "X-Data-As-Of", "X-Time-Zone", "X-Period-Start", "X-Period-End"),
    *("X-Total-Rows", "X-Truncated", "Content-Type", "Content-Disposition"),
)
CUSTOMER_AT = {"deliveries": 1, "recounts": 1, "tiers": None, "backtests": None}
"""Where lists of rows have the customer, if not first; None where a row is of no customer."""
AGENTS: tuple[tuple[int, ...] | None, ...] = (None, (42,), (43,), (42, 44), (45,), (99,))
SCOPES: tuple[str | None, ...] = (None, "usage", "usage feedback query", "account metrics", "")
ZONES = ("UTC", "Asia/Kathmandu", "America/Los_Angeles")
SNAPSHOT_ID = re.compile(rb'"snapshot_id":"[^"]*"')
"""In a receipt: the only part of a body that changes with each publication."""
SWAP_EVERY = 5_000

Answer = tuple[int, bytes, tuple[str | None, ...]]


def of_two_customers() -> Marts:
    """The sample, and nearly the same for customer 2: the same ids, names and times, and other
    figures."""
    first = more_than_the_sample()
    found = Marts()
    for each in dataclasses.fields(first):
        at = CUSTOMER_AT.get(each.name, 0)
        rows = getattr(first, each.name)
        if at is None:
            getattr(found, each.name).extend(rows)
            continue
        own = [row for row in rows if row[at] != BOREAL]
        copies = [_other(row, at) for row in own if row[at] == ACME]
        getattr(found, each.name).extend([*own, *copies])
    return found


def _other(row: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    """The row of customer 2 that looks most like this one of customer 1: greater sums."""
    # Ids are below 100 and not changed; sums of the sample are above, or are counts that may grow.
    grown = [
        value + 1000 if type(value) is int and value >= 100 else value
        for number, value in enumerate(row)
        if number != at
    ]
    return (*grown[:at], BOREAL, *grown[at:])


def of_one(marts: Marts, customer_id: int) -> Marts:
    """The rows of one customer."""
    kept = {}
    for each in dataclasses.fields(marts):
        at = CUSTOMER_AT.get(each.name, 0)
        rows = getattr(marts, each.name)
        kept[each.name] = [row for row in rows if at is None or row[at] == customer_id]
    return Marts(**kept)


@dataclass
class Reference:
    """What each access has to be answered, from apps over nothing but its rows."""

    marts: Marts
    folder: Path
    stack: contextlib.ExitStack
    _apps: dict[tuple[int, tuple[int, ...] | None], Callable[[str], Answer]] = field(
        default_factory=dict
    )
    _answers: dict[tuple[int, tuple[int, ...] | None, str], Answer] = field(default_factory=dict)

    def answer(self, customer_id: int, agents: tuple[int, ...] | None, path: str) -> Answer:
        """Status, body and headers of a path."""
        place = (customer_id, agents, path)
        if place not in self._answers:
            self._answers[place] = self._app(customer_id, agents)(path)
        return self._answers[place]

    def _app(self, customer_id: int, agents: tuple[int, ...] | None) -> Callable[[str], Answer]:
        if (customer_id, agents) not in self._apps:
            home = self.folder / f"{customer_id}-{agents}"
            rows = of_one(self.marts, customer_id)
            publish(home, rows if agents is None else of_agents(rows, set(agents), customer_id))
            _, key = KeyStore(home / "keys.db").create(customer_id, "reference")
            made = ServingSettings(_env_file=None, home=home, now=NOW, rate_limit=10**9)
            app = create_app(made, log=structlog.wrap_logger(None, processors=[_silent]))
            client = self.stack.enter_context(TestClient(app))

            def ask(path: str) -> Answer:
                answer = client.get(path, headers={"X-API-Key": key, "Accept-Encoding": ""})
                headers = tuple(answer.headers.get(name) for name in COMPARED_HEADERS)
                return answer.status_code, SNAPSHOT_ID.sub(b"", answer.content), headers

            self._apps[customer_id, agents] = ask
        return self._apps[customer_id, agents]


def _silent(_logger: Any, _name: str, _event: Any) -> Any:
    raise structlog.DropEvent


@dataclass(frozen=True)
class Sent:
    """The credentials of a request, and what they open; None where they open nothing."""

    headers: tuple[tuple[str, str], ...]
    access: Access | None


class Asker:
    """Makes up requests."""

    def __init__(self, seed: int, keys: dict[int, str]) -> None:
        self.random = random.Random(seed)
        self._keys = keys
        self._recent: deque[str] = deque(maxlen=40)
        self._wrong = [signed(claims) for claims in wrong_claims().values()]
        self._tokens: dict[tuple[int, tuple[int, ...] | None, str | None], str] = {}

    def path(self) -> str:
        """A question in one of many spellings; every other time one that was asked just now."""
        if self._recent and self.random.random() < 0.5:
            return self.random.choice(self._recent)
        self._recent.append(self._new_path())
        return self._recent[-1]

    def _new_path(self) -> str:
        choose = self.random.choice
        path = choose((*NARROWABLE, *NARROWABLE, *OF_THE_WHOLE))
        address, _, query = path.partition("?")
        pairs = [pair for pair in query.split("&") if pair]
        if choose((True, False)) and any(pair.startswith("days=") for pair in pairs):
            pairs = [pair for pair in pairs if not pair.startswith("days=")]
            pairs.append(f"days={choose((1, 2, 5, 10, 30, 90))}")
        if choose((True, False)) and any(pair.startswith("days=") for pair in pairs):
            pairs = [pair for pair in pairs if not pair.startswith("tz=")]
            pairs.append(f"tz={choose(ZONES)}")
        if address == "query" and choose((True, False, False)):
            pairs = [pair for pair in pairs if not pair.startswith("agent_id=")]
            pairs += [f"agent_id={agent}" for agent in self.random.sample((42, 43, 44, 45), 2)]
        self.random.shuffle(pairs)
        if choose((True, False, False, False)):
            pairs.append(choose(("customer_id=2", "sub=2", "agent_ids=42", "scope=", "token=x")))
        return f"{STATS}/{address}{'?' if pairs else ''}{'&'.join(pairs)}"

    def token(self, customer_id: int) -> tuple[str, Access]:
        """A right token of a customer, and what it opens."""
        agents, scope = self.random.choice(AGENTS), self.random.choice(SCOPES)
        if self.random.random() < 0.6:
            scope = None
        place = (customer_id, agents, scope)
        text = self._tokens.get(place) or token(customer_id, agent_ids=agents, scope=scope)
        self._tokens[place] = text
        families = None if scope is None else frozenset(scope.split())
        return text, Access(customer_id, agents, families)

    def credentials(self) -> Sent:
        """Credentials of any kind and combination."""
        customer_id = self.random.choice((ACME, BOREAL))
        other_id = ACME + BOREAL - customer_id
        key, whole = ("X-API-Key", self._keys[customer_id]), Access(customer_id)
        text, access = self.token(customer_id)
        second, second_access = self.token(customer_id)
        foreign, _ = self.token(other_id)
        wrong = self.random.choice(self._wrong)
        bearer, cookie = ("Authorization", f"Bearer {text}"), ("Cookie", f"{COOKIE}={text}")
        kinds = (
            Sent((key,), whole),
            Sent((bearer,), access),
            Sent((bearer,), access),
            Sent((cookie,), access),
            Sent((cookie,), access),
            Sent((key, bearer), access),
            Sent((key, cookie), whole),
            Sent((bearer, ("Cookie", f"{COOKIE}={second}")), access),
            Sent((bearer, ("Cookie", f"{COOKIE}={wrong}")), access),
            Sent((("Cookie", f"a=b; {COOKIE}={second}; c={foreign}"),), second_access),
            Sent((key, ("Cookie", f"{COOKIE}={foreign}")), None),
            Sent((bearer, ("Cookie", f"{COOKIE}={foreign}")), None),
            Sent((key, ("Authorization", f"Bearer {foreign}")), None),
            Sent((("Authorization", f"Bearer {wrong}"), cookie), None),
            Sent((key, ("X-API-Key", self._keys[other_id])), None),
            Sent((("Cookie", f"{COOKIE}={text}; {COOKIE}={foreign}"),), None),
            Sent((("Authorization", f"Bearer {wrong}"),), None),
            Sent((), None),
        )
        return self.random.choice(kinds)

    def others(self, tags: Sequence[str]) -> list[tuple[str, str]]:
        """Headers that must make no difference, or only what they are for; `tags` are of answers to
        whoever asked the same."""
        found = []
        if tags and self.random.random() < 0.6:
            some = self.random.sample(tags, min(len(tags), self.random.randint(1, 12)))
            found.append(("If-None-Match", ", ".join(some)))
        if self.random.random() < 0.3:
            found.append(("Accept-Encoding", "gzip"))
        for name, value in (
            ("X-Customer-Id", str(BOREAL)),
            ("Origin", "https://app.example.com"),
            ("X-Forwarded-For", "127.0.0.2"),
            ("X-Original-URL", "/api/stats/account"),
            ("Range", "bytes=0-1"),
            ("Cache-Control", "no-cache"),
        ):
            if self.random.random() < 0.1:
                found.append((name, value))
        return found


@dataclass
class Seen:
    """What was answered so far: by tag, to which access it was given, and which bytes."""

    by_tag: dict[str, tuple[tuple[int, str], bytes]] = field(default_factory=dict)
    of_path: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(_few))

    def add(self, path: str, tag: str, place: tuple[int, str], body: bytes) -> None:
        """Note a tag. Raises AssertionError where another access or other bytes had it."""
        known = self.by_tag.setdefault(tag, (place, body))
        assert known == (place, body), "two answers have one tag"
        self.of_path[path].append(tag)


def _few() -> deque[str]:
    return deque(maxlen=20)


def run(home: Path, *, requests: int, seed: int = 1, **settings: object) -> Outcome:
    """Ask so many times; raises AssertionError, with the request, at a byte that is another's."""
    outcome = Outcome()
    marts = of_two_customers()
    publish(home, marts, snapshot_id="s00000000")
    keys = {each: KeyStore(home / "keys.db").create(each, "fuzz")[1] for each in (ACME, BOREAL)}
    counted: Counter[str] = Counter()
    given = {"jwt_secret": SECRET, "jwt_cookie": COOKIE, "answer_cache_mb": 1, "rows_cache_mb": 1}
    with contextlib.ExitStack() as stack, serving(home, **given, **settings) as served:
        reference = Reference(marts, home / "reference", stack)
        asker, seen = Asker(seed, keys), Seen()
        connection = http.client.HTTPConnection("127.0.0.1", served.port)
        for number in range(requests):
            if number % SWAP_EVERY == SWAP_EVERY - 1:
                publish(home, marts, snapshot_id=f"s{number:08}")
            counted[_ask_once(connection, asker, seen, reference)] += 1
        counted["snapshots"] = 1 + requests // SWAP_EVERY
        _check_no_token_in_log(outcome, served)
        check_log(outcome, served)
    outcome.figures |= {"requests": requests, **dict(sorted(counted.items()))}
    return outcome


def _ask_once(
    connection: http.client.HTTPConnection, asker: Asker, seen: Seen, reference: Reference
) -> str:
    """Ask something and compare it; returns what kind of answer it was."""
    path, sent = asker.path(), asker.credentials()
    headers = [*sent.headers, *asker.others(seen.of_path[path])]
    connection.putrequest("GET", path, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    where = f"{path} {headers} → {answer.status} {body[:300]!r}"
    access = sent.access
    if access is None:
        assert answer.status == 401, where
        return "401"
    stated = None if access.scope is None else " ".join(sorted(access.scope))
    assert answer.headers.get("X-Scope") == stated, where
    if access.refusal_of(path.partition("?")[0]) is not None:
        assert answer.status == 403, where
        return "403"
    status, expected, expected_headers = reference.answer(
        access.customer_id, access.agent_ids, path
    )
    tag = answer.headers.get("ETag", "")
    if answer.status == 304:
        # Tags hold the snapshot, so there may be several of the same bytes; none of another's.
        assert seen.by_tag[tag] == (access.place, expected), where
        asked_for = dict(headers)["If-None-Match"]
        assert tag in asked_for, where
        return "304"
    if answer.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    body = SNAPSHOT_ID.sub(b"", body)
    assert (answer.status, body) == (status, expected), where
    if status != 200:
        return str(status)
    assert tuple(answer.headers.get(name) for name in COMPARED_HEADERS) == expected_headers, where
    seen.add(path, tag, access.place, body)
    return "200, compressed" if answer.headers.get("Content-Encoding") else "200"


def _check_no_token_in_log(outcome: Outcome, served: Served) -> None:
    found = served.log_text().count("eyJ")
    outcome.figures["tokens in the log"] = found
    outcome.claim(found == 0, "the log holds a token")
