"""How figures and times are written for people; the page's language is English as Europe writes it."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from babel.dates import format_date, format_datetime, get_timezone
from babel.numbers import format_decimal

from koinon.money import format_amount
from koinon.parties.rates import exact_decimal

LOCALE = "en_GB"
LANGUAGE = "en"
DIRECTION = "ltr"
MINUS = "\u2212"
SHADES = 8
"""How many parts of a picture the style tells apart."""


def points(count: int) -> str:
    """Return a number of points with its thousands parted."""
    return str(format_decimal(count, locale=LOCALE)).replace("-", MINUS)


def signed_points(count: int) -> str:
    """Return a change of points with its sign."""
    return ("+" if count > 0 else "") + points(count)


def money(minor: int, currency: str) -> str:
    """Return an amount in minor units with its currency."""
    return format_amount(minor, currency, LOCALE).replace("-", MINUS)


def day(value: date, form: str = "d MMM y") -> str:
    """Return a calendar day; `form` is a CLDR date pattern."""
    return str(format_date(value, form, locale=LOCALE))


def moment(instant: datetime, zone: str, form: str = "d MMM y, HH:mm") -> str:
    """Return an instant as the clocks of a zone show it."""
    return str(format_datetime(instant, form, tzinfo=get_timezone(zone), locale=LOCALE))


def day_in(instant: datetime, zone: str, form: str = "d MMM y") -> str:
    """Return the calendar day of an instant in a zone."""
    return moment(instant, zone, form)


def percent(ratio: str) -> str:
    """Return an exact ratio's text ("0.75", "1/3") in percent: 75 %, or as it stands when no decimal is exact."""
    hundred = exact_decimal(Fraction(ratio) * 100)
    return ratio if "/" in hundred else f"{hundred}\u00a0%"


def shade(rank: int) -> int:
    """Return which of SHADES the part at `rank` (from 0) is drawn in, from 1; the last one serves all the rest."""
    return min(rank, SHADES - 1) + 1


def grouped(text: str, size: int = 4) -> list[str]:
    """Return the groups of a long code, for people who read it aloud."""
    return [text[start : start + size] for start in range(0, len(text), size)]


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "points": points,
        "signed_points": signed_points,
        "money": money,
        "day": day,
        "moment": moment,
        "day_in": day_in,
        "percent": percent,
        "shade": shade,
        "grouped": grouped,
    }
)
"""The filters that every template has."""
