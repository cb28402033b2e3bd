"""`rating_degrades_at_load`: which drops are credible, by counts of ratings alone."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snapshot_fixture
from api.stats import degradation
from api.stats.degradation import (
    MAX_EXACT_TERMS,
    STARS,
    exact_terms,
    favourable_splits,
    is_credibly_lower,
    limit_p_value,
    rating_degrades_at_load,
)
from recount.degradation import chance_of_so_few_stars, degrades_at_load
from service_fixture import StartService
from snapshot_fixture import ACME, Marts, ratings

GUIDE = (5, 12, 28, 89, 100)
"""The guide's rating distribution, which has mean 4.14 and a spread of 0.99 stars."""
TRIALS = 4000

# The guide's example of ratings by load: 45 of mean 4.5, 78 of 4.2, 33 of 3.8, spread about 1.
GUIDE_LOW = (1, 2, 2, 8, 32)
GUIDE_MEDIUM = (2, 5, 6, 27, 38)
GUIDE_HIGH = (1, 3, 8, 10, 11)


def drawn(chance: random.Random, ratings_count: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Counts of so many ratings drawn at random."""
    found = Counter(chance.choices(STARS, weights, k=ratings_count))
    return tuple(found[star] for star in STARS)


def degraded(low: Sequence[int], medium: Sequence[int], high: Sequence[int]) -> int | None:
    """The answer for three buckets of counts."""
    return rating_degrades_at_load(low, [(3, medium), (6, high)])


def lowered(weights: Sequence[float], stars: float) -> list[float]:
    """The weights with the mean lowered by so many stars: each rating loses one or stays.

    A rating of 1 cannot lose one, so the others lose with a little more than that chance.
    """
    share = [weight / sum(weights) for weight in weights]
    loses = stars / (1 - share[0])
    gone = [0.0, *(loses * part for part in share[1:])]
    come = [*gone[1:], 0.0]
    return [part - less + more for part, less, more in zip(share, gone, come, strict=True)]


def mean(counts: Sequence[float]) -> float:
    """Stars per rating."""
    return sum(star * count for star, count in zip(STARS, counts, strict=True)) / sum(counts)


def spread(counts: Sequence[float]) -> float:
    """Standard deviation in stars."""
    squares = sum(star**2 * count for star, count in zip(STARS, counts, strict=True))
    return math.sqrt(squares / sum(counts) - mean(counts) ** 2)


def test_the_guides_own_example_degrades_at_six() -> None:
    """45 ratings of 4.5, 78 of 4.2 and 33 of 3.8, spread about 1: high is credible, medium not."""
    for counts, of_mean, count in (
        (GUIDE_LOW, 4.5, 45),
        (GUIDE_MEDIUM, 4.2, 78),
        (GUIDE_HIGH, 3.8, 33),
    ):
        assert sum(counts) == count
        assert round(mean(counts), 1) == of_mean
        assert 0.9 < spread(counts) < 1.15
    assert not is_credibly_lower(GUIDE_LOW, GUIDE_MEDIUM)
    assert degraded(GUIDE_LOW, GUIDE_MEDIUM, GUIDE_HIGH) == 6


@pytest.mark.parametrize(
    ("low", "medium", "high"), [(45, 78, 33), (10, 10, 10), (5, 30, 4), (1000, 1000, 1000)]
)
def test_without_an_effect_at_most_five_percent_are_alarms(
    low: int, medium: int, high: int
) -> None:
    """Of 4,000 trials in which all buckets draw from the guide's distribution."""
    chance = random.Random(f"{low}/{medium}/{high}")
    alarms = sum(
        degraded(
            drawn(chance, low, GUIDE), drawn(chance, medium, GUIDE), drawn(chance, high, GUIDE)
        )
        is not None
        for _ in range(TRIALS)
    )
    print(f"{low}/{medium}/{high}: {100 * alarms / TRIALS:.2f} % of {TRIALS}")
    assert alarms <= 0.05 * TRIALS


def test_a_drop_of_half_a_star_at_high_load_is_found() -> None:
    """100 ratings in each bucket and only the high one 0.5 stars lower: 6, in at least 90 %."""
    chance = random.Random(5)
    lower = lowered(GUIDE, 0.5)
    assert mean(lower) == pytest.approx(mean(GUIDE) - 0.5)
    answers = Counter(
        degraded(drawn(chance, 100, GUIDE), drawn(chance, 100, GUIDE), drawn(chance, 100, lower))
        for _ in range(1000)
    )
    print(f"answers of 1000: {dict(answers)}")
    assert answers[6] >= 900


def test_a_drop_that_begins_at_medium_is_given_as_three() -> None:
    """Both buckets are lower, and the first of them is the answer."""
    assert degraded((0, 0, 0, 50, 50), (0, 0, 50, 50, 0), (0, 0, 50, 50, 0)) == 3
    chance = random.Random(6)
    lower = lowered(GUIDE, 0.5)
    answers = Counter(
        degraded(drawn(chance, 100, GUIDE), drawn(chance, 100, lower), drawn(chance, 100, lower))
        for _ in range(1000)
    )
    print(f"answers of 1000: {dict(answers)}")
    assert answers[3] >= 900


def test_too_few_ratings_decide_nothing() -> None:
    """Nine ratings, in the low bucket or in the candidate, are undecided however low they are."""
    assert degraded((0, 0, 0, 0, 9), (100, 0, 0, 0, 0), (100, 0, 0, 0, 0)) is None
    assert degraded((0, 0, 0, 0, 100), (9, 0, 0, 0, 0), (9, 0, 0, 0, 0)) is None
    assert degraded((0, 0, 0, 0, 10), (9, 0, 0, 0, 0), (10, 0, 0, 0, 0)) == 6
    assert degraded((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)) is None


def test_a_drop_below_a_fifth_of_a_star_is_none() -> None:
    """With a million ratings any drop is certain, but one of 0.199 stars is not worth a word."""
    million = 1_000_000
    low = (0, 0, 0, million, million)
    assert is_credibly_lower(low, (0, 0, 0, 1_400_000, 600_000))
    assert not is_credibly_lower(low, (0, 0, 0, 1_398_000, 602_000))


def test_equal_ratings_are_no_drop() -> None:
    """Without any spread there is nothing to compare."""
    assert degraded((0, 0, 0, 0, 50), (0, 0, 0, 0, 50), (0, 0, 0, 0, 50)) is None
    assert limit_p_value((0, 0, 0, 0, 50), (0, 0, 0, 0, 50)) == 1.0


def test_the_exact_p_is_that_of_all_splits_counted_one_by_one() -> None:
    """Equal to the recount, which deals the ratings value by value, and to plain enumeration."""
    chance = random.Random(7)
    for _ in range(200):
        low = tuple(chance.randrange(4) for _ in STARS)
        candidate = tuple(chance.randrange(4) for _ in STARS)
        if not (sum(low) and sum(candidate)):
            continue
        pooled = [first + second for first, second in zip(low, candidate, strict=True)]
        few = possible = 0
        for taken in itertools.product(*(range(count + 1) for count in pooled)):
            if sum(taken) == sum(candidate):
                ways = math.prod(map(math.comb, pooled, taken))
                possible += ways
                few += ways * (mean(taken) <= mean(candidate))
        assert favourable_splits(low, candidate) == (few, possible)


@settings(max_examples=25, deadline=None)
@given(
    counts=st.tuples(*[st.tuples(*[st.integers(0, 12)] * 5)] * 3).filter(
        lambda buckets: all(sum(bucket) for bucket in buckets)
    )
)
def test_the_answer_is_that_of_the_independent_recount(counts: tuple[tuple[int, ...], ...]) -> None:
    """Any three buckets of up to 60 ratings."""
    by_load = {
        bucket: [star for star, count in zip(STARS, given, strict=True) for _ in range(count)]
        for bucket, given in zip(("low", "medium", "high"), counts, strict=True)
    }
    assert degraded(*counts) == degrades_at_load(by_load)
    few, possible = favourable_splits(counts[0], counts[1])
    assert chance_of_so_few_stars(by_load["low"], by_load["medium"]) * possible == few


def test_exact_and_limit_agree_where_both_can_be_computed() -> None:
    """Around p = 0.025, up to sizes where the limit takes over: less than 0.005 apart."""
    chance = random.Random(8)
    compared, greatest = 0, 0.0
    for low_count, count in itertools.product((60, 100, 150, 200), repeat=2):
        for _ in range(20):
            lower = lowered(GUIDE, 2 * math.sqrt(1 / low_count + 1 / count))
            low, candidate = drawn(chance, low_count, GUIDE), drawn(chance, count, lower)
            if exact_terms(low, candidate) > 2 * MAX_EXACT_TERMS:
                continue
            few, possible = favourable_splits(low, candidate)
            exact = few / possible
            if 0.005 < exact < 0.1:
                compared += 1
                greatest = max(greatest, abs(exact - limit_p_value(low, candidate)))
    print(f"{compared} compared, greatest difference {greatest:.4f}")
    assert compared > 100
    assert greatest < 0.005


def test_a_million_ratings_take_no_exact_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost is bounded by the number of terms, not by the number of ratings."""
    low, high = [4000 * n for n in GUIDE], [4000 * n for n in (20, 30, 40, 70, 74)]
    assert exact_terms(tuple(low), tuple(high)) > MAX_EXACT_TERMS

    def too_many(*_counts: object) -> tuple[int, int]:
        raise AssertionError("936,000 ratings were dealt one by one")

    monkeypatch.setattr(degradation, "favourable_splits", too_many)
    is_credibly_lower.cache_clear()
    assert degraded(low, low, high) == 6


def test_both_endpoints_and_the_csv_show_where_ratings_drop(
    start: StartService, tmp_path: Path
) -> None:
    """The counts come from the marts; ratings of unknown load are in no bucket."""
    marts = Marts(
        feedback=[
            (ACME, 5, "low", *ratings(*GUIDE_LOW), "2026-03-10 00:00"),
            (ACME, 5, "medium", *ratings(*GUIDE_MEDIUM), "2026-03-09 00:00"),
            (ACME, 5, "high", *ratings(*GUIDE_HIGH), "2026-03-08 00:00"),
            (ACME, 6, "low", *ratings(0, 0, 0, 0, 50), "2026-03-10 00:00"),
            (ACME, 6, "unknown", *ratings(50, 0, 0, 0, 0), "2026-03-10 00:00"),
        ],
    )
    snapshot_fixture.publish(tmp_path, marts)
    service = start()
    feedback = service.get("/api/stats/feedback/by-agent-type").json()["agent_types"]
    assert list(feedback[0])[-2:] == ["rating_by_load", "rating_degrades_at_load"]
    assert [kind["rating_degrades_at_load"] for kind in feedback] == [6, None]
    compared = service.get("/api/stats/agent-types/comparison").json()["agent_types"]
    assert [kind["satisfaction"] for kind in compared] == [
        {"feedback_count": 156, "average_rating": 4.21, "rating_degrades_at_load": 6},
        {"feedback_count": 100, "average_rating": 3.0, "rating_degrades_at_load": None},
    ]
    text = service.get("/api/stats/feedback/by-agent-type?format=csv").text.splitlines()
    assert text[1].endswith(",33,6") and text[2].endswith(",0,")
