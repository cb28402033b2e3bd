"""Any question: from memory, by one statement and recounted from the events, all the same."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from api.cache.customer_rows import CustomerRows, NotCached, NotCachedYet, RowCache
from api.metrics.declared import declared
from api.queries.engine import Queries
from api.questions.buckets import Granularity
from api.questions.engine import Engine, value_of
from api.questions.from_memory import cells_from_memory
from api.questions.question import Answer, Plan, Question
from api.settings import ServingSettings
from api.snapshots import Lease, Snapshots
from api.stats.shapes import FIRST_PAGE, SHAPES, Page
from api.windows import window
from questions.events_of_customers import (
    METRICS,
    Event,
    Recounted,
    marts_of,
    random_events,
    recount,
)
from snapshot_fixture import publish

LAST = date(2026, 4, 12)
ZONES = [
    "UTC",
    "Asia/Kathmandu",
    "America/New_York",
    "Pacific/Kiritimati",
    "Australia/Lord_Howe",
    "Europe/Paris",
]
QUESTIONS = 400
"""`make torture TORTURE_ARGS=questions` asks more of them."""


class Asked:
    """A published home with random events, and the two ways to ask about it."""

    def __init__(self, lease: Lease, events: list[Event]) -> None:
        self.events = events
        self._lease = lease
        self._queries = Queries()
        self._cache = RowCache(50_000_000)
        self._cache.turn_to(lease.snapshot.snapshot_id)

    def rows(self, customer: int, *, may_wait: bool = True) -> CustomerRows:
        """One customer's rows in memory."""
        return CustomerRows(self._cache, self._queries, self._lease, customer, may_wait=may_wait)

    def engine(self, customer: int) -> Engine:
        """The engine for one customer."""
        rows = self.rows(customer)
        return Engine(declared(), self._queries, self._lease, customer, rows, may_wait=True)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Three customers' events over 60 days, in which the clocks of four zones change."""
    home = tmp_path_factory.mktemp("questions")
    events = random_events(3, first=LAST - timedelta(days=59), days=61, count=2500)
    publish(home, marts_of(events), snapshot_id="questions")
    snapshots = Snapshots(ServingSettings(_env_file=None, home=home))
    with snapshots.lease() as lease:
        yield Asked(lease, events)
    snapshots.close()


def random_question(draw: random.Random) -> dict[str, Any]:
    """What goes together, of everything that there is."""
    known = declared()
    by_dimensions: dict[tuple[str, ...], list[str]] = {}
    while True:
        group_by = draw.sample(list(known.dimensions), draw.choice([0, 0, 1, 1, 2, 3]))
        filtered = draw.sample(list(known.dimensions), draw.choice([0, 0, 0, 1, 2]))
        key = tuple(dict.fromkeys([*group_by, *filtered]))
        by_dimensions[key] = [
            name for name, metric in known.metrics.items() if known.goes_with(metric, key)
        ]
        if by_dimensions[key]:
            break
    metrics = draw.sample(by_dimensions[key], min(draw.randint(1, 4), len(by_dimensions[key])))
    values: dict[str, list[Any]] = {
        "agent_id": [50, 51, 60, 71, 999],
        "agent_type_id": [5, 6, 7, 99],
        "model": ["a", "Ünïcode", 'z, "q"', "no such"],
        "provider": ["openai", "a b", "x"],
        "processing": ["standard", "batch", "x"],
        "token_class": ["cache_read_input", "input", "output", "audio_input", "x"],
        "error_type": ["(none)", "timeout", "x"],
        "entity_type": ["EMAIL", "iban", "x"],
        "load_bucket": ["low", "unknown"],
        "rating": [1, 4, 5, 9],
        "attribute": ["blue", "(none)", "x"],
        "hour_of_day": [0, 1, 2, 3, 23],
        "day_of_week": [1, 6, 7],
    }
    days = draw.choice([1, 2, 3, 7, 30, 59])
    granularity = draw.choice(list(Granularity))
    if granularity in (Granularity.hour, Granularity.quarter_hour):
        days = min(days, 7)
    return {
        "metrics": metrics,
        "group_by": group_by,
        "granularity": str(granularity),
        "filters": {
            name: draw.sample(values[name], draw.randint(1, len(values[name]))) for name in filtered
        },
        "last": LAST - timedelta(days=draw.choice([0, 0, 1, 6, 7, 14])),
        "days": days,
        "tz": draw.choice(ZONES),
        "kept_from": draw.choice([None, None, LAST - timedelta(days=draw.randint(0, 30))]),
        "order_by": draw.choice([metrics[0], draw.choice([*metrics, *group_by])]),
        "descending": draw.random() < 0.7,
        "limit": draw.choice([None, None, 0, 1, 2, 5]),
        "offset": draw.choice([0, 0, 0, 1, 3]),
        "customer": draw.randint(1, 4),  # the fourth has no events
    }


def question_of(asked: dict[str, Any]) -> Question:
    """The same for the engine."""
    return Question(
        window=window(
            days=asked["days"], tz=asked["tz"], end=asked["last"], kept_from=asked["kept_from"]
        ),
        metrics=tuple(declared().metrics[name] for name in asked["metrics"]),
        group_by=tuple(asked["group_by"]),
        granularity=Granularity(asked["granularity"]),
        filters={name: tuple(values) for name, values in asked["filters"].items()},
        attribute="team" if "attribute" in (*asked["group_by"], *asked["filters"]) else None,
        order_by=asked["order_by"],
        descending=asked["descending"],
        limit=asked["limit"],
        offset=asked["offset"],
    )


def recounted(events: list[Event], asked: dict[str, Any]) -> Recounted:
    """The same from the events."""
    first = asked["last"] - timedelta(days=asked["days"] - 1)
    others = {name: value for name, value in asked.items() if name != "days"}
    return recount(events, first=first, **others)


def is_same(answer: Answer, expected: Recounted, asked: dict[str, Any]) -> None:
    """Every figure, in every place."""
    metrics = [declared().metrics[name] for name in asked["metrics"]]
    groups = expected.groups if asked["group_by"] else [()]
    stop = None if asked["limit"] is None else asked["offset"] + asked["limit"]
    assert answer.groups == groups[asked["offset"] : stop]
    rows = {
        (answer.labels[bucket], group): {each.name: value_of(each, cell) for each in metrics}
        for group, buckets in answer.cells.items()
        for bucket, cell in buckets.items()
    }
    if not asked["group_by"]:
        empty = {each.name: METRICS[each.name]([]) for each in metrics}
        assert [key for key in rows if key not in expected.rows and rows[key] != empty] == []
        rows = {key: value for key, value in rows.items() if key in expected.rows}
    assert rows == expected.rows
    assert {
        answer.labels[bucket]: {each.name: value_of(each, cell) for each in metrics}
        for bucket, cell in answer.others.items()
    } == {
        label: {
            each.name: None if each.kind == "distinct" else figures[each.name] for each in metrics
        }
        for label, figures in expected.others.items()
    }
    assert {each.name: value_of(each, answer.totals) for each in metrics} == expected.totals


@pytest.mark.parametrize("part", range(4))
def test_memory_statement_and_recount_agree(asked: Asked, part: int) -> None:
    """Random questions over all metrics, dimensions, granularities, filters, orders and cuts."""
    draw = random.Random(part)
    from_memory = 0
    for _ in range(QUESTIONS // 4):
        ask = random_question(draw)
        question = question_of(ask)
        engine = asked.engine(ask["customer"])
        expected = recounted(asked.events, ask)
        try:
            is_same(engine.answer(question), expected, ask)
            is_same(engine.answer_by_statement(question), expected, ask)
        except AssertionError as error:
            raise AssertionError(f"{ask}: {error}") from error
        try:
            cells_from_memory(engine.rows, Plan(declared(), question))
            from_memory += 1
        except NotCached:
            pass
    assert from_memory > QUESTIONS // 16


def test_people_of_many_are_counted_a_part_at_a_time(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same figures by one statement and by one for each bucket, whatever else is asked for."""
    monkeypatch.setattr("api.questions.engine.MOST_COUNTED_AT_ONCE", 0)
    draw = random.Random("people")
    in_parts = 0
    while in_parts < 40:
        ask = random_question(draw)
        if not {"sessions", "active_end_users"} & set(ask["metrics"]):
            continue
        question = question_of(ask)
        engine = asked.engine(ask["customer"])
        try:
            is_same(engine.answer(question), recounted(asked.events, ask), ask)
        except AssertionError as error:
            raise AssertionError(f"{ask}: {error}") from error
        in_parts += engine._counts_too_many_at_once(Plan(declared(), question))


def test_additive_rows_add_up_to_the_totals(asked: Asked) -> None:
    """Rows and others: for each additive metric, in every zone, whatever is cut off."""
    draw = random.Random("additive")
    for _ in range(60):
        ask = random_question(draw)
        ask["metrics"] = [n for n in ask["metrics"] if declared().metrics[n].is_additive]
        if not ask["metrics"] or "entity_type" in ask["group_by"]:
            continue
        ask["order_by"] = ask["metrics"][0]
        answer = asked.engine(ask["customer"]).answer(question_of(ask))
        for name in ask["metrics"]:
            metric = declared().metrics[name]
            rows = [cell for buckets in answer.cells.values() for cell in buckets.values()]
            parts = [value_of(metric, each) for each in [*rows, *answer.others.values()]]
            total = value_of(metric, answer.totals)
            if metric.kind == "money":
                # The sample's prices are whole millionths, so nothing is rounded; what has no
                # price costs nothing.
                parts, total = [Decimal(part or 0) for part in parts], Decimal(total or 0)
            if ask["group_by"] or not ask["offset"]:
                assert sum(parts) == total, ask


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_answer_is_the_same_from_memory_and_queried(asked: Asked, shape: str) -> None:
    """In random windows of six zones, cut at retention or not: all fields, in order."""
    draw = random.Random(shape)
    compared = 0
    for _ in range(40):
        customer = draw.randint(1, 4)  # the fourth has no rows
        over = window(
            days=draw.choice([1, 2, 3, 7, 30, 59]),
            tz=draw.choice(ZONES),
            end=LAST - timedelta(days=draw.choice([0, 0, 1, 4, 5, 40])),
            kept_from=draw.choice([None, LAST - timedelta(days=draw.randint(0, 60))]),
        )
        page = draw.choice([FIRST_PAGE, FIRST_PAGE, Page(2), Page(2, 1), Page(None, 1)])
        engine = asked.engine(customer)
        rows = CustomerRows(RowCache(0), engine.queries, engine.lease, customer, may_wait=True)
        from_memory = SHAPES[shape](engine, over, page)
        queried = SHAPES[shape](replace(engine, rows=rows), over, page)
        assert from_memory == queried, (over, customer, page)
        assert [[type(row[name]) for name in sorted(row)] for row in from_memory.rows] == [
            [type(row[name]) for name in sorted(row)] for row in queried.rows
        ]
        compared += sum(map(len, queried.rows))
    assert compared > 40


def test_what_takes_long_is_not_made_on_the_event_loop(asked: Asked) -> None:
    """The same answer comes from a thread: many sums of a year, and any that has to be queried."""
    question = Question(
        window(days=59, tz="UTC", end=LAST, kept_from=None),
        metrics=(declared().metrics["total_tokens"],),
        group_by=("model",),
        granularity=Granularity.day,
    )
    engine = asked.engine(1)
    answer = engine.answer(question)
    at_once = replace(engine, may_wait=False, rows=asked.rows(1, may_wait=False))
    assert at_once.answer(question) == answer
    years = replace(question, window=window(days=2557, tz="UTC", end=LAST, kept_from=None))
    in_a_thread = engine.answer(years)
    with pytest.raises(NotCachedYet):
        at_once.answer(years)
    assert in_a_thread.totals == engine.answer_by_statement(years).totals
    hours = replace(question, granularity=Granularity.hour)
    with pytest.raises(NotCachedYet):
        at_once.answer(hours)
