"""Money: exact in, exact out, and a rounding that never loses a unit."""

from fractions import Fraction

import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon import money

CURRENCIES = st.sampled_from(sorted(money.EXPONENTS))
MINOR = st.integers(-money.MAXIMUM_MINOR, money.MAXIMUM_MINOR)
RATIOS = st.fractions(-(10**18), 10**18, max_denominator=10**9)
WITHOUT_MINOR_UNIT = {"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"}


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("HUF", 2), ("RSD", 2), ("IQD", 3), ("MGA", 2), ("HRK", 2)],
)
def test_exponents_are_those_of_iso_4217(currency: str, exponent: int) -> None:
    """A currency's decimals are ISO 4217's, where CLDR's display digits differ too (RSD, IQD, MGA)."""
    assert money.exponent(currency) == exponent


def test_every_currency_of_the_standard_is_known() -> None:
    """Every active ISO 4217 code has an exponent here, or is one of those without a minor unit."""
    listed = {currency.alpha_3 for currency in pycountry.currencies}

    assert listed - set(money.EXPONENTS) == WITHOUT_MINOR_UNIT


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "XXX", "XAU", "ZZZ"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    """A code that is no ISO 4217 currency with a minor unit has no exponent, and its text is not repeated."""
    with pytest.raises(money.UnknownCurrencyError) as refused:
        money.exponent(currency)

    assert str(refused.value) == "the currency is not an ISO 4217 code with a minor unit"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.3", "EUR", 1230),
        ("12.30", "EUR", 1230),
        ("0.01", "EUR", 1),
        ("-0.01", "EUR", -1),
        ("0", "EUR", 0),
        ("1500", "JPY", 1500),
        ("1.234", "KWD", 1234),
        ("92233720368547758.07", "EUR", 2**63 - 1),
    ],
)
def test_amounts_are_read_exactly(text: str, currency: str, minor: int) -> None:
    """A decimal text in major units becomes whole minor units."""
    assert money.parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("", "EUR"),
        ("1.", "EUR"),
        (".5", "EUR"),
        ("01", "EUR"),
        ("+1", "EUR"),
        (" 1", "EUR"),
        ("1\n", "EUR"),
        ("1e3", "EUR"),
        ("1,50", "EUR"),
        ("1_000", "EUR"),
        ("NaN", "EUR"),
        ("Infinity", "EUR"),
        ("1/3", "EUR"),
        ("١٢", "EUR"),
        ("1.001", "EUR"),
        ("1.000", "EUR"),
        ("1.0", "JPY"),
        ("92233720368547758.08", "EUR"),
        ("9" * 31, "EUR"),
        ("1.00", "ZZZ"),
    ],
)
def test_what_is_no_exact_amount_is_refused(text: str, currency: str) -> None:
    """Other spellings, other digits, more decimals than the currency has, and too large: each is refused."""
    with pytest.raises(money.MoneyError):
        money.parse_amount(text, currency)


def test_a_refusal_repeats_nothing() -> None:
    """A card number in the place of an amount or a currency is not in the refusal's words."""
    for text, currency in (("4111 1111 1111 1111", "EUR"), ("4111111111111111.123", "EUR"), ("1", "4111111111111111")):
        with pytest.raises(money.MoneyError) as refused:
            money.parse_amount(text, currency)

        assert "4111" not in str(refused.value)


@given(MINOR, CURRENCIES)
def test_the_machine_text_of_an_amount_reads_back(minor: int, currency: str) -> None:
    """`parse_amount` is the inverse of `decimal_text`."""
    assert money.parse_amount(money.decimal_text(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(-5, "EUR", "-0.05"), (0, "EUR", "0.00"), (7, "JPY", "7"), (-1, "KWD", "-0.001"), (123456, "CLF", "12.3456")],
)
def test_the_machine_text_has_all_decimals(minor: int, currency: str, text: str) -> None:
    """The text for machines has exactly the currency's decimals."""
    assert money.decimal_text(minor, currency) == text


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (-1234567, "EUR", "en", "-€12,345.67"),
        (1234567, "EUR", "fi", "12\xa0345,67\xa0€"),
        (1234567, "EUR", "el", "12.345,67\xa0€"),
        (1234567, "JPY", "en", "¥1,234,567"),
        (1234567, "KWD", "lv", "1\xa0234,567\xa0KWD"),
        (1234501, "RSD", "tr", "RSD12.345,01"),
        (money.MAXIMUM_MINOR, "EUR", "en", "€92,233,720,368,547,758.07"),
    ],
)
def test_people_read_amounts_in_their_language(minor: int, currency: str, locale: str, text: str) -> None:
    """An amount is written as its reader's locale does, with the currency's decimals even where CLDR shows none."""
    assert money.format_amount(minor, currency, locale) == text


def test_a_rate_is_minor_units_per_point() -> None:
    """A price of 0.0100 EUR per point is exactly one cent; a third of a cent's decimals are kept."""
    assert money.parse_rate("0.0100", "EUR") == Fraction(1)
    assert money.parse_rate("0.0015", "EUR") == Fraction(3, 20)
    assert money.parse_rate("1.5", "JPY") == Fraction(3, 2)


@given(RATIOS)
def test_the_text_of_a_ratio_reads_back(ratio: Fraction) -> None:
    """`parse_ratio` is the inverse of `ratio_text`."""
    assert money.parse_ratio(money.ratio_text(ratio)) == ratio


@pytest.mark.parametrize("text", ["", "2/4", "4/1", "1/0", "1/-2", "-0", "1.5", "0/1", " 1", "1/2/3", "01", "+1"])
def test_a_ratio_has_one_text(text: str) -> None:
    """A ratio that is not in lowest terms, or is written otherwise, is refused."""
    with pytest.raises(money.MoneyError):
        money.parse_ratio(text)


@pytest.mark.parametrize(
    ("exact", "whole"),
    [("1/2", 0), ("3/2", 2), ("5/2", 2), ("-1/2", 0), ("-3/2", -2), ("-5/2", -2), ("499/1000", 0), ("501/1000", 1)],
)
def test_halves_round_to_even(exact: str, whole: int) -> None:
    """A half goes to the even neighbour, above and below zero alike."""
    assert money.round_half_even(Fraction(exact)) == whole


@given(RATIOS)
def test_rounding_is_symmetric_and_near(exact: Fraction) -> None:
    """Rounding is at most half a unit off, and the reverse of an amount rounds to the reverse."""
    whole = money.round_half_even(exact)

    assert abs(exact - whole) <= Fraction(1, 2)
    assert money.round_half_even(-exact) == -whole


def test_largest_remainder_breaks_ties_for_the_earliest() -> None:
    """The published rule: larger remainders first; of equal ones, the earlier share."""
    assert money.largest_remainder(100, [1, 1, 1]) == (34, 33, 33)
    assert money.largest_remainder(101, [1, 1, 1]) == (34, 34, 33)
    assert money.largest_remainder(10, [Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)]) == (4, 3, 3)
    assert money.largest_remainder(-100, [1, 1, 1]) == (-33, -33, -34)
    assert money.largest_remainder(7, [6, 0, 1]) == (6, 0, 1)
    assert money.largest_remainder(0, [0, 0]) == (0, 0)
    assert money.largest_remainder(0, []) == ()


@pytest.mark.parametrize("weights", [[], [0, 0], [2, -1]])
def test_a_total_needs_weights_to_be_split_by(weights: list[int]) -> None:
    """No weights, only zeros, or a negative weight: the split is refused instead of losing the total."""
    with pytest.raises(money.MoneyError):
        money.largest_remainder(1, weights)


@given(MINOR, st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any))
def test_largest_remainder_loses_nothing(total: int, weights: list[int]) -> None:
    """The shares sum to the total, and none is a whole unit or more away from its exact share."""
    shares = money.largest_remainder(total, weights)

    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - Fraction(total * weight, sum(weights))) < 1


@given(st.lists(RATIOS, min_size=1, max_size=20), st.integers(-1, 1))
def test_spread_absorbs_a_carried_rounding(exact: list[Fraction], carried: int) -> None:
    """A total that is up to a unit and a half from the exact sum is spread whole, no share more than a unit off."""
    whole = sum(exact, start=Fraction())
    total = round(whole) + carried
    shares = money.spread(total, exact)

    assert sum(shares) == total
    near = abs(total - whole) <= 1
    assert all(abs(share - each) <= (1 if near else 2) for share, each in zip(shares, exact, strict=True))


def test_nothing_cannot_be_spread() -> None:
    """No shares take no total."""
    assert money.spread(0, []) == ()
    with pytest.raises(money.MoneyError):
        money.spread(1, [])
