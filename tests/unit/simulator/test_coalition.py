"""The coalition before its day: contracts that cover each other, accounts that exist, people whose cards are tokens."""

import re
from datetime import date, datetime
from fractions import Fraction

import pytest
from schwifty import IBAN

from koinon.parties.model import parse_terms
from load_tests.simulator import Coalition, encode, make_coalition
from load_tests.simulator.brands import NETWORK_LETTERS


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    """Return the coalition that these tests look at."""
    return make_coalition(1)


def test_every_pair_of_contracts_is_covered(coalition: Coalition) -> None:
    """What any brand pays beyond the fee covers what any brand is owed, and one pair is covered exactly."""
    terms = [partner.contract for partner in coalition.partners]
    covers = min(Fraction(each.price) - Fraction(each.fee) for each in terms)
    assert covers == max(Fraction(each.honour) for each in terms) == Fraction("0.0085")


def test_contracts_differ_in_when_they_pay(coalition: Coalition) -> None:
    """All terms are readable; some pay all at issue, some all at redemption, some a part at each."""
    for partner in coalition.partners:
        terms = partner.contract
        parse_terms(
            price=terms.price,
            fee=terms.fee,
            issue_share=terms.issue_share,
            honour=terms.honour,
            currency=terms.currency,
        )
    shares = [partner.contract.issue_share for partner in coalition.partners]
    assert shares == ["1", "0", "0.5", "0.25", "0.75", "0"]
    assert [partner.category for partner in coalition.partners] == [
        "grocer",
        "fuel",
        "pharmacy",
        "cafe",
        "fashion",
        "travel",
    ]


def test_ibans_are_valid_and_distinct(coalition: Coalition) -> None:
    """Every brand has an account number of its country's form with the right checksum."""
    ibans = [IBAN(partner.iban) for partner in coalition.partners]
    assert {iban.country_code for iban in ibans} == {"FI", "DE", "LV", "GR", "EE", "NL"}


def test_the_set_up_lies_before_the_day(coalition: Coalition) -> None:
    """Contracts begin after the set-up and before enrolment, and enrolment is over before the day."""
    begins = {datetime.fromisoformat(partner.contract.effective_from) for partner in coalition.partners}
    assert len(begins) == 1
    assert coalition.setup_at == "2026-02-28T12:00:00+02:00"
    assert begins.pop().isoformat() == "2026-03-01T00:00:00+02:00"
    assert coalition.enrolment_at == "2026-03-01T12:00:00+02:00"


def test_places_have_two_to_five_and_share_merchant_ids(coalition: Coalition) -> None:
    """A brand has two to five places; a bare merchant id names two places, with its acquirer only one."""
    places = [place for partner in coalition.partners for place in partner.places]
    assert {len(partner.places) for partner in coalition.partners} == {2, 3, 4, 5}
    named = [(each.network, each.acquirer_id, each.value) for place in places for each in place.network_ids]
    assert len(named) == len(set(named)) == len(places) * (len(NETWORK_LETTERS) + 3)
    bare = [each.value for place in places for each in place.network_ids if each.kind == "acquirer"]
    assert len(set(bare)) < len(bare)
    assert all(int(each) for each in bare if each.isdigit())


def test_offers_are_of_both_kinds_and_never_run_out(coalition: Coalition) -> None:
    """Offers give points by amount or once, end after they begin, and have budgets beyond any day."""
    offers = [offer for partner in coalition.partners for offer in partner.offers]
    assert {bool(offer.per_minor) for offer in offers} == {True, False}
    assert all(offer.starts_at < offer.ends_at for offer in offers)
    assert min(offer.budget_points for offer in offers) == 1_000_000
    assert [offer.key for offer in offers if offer.ends_at == "2026-03-02T11:00:00"] == ["kafeneio-morning"]


def test_cards_are_named_by_tokens_alone(coalition: Coalition) -> None:
    """A card has a token, a PAR of 29 symbols and four digits; no run of digits could be a card number."""
    cards = [card for member in coalition.members for card in member.cards] + list(coalition.unlinked_cards)
    assert len({card.token for card in cards}) == len({card.par for card in cards}) == len(cards)
    for card in cards:
        assert re.fullmatch(r"[A-Z0-9]{29}", card.par)
        assert re.fullmatch(r"[0-9]{4}", card.last4)
        assert len(card.token) <= 64
        assert not re.search(r"[0-9]{5}", card.token.partition("_")[2] + card.par[4:])


def test_people_are_invented(coalition: Coalition) -> None:
    """500 people have addresses at the domain reserved for examples, one or two cards, and offers that exist."""
    offers = {offer.key for partner in coalition.partners for offer in partner.offers}
    assert len({member.email for member in coalition.members}) == 500
    assert all(member.email.endswith("@example.org") for member in coalition.members)
    assert {len(member.cards) for member in coalition.members} == {1, 2}
    assert offers == {key for member in coalition.members for key in member.activations}


def test_the_seed_and_the_date_are_arguments(coalition: Coalition) -> None:
    """The same arguments give the same bytes; another seed other people; another date the same people."""
    assert encode(make_coalition(1)) == encode(coalition)
    assert make_coalition(2).members != coalition.members
    later = make_coalition(1, members=10, business_date=date(2026, 5, 4))
    assert later.members == coalition.members[:10]
    assert later.setup_at == "2026-05-02T12:00:00+03:00"
