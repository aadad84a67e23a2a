"""One purchase earns once for each stack group, and the member gets the better of what it could earn."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from offers.model import PointsPerAmount
from offers.payments.fold import Payment, fold
from offers.rewarding.decisions import Limit, PurchaseSeen, decide, limited, re_execute, till_facts
from offers.rewarding.rewards import STACKED_OUT, Contender, TillSighting, contender, is_same_purchase, reward
from tests.unit.offers.samples import ACTIVATED_AT, HELSINKI, activation, decided, message, version

BOUGHT_AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


def stated(points: int, **fields: Any) -> Contender:
    """Return a reward as a brand's till stated it."""
    return Contender(seen=PurchaseSeen.TILL, partner="grocer", confirmed_points=points, **fields)


def offered(points: int, offer_id: int = 1, **fields: Any) -> Contender:
    """Return a reward of an offer, by card."""
    return Contender(seen=PurchaseSeen.CARD, partner="grocer", confirmed_points=points, offer_id=offer_id, **fields)


def sighting(**fields: Any) -> TillSighting:
    """Return a till's tender that is the sample purchase."""
    same: dict[str, Any] = {
        "card_token": "tok_a",
        "source_id": "src_a",
        "auth_code": "a1b2c3",
        "place_id": 7,
        "amount_minor": 5000,
        "currency": "EUR",
        "occurred_at": BOUGHT_AT,
    }
    return TillSighting(**(same | fields))


def paid(kind: str = "authorisation", **fields: Any) -> Payment:
    """Return the sample purchase as the card saw it."""
    return fold([message(kind, **({"auth_code": "A1B2C3"} | fields))])


def test_a_purchase_seen_at_the_till_too_is_rewarded_once() -> None:
    """The better of both counts, at each step of the payment; the other says why it does not."""
    offer = version()
    at_till = till_facts(amount_minor=5000, currency="EUR", occurred_at=BOUGHT_AT, place=HELSINKI)
    half = version(offer_id=2, earn=PointsPerAmount(points=9, amount_minor=100))
    till = contender(decide(at_till, activation(half), half), half)
    steps = [[message()], [message(), message("clearing", 4800)], [message(), message("clearing", 4000)]]

    rewards = [reward([till, contender(decided(fold(messages), offer), offer)]) for messages in steps]

    assert [[(won.seen, won.points) for won in each.winners] for each in rewards] == [
        [(PurchaseSeen.CARD, 500)],
        [(PurchaseSeen.CARD, 480)],
        [(PurchaseSeen.TILL, 450)],
    ]
    lost = rewards[0].stacked_out[0]
    assert (lost.seen, lost.points) == (PurchaseSeen.TILL, 0)
    assert lost.decision is not None
    assert (lost.decision.reason, lost.decision.confirmed_points) == (STACKED_OUT, 0)
    assert re_execute(lost.decision, half) == lost.decision


def test_what_a_till_stated_competes_like_an_offer() -> None:
    """It has no offer and no decision, and belongs to the group of whatever names none."""
    result = reward([stated(510), offered(500)])

    assert [won.points for won in result.winners] == [510]
    assert [(lost.offer_id, lost.points) for lost in result.stacked_out] == [(1, 0)]


def test_groups_add_up() -> None:
    """Each group has its own winner."""
    result = reward(
        [offered(500), offered(300, 2), offered(40, 3, stack_group="extra"), stated(50, stack_group="extra")]
    )

    assert [(won.stack_group, won.points) for won in result.winners] == [("extra", 50), ("purchase", 500)]
    assert sorted(lost.offer_id for lost in result.stacked_out) == [2, 3]


def test_nobody_wins_with_nothing() -> None:
    """What earns nothing keeps its own reason and is neither winner nor loser."""
    assert reward([offered(0), stated(0)]) == reward([])
    assert reward([]).winners == ()


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (offered(501, 9), offered(500, 1)),
        (offered(0, 9, pending_points=501), offered(500, 1)),
        (offered(500, 9, activated_at=ACTIVATED_AT), offered(500, 1, activated_at=ACTIVATED_AT + timedelta(seconds=1))),
        (stated(500), offered(500, 1, activated_at=ACTIVATED_AT)),
        (offered(500, 1), offered(500, 2)),
        (offered(500, 1), offered(400, 1, pending_points=100)),
        (stated(500, offer_id=1), offered(500, 1)),
    ],
)
def test_ties_are_broken_the_same_way_in_any_order(better: Contender, worse: Contender) -> None:
    """Points, then the earlier activation, then the offer's id, then what is confirmed, then the till."""
    for order in permutations([better, worse]):
        assert reward(order).winners == (better,)


def test_a_budget_that_is_used_up_lets_another_win() -> None:
    """A contender competes with what could be granted."""
    offer = version()
    decision = limited(decided(fold([message()]), offer), Limit(100, "budget-exhausted"))

    assert reward([contender(decision, offer), stated(200)]).winners == (stated(200),)


def test_a_till_and_a_card_see_the_same_purchase() -> None:
    """The token or the account, the code, the place and the time agree."""
    assert is_same_purchase(sighting(), paid(), 7)
    par = "V0010013019010000000000000001"
    assert is_same_purchase(sighting(card_token=None, source_id=None, par=par), paid(par=par), 7)


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"card_token": "tok_b"}, 7),
        ({"source_id": "src_b"}, 7),
        ({"card_token": None}, 7),
        ({"card_token": None, "par": "V0010013019010000000000000001"}, 7),
        ({"auth_code": "Z9Y8X7"}, 7),
        ({"auth_code": "000000"}, 7),
        ({"place_id": 8}, 7),
        ({"occurred_at": BOUGHT_AT + timedelta(days=1, seconds=1)}, 7),
        ({"amount_minor": 4999}, None),
        ({"currency": "USD"}, None),
    ],
)
def test_one_thing_that_differs_makes_two_purchases(told: dict[str, Any], place: int | None) -> None:
    """Codes repeat, so they never decide alone."""
    assert not is_same_purchase(sighting(**told), paid(), place)


def test_while_the_place_is_unknown_the_amount_must_agree() -> None:
    """A new merchant id does not cost the member a second award later."""
    assert is_same_purchase(sighting(), paid(), None)


def test_a_clearing_alone_may_be_weeks_after_the_till() -> None:
    """Its time is not the purchase's."""
    assert is_same_purchase(sighting(), paid("clearing", occurred_at="2026-04-05T10:00:00Z"), 7)
    assert not is_same_purchase(sighting(), paid("clearing", occurred_at="2026-04-07T10:00:00Z"), 7)
