"""The permutation test of ratings by load, the long way: ratings dealt one value after another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import comb
from statistics import NormalDist, fmean, pvariance

FEWEST = 10
SMALLEST_DROP = Fraction(1, 5)
LEVEL = Fraction(1, 40)
MOST_DEALT_EXACTLY = 250
"""Ratings of both buckets: beyond, dealing takes too long and the normal limit stands in."""


def degrades_at_load(ratings_by_load: Mapping[str, Sequence[int]]) -> int | None:
    """3 or 6 if the ratings at medium or, failing that, at high load are credibly lower."""
    low = ratings_by_load.get("low", [])
    for bucket, first_instances in (("medium", 3), ("high", 6)):
        candidate = ratings_by_load.get(bucket, [])
        if len(low) < FEWEST or len(candidate) < FEWEST:
            continue
        drop = Fraction(sum(low), len(low)) - Fraction(sum(candidate), len(candidate))
        if drop >= SMALLEST_DROP and chance_of_so_few_stars(low, candidate) < LEVEL:
            return first_instances
    return None


def chance_of_so_few_stars(low: Sequence[int], candidate: Sequence[int]) -> Fraction | float:
    """The share of all ways to pick the candidate's ratings that give it at most its stars."""
    pooled = [*low, *candidate]
    if len(pooled) > MOST_DEALT_EXACTLY:
        mean = len(candidate) * fmean(pooled)
        variance = (
            pvariance([float(stars) for stars in pooled])
            * len(candidate) * len(low) / (len(pooled) - 1)
        )  # fmt: skip
        return NormalDist(mean, variance**0.5).cdf(sum(candidate) + 0.5)
    # ways[picked, stars]: how many sets of so many ratings have so many stars together.
    ways = {(0, 0): 1}
    for stars, given in sorted(Counter(pooled).items()):
        more: dict[tuple[int, int], int] = defaultdict(int)
        for (picked, sum_of_stars), count in ways.items():
            for extra in range(min(given, len(candidate) - picked) + 1):
                more[picked + extra, sum_of_stars + extra * stars] += count * comb(given, extra)
        ways = dict(more)
    few = sum(
        count
        for (picked, stars), count in ways.items()
        if picked == len(candidate) and stars <= sum(candidate)
    )
    return Fraction(few, comb(len(pooled), len(candidate)))
