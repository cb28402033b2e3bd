"""From which load on ratings are credibly lower: `rating_degrades_at_load`.

Everything here works on how often each number of stars was given, never on single ratings, so the
cost does not grow with their number. The method, its limits and its sources are in
docs/decisions/0008-rating-degrades-at-load.md.
"""

import functools
import math
from collections.abc import Sequence
from itertools import accumulate

from api.snapshots import Row

RATING_DEGRADES_AT_LOAD = (
    "First running-instance count of the first load bucket whose ratings are credibly lower than "
    "at low load: 3, 6, or null if none is or there are too few to tell. A correlation, not a "
    "cause."
)
"""What the schema says of the field."""

STARS = (1, 2, 3, 4, 5)

MIN_RATINGS = 10
"""In the low bucket and in the candidate: fewer decide nothing."""
MIN_DROP = (1, 5)
"""Stars below the mean of the low bucket, as a fraction: a smaller drop is not worth a warning."""
ALPHA = (1, 40)
"""p must be below this: 0.05 shared between the two candidates."""
MAX_EXACT_TERMS = 20_000
"""The exact distribution is computed if it has at most so many terms: some milliseconds."""

Counts = tuple[int, ...]
"""Ratings of one load bucket with 1, 2, 3, 4 and 5 stars."""


def degrades_at_load(row: Row) -> int | None:
    """`rating_degrades_at_load` of a query's row that holds the counts of each load bucket."""
    if row["low_rating_counts"] is None:  # an agent type without ratings
        return None
    return rating_degrades_at_load(
        row["low_rating_counts"],
        [
            (row[f"{bucket}_min_instances"], row[f"{bucket}_rating_counts"])
            for bucket in ("medium", "high")
        ],
    )


def rating_degrades_at_load(
    low: Sequence[int], candidates: Sequence[tuple[int, Sequence[int]]]
) -> int | None:
    """The first running-instance count of the first candidate with credibly lower ratings.

    `low` are the counts of the low bucket, `candidates` pairs of a bucket's least number of running
    instances and its counts, in order of load. None if no candidate is credibly lower.
    """
    for min_instances, counts in candidates:
        if is_credibly_lower(tuple(low), tuple(counts)):
            return min_instances
    return None


@functools.lru_cache(maxsize=4096)
def is_credibly_lower(low: Counts, candidate: Counts) -> bool:
    """Whether the candidate's ratings are too few stars below the low bucket's to be chance."""
    low_count, count = sum(low), sum(candidate)
    if min(low_count, count) < MIN_RATINGS:
        return False
    # Both means over the common denominator low_count * count, so that 0.2 is exactly 0.2.
    drop = _stars(low) * count - _stars(candidate) * low_count
    if drop * MIN_DROP[1] < MIN_DROP[0] * low_count * count:
        return False
    if exact_terms(low, candidate) > MAX_EXACT_TERMS:
        return limit_p_value(low, candidate) < ALPHA[0] / ALPHA[1]
    favourable, possible = favourable_splits(low, candidate)
    return favourable * ALPHA[1] < possible * ALPHA[0]


def favourable_splits(low: Counts, candidate: Counts) -> tuple[int, int]:
    """How many ways to deal the pooled ratings onto both buckets give the candidate at most the
    stars it has, and how many ways there are: their ratio is the exact p.

    The size of each bucket stays as it is, so few stars for the candidate are the same as a great
    difference of means. What is dealt are `drawn` ratings: those of the smaller bucket.
    """
    pooled = tuple(map(sum, zip(low, candidate, strict=True)))
    if sum(candidate) <= sum(low):
        stars: Counts = STARS
        drawn, most = sum(candidate), _stars(candidate)
    else:
        # At most so many stars for one are at least so many for the other: count them negative.
        stars = tuple(-star for star in STARS)
        drawn, most = sum(low), -_stars(low)
    rarest_first = sorted(zip(pooled, stars, strict=True))
    # The convolution over the three rarest values: (ratings, stars) -> number of ways.
    ways = {(0, 0): 1}
    for in_pool, star in rarest_first[:3]:
        choices = [math.comb(in_pool, taken) for taken in range(min(in_pool, drawn) + 1)]
        convolved: dict[tuple[int, int], int] = {}
        for (taken_before, stars_before), ways_before in ways.items():
            for taken in range(min(in_pool, drawn - taken_before) + 1):
                reached = (taken_before + taken, stars_before + star * taken)
                convolved[reached] = convolved.get(reached, 0) + ways_before * choices[taken]
        ways = convolved
    # The last two values: how many are drawn of both is known by now, so their stars follow from
    # how many are of the lesser one, and "at most so many stars" is "at least so many of it".
    (lesser, in_pool_of_lesser), (greater, in_pool_of_greater) = sorted(
        (star, in_pool) for in_pool, star in rarest_first[3:]
    )
    at_least: dict[int, list[int]] = {}
    favourable = 0
    for (taken, stars_taken), ways_taken in ways.items():
        left = drawn - taken
        if left not in at_least:
            at_least[left] = _ways_of_at_least(in_pool_of_lesser, in_pool_of_greater, left)
        needed = -((most - stars_taken - greater * left) // (greater - lesser))
        if needed <= left:
            favourable += ways_taken * at_least[left][max(needed, 0)]
    return favourable, math.comb(sum(pooled), drawn)


def _ways_of_at_least(in_pool: int, in_pool_of_other: int, drawn: int) -> list[int]:
    """For each number from 0 to `drawn`: the ways to draw at least so many of the first kind."""
    ways = [
        math.comb(in_pool, taken) * math.comb(in_pool_of_other, drawn - taken)
        for taken in range(drawn + 1)
    ]
    return list(accumulate(reversed(ways)))[::-1]


def exact_terms(low: Counts, candidate: Counts) -> int:
    """An upper bound of the products that `favourable_splits` adds up."""
    drawn = min(sum(low), sum(candidate))
    *rare, _, _ = sorted(map(sum, zip(low, candidate, strict=True)))
    rare_products = math.prod(min(in_pool, drawn) + 1 for in_pool in rare)
    last_products = (min(sum(rare), drawn) + 1) * (drawn + 1)
    return min(rare_products, math.comb(drawn + 3, 3)) + last_products


def limit_p_value(low: Counts, candidate: Counts) -> float:
    """p by the normal limit of the permutation distribution, with its exact mean and variance.

    The stars of a bucket move in steps, so half a step is added: the observed value counts.
    """
    pooled = tuple(map(sum, zip(low, candidate, strict=True)))
    count, ratings = sum(candidate), sum(pooled)
    stars = _stars(pooled)
    squares = sum(star * star * in_pool for star, in_pool in zip(STARS, pooled, strict=True))
    given = [star for star, in_pool in zip(STARS, pooled, strict=True) if in_pool]
    step = math.gcd(*(star - given[0] for star in given))
    spread = ratings * squares - stars * stars
    if spread == 0:
        return 1.0
    # (observed + step / 2 - mean) / standard deviation, each times 2 * ratings; in integers as
    # long as possible, because a million ratings squared leave a double little room.
    distance = 2 * (ratings * _stars(candidate) - count * stars) + step * ratings
    deviation = 2 * math.sqrt(spread * count * sum(low) / (ratings - 1))
    return math.erfc(-distance / deviation / math.sqrt(2)) / 2


def _stars(counts: Sequence[int]) -> int:
    return sum(star * count for star, count in zip(STARS, counts, strict=True))
