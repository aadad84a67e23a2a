"""Money and rates: whole minor units, exact ratios, and the only roundings there are.

Money is an int in the minor units of an ISO 4217 currency; a rate is a `fractions.Fraction`. No float is made here.
Messages never repeat what was given: it may be a card number in the wrong field.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from babel import Locale
from babel.numbers import NumberPattern, parse_pattern

MAXIMUM_MINOR = 2**63 - 1
"""The largest amount that a bigint column holds."""

_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]{0,29})(?:\.([0-9]{1,30}))?", re.ASCII)
_RATIO = re.compile(r"(-?(?:0|[1-9][0-9]{0,29}))(?:/([1-9][0-9]{0,29}))?", re.ASCII)

# ISO 4217 list one by number of decimals. The table is ours because exponents must never change under stored amounts:
# CLDR (babel) gives display digits (0 for AFN, ALL, IQD, IRR, KPW, LAK, LBP, MGA, MMK, RSD, SOS, SYP, YER), and the
# packages that list ISO 4217 drop a currency on the day it is withdrawn. Here none is ever taken out; a test tells when
# a new one is missing. Metals, bond units, drawing rights, test codes have no minor unit and are no settlement money.
_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
    "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR "
    "ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV "
    "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
    "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG "
    "ANG BGN CUC HRK SLL ZWL",  # withdrawn since 2022, and still in card messages about the past
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: Mapping[str, int] = MappingProxyType(
    {currency: exponent for exponent, currencies in _BY_EXPONENT.items() for currency in currencies.split()}
)
"""ISO 4217 code → number of decimals of its minor unit."""


class MoneyError(ValueError):
    """What was given is no amount, ratio or currency; the message says why and repeats nothing."""


class UnknownCurrencyError(MoneyError):
    """The code is not an ISO 4217 currency with a minor unit."""


def exponent(currency: str) -> int:
    """Return how many decimals the currency's minor unit has (ISO 4217); raise UnknownCurrencyError."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrencyError("the currency is not an ISO 4217 code with a minor unit") from None


def minor_units(currency: str) -> int:
    """Return how many minor units one major unit has: 100 for EUR, 1 for JPY; raise UnknownCurrencyError."""
    return int(10 ** exponent(currency))


def parse_amount(text: str, currency: str) -> int:
    """Return the minor units that an exact decimal text in major units says: ("12.3", "EUR") is 1230.

    Digits, at most one dot, an optional minus; no more decimals than the currency has. Raises MoneyError.
    """
    decimals = exponent(currency)
    minor = parse_decimal(text) * minor_units(currency)
    if len(text.partition(".")[2]) > decimals:
        raise MoneyError(f"the amount has more decimals than the {decimals} of its currency")
    if abs(minor) > MAXIMUM_MINOR:
        raise MoneyError("the amount is too large")
    return int(minor)


def parse_rate(text: str, currency: str) -> Fraction:
    """Return minor units per point from an exact decimal text in major units per point: ("0.0100", "EUR") is 1."""
    return parse_decimal(text) * minor_units(currency)


def parse_decimal(text: str) -> Fraction:
    """Return the exact value of a decimal text: no exponent, no sign but minus, no needless leading zero."""
    if not (found := _DECIMAL.fullmatch(text)):
        raise MoneyError("not an exact decimal number such as 12.30")
    sign, whole, decimals = found[1], found[2], found[3] or ""
    value = Fraction(int(whole + decimals), 10 ** len(decimals))
    return -value if sign else value


def parse_ratio(text: str) -> Fraction:
    """Return the ratio that "n" or "n/d" in lowest terms says; the one text that `ratio_text` writes is accepted."""
    if found := _RATIO.fullmatch(text):
        ratio = Fraction(int(found[1]), int(found[2] or 1))
        if ratio_text(ratio) == text:
            return ratio
    raise MoneyError('not a ratio "n" or "n/d" in lowest terms')


def ratio_text(ratio: Fraction) -> str:
    """Return the ratio as "n" or "n/d" in lowest terms."""
    return str(ratio)


def decimal_text(minor: int, currency: str) -> str:
    """Return an amount as machines exchange it: (-1230, "EUR") is "-12.30"; `parse_amount` reads it back."""
    decimals = exponent(currency)
    digits = str(abs(minor)).rjust(decimals + 1, "0")
    whole, fraction = (digits[:-decimals], "." + digits[-decimals:]) if decimals else (digits, "")
    return f"{'-' if minor < 0 else ''}{whole}{fraction}"


def format_amount(minor: int, currency: str, locale: str = "en") -> str:
    """Return an amount as people of a locale (`fi`, `zh`, `en_GB`) read it, always with the currency's own decimals."""
    place = Locale.parse(locale)
    pattern = _with_decimals(place.currency_formats["standard"], exponent(currency))
    amount = Decimal(decimal_text(minor, currency))
    return str(pattern.apply(amount, place, currency=currency, currency_digits=False))


def _with_decimals(pattern: NumberPattern, decimals: int) -> NumberPattern:
    """Return the pattern with ISO 4217's decimals: CLDR would show Serbian paras as nothing."""
    copy = parse_pattern(pattern.pattern)
    copy.frac_prec = (decimals, decimals)
    return copy


def round_half_even(exact: Fraction) -> int:
    """Return the nearest whole number; of two as near, the even one (so that halves do not drift to one party)."""
    return round(exact)


def spread(total: int, exact: Sequence[Fraction]) -> tuple[int, ...]:
    """Return whole shares that sum to the total, each as near to its exact share as that allows.

    Largest remainder: every share is rounded down; the units left over go one each to the largest remainders, and of
    equal remainders to the earliest share. Units too many (the exact shares sum to more than the total) are taken by
    the same rule from the smallest remainders, latest first. Raises MoneyError for a total over no shares.
    """
    shares = [each.numerator // each.denominator for each in exact]
    left = total - sum(shares)
    if not shares:
        if left:
            raise MoneyError("nothing to spread the total over")
        return ()
    everyone, some = divmod(left, len(shares))
    by_remainder = sorted(range(len(shares)), key=lambda place: (shares[place] - exact[place], place))
    favoured = set(by_remainder[:some])
    return tuple(share + everyone + (place in favoured) for place, share in enumerate(shares))


def largest_remainder(total: int, weights: Iterable[int | Fraction]) -> tuple[int, ...]:
    """Return the total split in proportion to the weights (none negative), by the tie rule of `spread`."""
    exact = [Fraction(weight) for weight in weights]
    whole = sum(exact)
    if any(weight < 0 for weight in exact):
        raise MoneyError("a weight is negative")
    if not whole:
        if total:
            raise MoneyError("nothing to spread the total over")
        return (0,) * len(exact)
    return spread(total, [total * weight / whole for weight in exact])
