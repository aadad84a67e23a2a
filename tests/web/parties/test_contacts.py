"""E-mail addresses, telephone numbers and rates in the one form that is stored and shown."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from koinon.contacts import ContactInvalid, email_address, phone_number
from koinon.money import parse_decimal, parse_ratio
from koinon.parties.rates import decimal_rate, exact_decimal


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@example.org", "ada@example.org"),
        (" Ada.Lovelace+News@Mail.Example.ORG ", "ada.lovelace+news@mail.example.org"),
        ("ada@päivä.fi", "ada@xn--piv-qlac.fi"),
        ("ada@XN--PIV-QLAC.fi", "ada@xn--piv-qlac.fi"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("o'brien@example.org", "o'brien@example.org"),
    ],
)
def test_one_form_of_an_address(text: str, address: str) -> None:
    """Case and spaces around do not matter, and a domain is ASCII; saying it again changes nothing."""
    assert email_address(text) == address
    assert email_address(address) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@here.example",
        "ada@example",
        "a@b@example.org",
        ".a@example.org",
        "a.@example.org",
        "a..b@example.org",
        "a@-example.org",
        "a@exa_mple.org",
        "a@example..org",
        "a@1.2.3.4",
        "a b@example.org",
        "ä@example.org",
        '"a b"@example.org',
        "Ada <ada@example.org>",
        "a@[1.2.3.4]",
        "a@laptop.local",
        "a@nowhere.invalid",
        "a@example.org\n.b",
        f"{'a' * 65}@example.org",
        f"a@{'b' * 64}.org",
        "a@" + "b." * 130 + "org",
    ],
)
def test_what_is_no_address(text: str) -> None:
    """A missing part, a dot too many, a label too long, an address of numbers: refused without an echo."""
    with pytest.raises(ContactInvalid) as refused:
        email_address(text)
    assert len(text) < 4 or text not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+358401234567", "+358401234567"),
        ("+358 40 123-4567", "+358401234567"),
        (" +358 (40) 123.45/67 ", "+358401234567"),
        ("+358\u00a0401234567", "+358401234567"),
        ("+358 (0)40 1234567", "+358401234567"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+39 06 1234 5678", "+390612345678"),
    ],
)
def test_one_form_of_a_number(text: str, number: str) -> None:
    """What people write between the digits does not matter, nor the zero of a call at home; Italy's zero belongs."""
    assert phone_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "0401234567",
        "00358401234567",
        "+0401234567",
        "+35840",
        "+3584012345678901",
        "+35840123456a",
        "+358401234567 ext. 5",
        "+1 800 FLOWERS",
        "+999123456789",
        "++358401234567",
        "+٣٥٨٤٠١٢٣٤٥٦٧",
    ],
)
def test_what_is_no_number(text: str) -> None:
    """A national number is not guessed at; its country must exist, its length be one that the country has."""
    with pytest.raises(ContactInvalid):
        phone_number(text)


@given(st.text(max_size=60))
def test_no_text_breaks_them(text: str) -> None:
    """Whatever is given is an address or number in a stable form, or refused."""
    for read in (email_address, phone_number):
        try:
            form = read(text)
        except ContactInvalid:
            continue
        assert form.isascii()
        assert read(form) == form


def test_rates_are_shown_as_they_are_written() -> None:
    """Minor units per point come back as exact decimals of major units, by the currency's exponent."""
    assert decimal_rate(17, 20, "EUR") == "0.0085"
    assert decimal_rate(1, 1, "EUR") == "0.01"
    assert decimal_rate(1, 1, "JPY") == "1"
    assert decimal_rate(3, 2, "KWD") == "0.0015"
    assert decimal_rate(0, 1, "EUR") == "0"
    assert exact_decimal(Fraction(1, 3)) == "1/3"
    assert exact_decimal(Fraction(-5, 4)) == "-1.25"


@given(st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**6))
def test_a_shown_ratio_is_exact(ratio: Fraction) -> None:
    """Reading a shown ratio gives the ratio itself."""
    shown = exact_decimal(ratio)

    assert (parse_ratio(shown) if "/" in shown else parse_decimal(shown)) == ratio
