"""Rates as people and machines write them: exact decimals in major units."""

from fractions import Fraction

from koinon.money import minor_units, ratio_text

DECIMALS_MAXIMUM = 30


def decimal_rate(numerator: int, denominator: int, currency: str) -> str:
    """Return a rate of minor units per point as an exact decimal in major units: (17, 20, "EUR") is "0.0085"."""
    return exact_decimal(Fraction(numerator, denominator * minor_units(currency)))


def exact_decimal(ratio: Fraction) -> str:
    """Return a ratio as the shortest exact decimal text, or as `n/d` when no decimal is exact."""
    for decimals in range(DECIMALS_MAXIMUM + 1):
        scaled = ratio * 10**decimals
        if scaled.denominator == 1:
            digits = str(abs(scaled.numerator)).rjust(decimals + 1, "0")
            whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
            return f"{'-' if ratio < 0 else ''}{whole}{'.' + fraction if fraction else ''}"
    return ratio_text(ratio)
