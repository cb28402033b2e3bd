"""The one arithmetic of all ratios: exact, rounded half away from zero, once."""

Ratio = int | float | None
Shown = Ratio | str
"""A figure as it is shown: money is a text, all others are numbers."""

USD_DIGITS = 6
USD_UNITS: int = 10**12
"""Units of money in a US dollar."""


def exact_ratio(numerator: int, denominator: int, digits: int, scale: int = 1) -> Ratio:
    """A ratio as it is shown.

    scale * numerator / denominator, rounded half away from zero to so many decimals: an int for
    none of them, else a float. None for a denominator of 0. Neither may be negative.
    """
    if denominator <= 0:
        return None
    unit: int = 10**digits
    rounded = (2 * numerator * scale * unit + denominator) // (2 * denominator)
    return rounded if digits == 0 else float(rounded) / unit


def exact_usd(units: int, per: int = 1) -> str | None:
    """An amount of money as it is shown: US dollars with 6 decimals, rounded half away from zero.

    `units` are 10^-12 US dollars, and may not be negative. None `per` 0.
    """
    if per <= 0:
        return None
    millionths = rounded_units(units, per)
    whole, rest = divmod(millionths, 10**USD_DIGITS)
    return f"{whole}.{rest:0{USD_DIGITS}}"


def rounded_units(units: int, per: int) -> int:
    """Millionths of a US dollar `per` something above 0, rounded half away from zero."""
    unit: int = USD_UNITS // 10**USD_DIGITS * per
    return (2 * units + unit) // (2 * unit)


def usd_sql(units: str, per: str) -> str:
    """The same as an SQL expression, of two integer expressions: a decimal(38, 6)."""
    return (
        f"case\n    when {per} > 0\n        then cast(\n"
        f"            {usd_order_sql(units, per)}\n"
        "            as decimal(31, 0)\n        ) * cast(0.000001 as decimal(7, 6))\nend"
    )


def usd_order_sql(units: str, per: str) -> str:
    """What it is in millionths of a US dollar, as an SQL expression: to order by."""
    unit = f"{USD_UNITS // 10**USD_DIGITS} * cast({per} as hugeint)"
    return f"(2 * cast({units} as hugeint) + {unit}) // (2 * {unit})"


def ratio_sql(numerator: str, denominator: str, digits: int, scale: int = 1) -> str:
    """The same as an SQL expression, of two integer expressions: a bigint, or a double.

    By integer division in hugeint, because a double would put 0.125 or 2.675 on either side of the
    half at random. (Beyond 2^53 units of the last decimal a double has no room for more.)
    """
    kind = "bigint" if digits == 0 else "double"
    unit = f" / {10**digits}.0::double" if digits else ""
    return (
        f"case\n    when {denominator} > 0\n        then cast(\n"
        f"            {_units(numerator, denominator, scale * 10**digits)}\n"
        f"            as {kind}\n        ){unit}\nend"
    )


def ratio_order_sql(numerator: str, denominator: str, digits: int, scale: int = 1) -> str:
    """What it is in units of its last decimal, as an SQL expression: to order by."""
    return (
        f"case when {denominator} > 0 then {_units(numerator, denominator, scale * 10**digits)} end"
    )


def _units(numerator: str, denominator: str, factor: int) -> str:
    return (
        f"(2 * cast({numerator} as hugeint) * {factor} + {denominator})"
        f" // (2 * cast({denominator} as hugeint))"
    )
