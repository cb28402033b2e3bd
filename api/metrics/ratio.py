"""The one arithmetic of all ratios: exact, rounded half away from zero, once."""

Ratio = int | float | None


def exact_ratio(numerator: int, denominator: int, digits: int, scale: int = 1) -> Ratio:
    """What `macros/engines/exact_ratio.sql` computes.

    scale * numerator / denominator, rounded half away from zero to so many decimals: an int for
    none of them, else a float. None for a denominator of 0. Neither may be negative.
    """
    if denominator <= 0:
        return None
    unit: int = 10**digits
    rounded = (2 * numerator * scale * unit + denominator) // (2 * denominator)
    return rounded if digits == 0 else float(rounded) / unit
