"""Contract terms: read exactly, kept in range, and never leaving an honoured point unpaid for."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from koinon.audit.leaves import contract_bytes
from koinon.parties.model import (
    MAXIMUM_PARTS,
    MAXIMUM_RATE,
    Contract,
    Terms,
    TermsError,
    check_effective,
    check_terms,
    contract_at,
    contract_line,
    coverage_gap,
    parse_terms,
)

BEGIN = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


def contract(
    partner: str, version: int = 1, *, price: str = "1", fee: str = "3/20", honour: str = "17/20", currency: str = "EUR"
) -> Contract:
    """Return a contract of plain terms, each version a day after the one before; rates in minor units per point."""
    terms = Terms(price=Fraction(price), fee=Fraction(fee), issue_share=Fraction(1), honour=Fraction(honour))
    return Contract(
        partner=partner,
        version=version,
        currency=currency,
        terms=terms,
        effective_from=BEGIN + timedelta(days=version - 1),
    )


def parsed(**changes: str) -> Terms:
    """Return the terms of the acceptance scenario with some texts changed."""
    texts = {"price": "0.0100", "fee": "0.0015", "issue_share": "1", "honour": "0.0085", "currency": "EUR"}
    return parse_terms(**{**texts, **changes})


def test_rates_are_exact_minor_units_per_point() -> None:
    """0.0100 EUR a point is one cent, and what flows into the pool is derived without rounding."""
    terms = parsed(issue_share="1/3")

    assert (terms.price, terms.fee, terms.honour) == (Fraction(1), Fraction(3, 20), Fraction(17, 20))
    assert terms.funding == Fraction(17, 20)
    assert terms.issue_funding == Fraction(17, 60)
    assert terms.honour_funding == Fraction(17, 30)


def test_minor_units_follow_the_currency() -> None:
    """The same decimal text is another number of minor units in yen and in dinars."""
    assert parsed(price="2", fee="0.5", honour="1", currency="JPY").price == 2
    assert parsed(currency="KWD").price == 10


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("price", "0"),
        ("price", "-0.01"),
        ("price", "1e-2"),
        ("price", ""),
        ("price", "0.000000001"),
        ("price", "10000.01"),
        ("fee", "-0.0001"),
        ("fee", "0.0101"),
        ("fee", "abc"),
        ("issue_share", "-0.1"),
        ("issue_share", "1.01"),
        ("issue_share", "2/4"),
        ("issue_share", "0.0000001"),
        ("issue_share", "50%"),
        ("honour", "-0.001"),
        ("honour", "0.0086"),
        ("currency", "XXX"),
        ("currency", "euro"),
    ],
)
def test_a_field_out_of_range_is_named(field: str, text: str) -> None:
    """A price of zero, a fee above the price, a share beyond 0 to 1, needless precision: the field is named."""
    with pytest.raises(TermsError) as refused:
        parsed(**{field: text})

    assert refused.value.field == field


@pytest.mark.parametrize("share", ["0", "1", "0.5", "1/3", "0.000001"])
def test_every_way_of_funding_can_be_said(share: str) -> None:
    """All at redemption, all at issue, and split."""
    assert parsed(issue_share=share).issue_share == Fraction(share)


@given(
    st.fractions(min_value=0, max_value=MAXIMUM_RATE, max_denominator=MAXIMUM_PARTS),
    st.fractions(min_value=0, max_value=MAXIMUM_RATE, max_denominator=MAXIMUM_PARTS),
    st.fractions(min_value=0, max_value=1, max_denominator=MAXIMUM_PARTS),
)
def test_accepted_rates_fit_columns(price: Fraction, fee: Fraction, share: Fraction) -> None:
    """Whatever is accepted has numerators and denominators that fit a bigint."""
    terms = Terms(price=price, fee=fee, issue_share=share, honour=Fraction())
    try:
        check_terms(terms)
    except TermsError:
        assert price == 0 or fee > price
        return

    for rate in (terms.price, terms.fee, terms.honour, terms.issue_share):
        assert max(rate.numerator, rate.denominator) < 2**63


def test_covered_contracts_stand_beside_each_other() -> None:
    """An honour rate of exactly price less fee leaves nothing uncovered."""
    assert coverage_gap(contract("b"), [contract("a"), contract("c", honour="1/2")]) is None
    assert coverage_gap(contract("a"), []) is None


def test_an_acceptor_that_costs_more_than_an_issuer_pays_is_named() -> None:
    """A new honour rate above what another partner's points bring in names that pair and the shortfall."""
    gap = coverage_gap(contract("b", price="2", honour="1"), [contract("a"), contract("c", price="3")])

    assert gap is not None
    assert gap.facts() == {
        "issuer": "a",
        "issuer_version": 1,
        "acceptor": "b",
        "acceptor_version": 1,
        "funding": "17/20",
        "honour": "1",
        "shortfall": "3/20",
    }


def test_an_issuer_that_pays_less_than_an_acceptor_costs_is_named() -> None:
    """A new price below what another partner is paid to honour names that pair."""
    gap = coverage_gap(contract("b", price="1/2", honour="0"), [contract("a"), contract("c", honour="1/2")])

    assert gap is not None
    assert (gap.issuer, gap.acceptor, gap.shortfall) == ("b", "a", Fraction(1, 2))


def test_older_versions_count() -> None:
    """A lot keeps its issuer's old version, so a new honour rate is held against that too."""
    standing = [contract("a", 1, price="1/2", honour="0"), contract("a", 2)]
    gap = coverage_gap(contract("b"), standing)

    assert gap is not None
    assert (gap.issuer, gap.issuer_version) == ("a", 1)


def test_a_partners_own_versions_count() -> None:
    """A partner honours its own old points, so its new honour rate is held against its own old price."""
    gap = coverage_gap(contract("a", 2, price="2", honour="1"), [contract("a", 1)])

    assert gap is not None
    assert (gap.issuer, gap.issuer_version, gap.acceptor, gap.acceptor_version) == ("a", 1, "a", 2)


def test_the_widest_gap_is_named_whatever_the_order() -> None:
    """The widest gap is named, and of equal ones the first by name."""
    standing = [
        contract("d", price="1/2", honour="0"),
        contract("c", price="1/4", fee="0"),
        contract("a", price="1/4", fee="0"),
    ]

    for order in (standing, standing[::-1]):
        gap = coverage_gap(contract("b"), order)
        assert gap is not None
        assert (gap.issuer, gap.shortfall) == ("a", Fraction(3, 5))


def test_contracts_in_two_currencies_do_not_compare() -> None:
    """A contract in another currency than those that stand is refused."""
    with pytest.raises(TermsError) as refused:
        coverage_gap(contract("b", currency="USD"), [contract("a")])

    assert refused.value.field == "currency"


def test_the_version_in_force_is_the_last_that_has_begun() -> None:
    """A version holds from its first instant until the next begins; before the first there is none."""
    versions = [contract("a", 2), contract("a", 1)]

    assert contract_at(versions, BEGIN - timedelta(microseconds=1)) is None
    assert contract_at(versions, BEGIN) == contract("a", 1)
    assert contract_at(versions, BEGIN + timedelta(days=1, microseconds=-1)) == contract("a", 1)
    assert contract_at(versions, BEGIN + timedelta(days=1)) == contract("a", 2)


def test_a_version_begins_neither_in_the_past_nor_before_another() -> None:
    """From now on and after all versions: anything else is refused."""
    check_effective(contract("a", 1), [], BEGIN)
    check_effective(contract("a", 2), [contract("a", 1)], BEGIN)

    with pytest.raises(TermsError, match="past"):
        check_effective(contract("a", 1), [], BEGIN + timedelta(microseconds=1))
    with pytest.raises(TermsError, match="after"):
        check_effective(contract("a", 1), [contract("a", 2)], BEGIN)


def test_a_contracts_line_is_canonical() -> None:
    """The line that statements and bundles refer to is the canonical JSON of exact ratios."""
    line = contract_bytes(contract_line(contract("a")))

    assert line == rfc8785.dumps(
        {
            "type": "contract",
            "partner": "a",
            "version": "1",
            "price": "1",
            "fee": "3/20",
            "issue_share": "1",
            "honour": "17/20",
            "currency": "EUR",
            "effective_from": "2026-03-02T05:00:00Z",
        }
    )
