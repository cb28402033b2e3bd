"""The declared ratios in SQL: exact, rounded half away from zero, null without data."""

from decimal import ROUND_HALF_UP, Decimal

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestration.publication.metrics import read_metrics

SCALE_AND_DIGITS = {
    "avg_response_time_ms": (1, 0),
    "tokens_per_second": (1000, 1),
    "avg_tokens_per_message": (1, 0),
    "toxic_rate_percent": (100, 2),
    "pii_rate_percent": (100, 2),
    "pii_per_message": (1, 3),
    "pii_redactions_per_message": (1, 3),
    "average_rating": (1, 2),
    "avg_rating": (1, 2),
}


def computed(metric: str, numerator: int, denominator: int) -> object:
    """The value of a metric of two sums, typed as DuckDB types sums."""
    (macro,) = [each for each in read_metrics() if each.name == metric]
    first, second = macro.parameters
    ((value,),) = duckdb.execute(
        f"select {macro.sql} from (select ?::hugeint as {first}, ?::hugeint as {second})",
        [numerator, denominator],
    ).fetchall()
    return value


@pytest.mark.parametrize("metric", SCALE_AND_DIGITS)
@settings(max_examples=60, deadline=None)
@given(numerator=st.integers(0, 10**15), denominator=st.integers(1, 10**9))
def test_a_ratio_is_exact(metric: str, numerator: int, denominator: int) -> None:
    """Equal to decimal arithmetic of unlimited precision, rounded once."""
    scale, digits = SCALE_AND_DIGITS[metric]
    unit = Decimal(1).scaleb(-digits)
    units = (2 * numerator * scale * 10**digits + denominator) // (2 * denominator)
    assume(units < 2**53)  # beyond that a double has no room for the decimals
    exact = Decimal(units) * unit
    value = computed(metric, numerator, denominator)
    assert value == (int(exact) if digits == 0 else float(exact))
    assert isinstance(value, int if digits == 0 else float)


@pytest.mark.parametrize(
    ("metric", "numerator", "denominator", "expected"),
    [
        ("avg_response_time_ms", 5, 2, 3),
        ("avg_response_time_ms", 0, 4, 0),
        ("average_rating", 1, 8, 0.13),
        ("average_rating", 107, 40, 2.68),
        ("average_rating", 42, 1, 42.0),
        ("toxic_rate_percent", 3, 1250, 0.24),
        ("pii_rate_percent", 89, 1250, 7.12),
        ("pii_per_message", 112, 850, 0.132),
        ("tokens_per_second", 955, 10_000, 95.5),
        ("tokens_per_second", 1, 20_000, 0.1),
    ],
)
def test_halves_go_away_from_zero(
    metric: str, numerator: int, denominator: int, expected: float
) -> None:
    """Worked out by hand, the guide's own examples among them."""
    assert computed(metric, numerator, denominator) == expected
    _, digits = SCALE_AND_DIGITS[metric]
    assert Decimal(repr(expected)) == Decimal(repr(expected)).quantize(
        Decimal(1).scaleb(-max(digits, 1)), ROUND_HALF_UP
    )


@pytest.mark.parametrize("metric", SCALE_AND_DIGITS)
def test_without_data_a_ratio_is_null(metric: str) -> None:
    """A denominator of 0 is no data, never a rate of zero."""
    assert computed(metric, 0, 0) is None
    assert computed(metric, 5, 0) is None


def test_sums_beyond_64_bits_stay_exact() -> None:
    """The largest tokens a window may sum do not overflow."""
    assert computed("tokens_per_second", 9 * 10**18, 10**18) == 9000.0
