"""Decisions say which rules held, give the points that follow, and can be run again."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import msgspec
import pytest

from koinon.places.model import Resolution
from offers.feeds.messages import Channel
from offers.model import Activation, FixedPoints, Hours, OfferVersion, PointsPerAmount, version_faults
from offers.payments.fold import fold
from offers.rewarding.decisions import (
    Decision,
    Limit,
    PlaceFacts,
    PurchaseFacts,
    PurchaseSeen,
    RuleOutcome,
    Truth,
    card_facts,
    decide,
    limited,
    re_execute,
    receipt_bytes,
    till_facts,
)
from tests.unit.offers.samples import HELSINKI, LATER, LINKED_AT, activation, decided, message, points, refund, version


def local(text: str) -> datetime:
    """Return a time on the place's clock."""
    return datetime.fromisoformat(text)


def at(moment: str, offer: OfferVersion, **fields: Any) -> Decision:
    """Return the decision on a purchase of EUR 50.00 authorised at a moment."""
    return decided(fold([message(occurred_at=moment, **fields)]), offer)


def test_the_missions_card_linked_scenario() -> None:
    """Ten points a dollar from 09:00: 500 pending, 480 confirmed, 360 after a refund; nothing for 08:55."""
    offer = version(currency="USD")
    dollars: dict[str, Any] = {"currency": "USD"}
    switched_on = activation(offer, datetime(2026, 3, 2, 9, tzinfo=UTC))
    authorised = message(occurred_at="2026-03-02T10:00:00Z", **dollars)
    cleared = message("clearing", 4800, occurred_at=LATER, **dollars)
    returned = msgspec.structs.replace(refund(1200), currency="USD")
    early = message(occurred_at="2026-03-02T08:55:00Z", **dollars)

    def decision(*messages: Any) -> Decision:
        return decide(card_facts(fold(messages), Resolution(7), HELSINKI, LINKED_AT), switched_on, offer)

    steps = [decision(authorised), decision(authorised, cleared), decision(authorised, cleared, returned)]

    assert [(each.pending_points, each.confirmed_points) for each in steps] == [(500, 0), (0, 480), (0, 360)]
    assert [each.reason for each in steps] == [None, None, None]
    refused = decision(early)
    assert (refused.pending_points, refused.confirmed_points, refused.reason) == (0, 0, "before-activation")
    assert refused.qualifies is Truth.FALSE


def test_a_decision_carries_every_rule() -> None:
    """Rules that the version does not have are not named; each that it has says what it found."""
    offer = version(minimum_minor=6000, channels=(Channel.IN_STORE,), mcc_included=("5411",))

    assert decided(fold([message()]), offer).rules == (
        RuleOutcome("linked", Truth.TRUE),
        RuleOutcome("activation", Truth.TRUE),
        RuleOutcome("spend", Truth.TRUE),
        RuleOutcome("currency", Truth.TRUE),
        RuleOutcome("place", Truth.TRUE),
        RuleOutcome("window", Truth.TRUE),
        RuleOutcome("mcc", Truth.TRUE),
        RuleOutcome("channel", Truth.UNKNOWN, "unknown-channel"),
        RuleOutcome("minimum", Truth.FALSE, "below-minimum"),
    )
    assert decided(fold([message()]), offer).reason == "below-minimum"


@pytest.mark.parametrize(
    ("changes", "fields", "reason"),
    [
        ({"currency": "USD"}, {}, "currency-mismatch"),
        ({"places": (8, 9)}, {}, "place-not-in-offer"),
        ({"partner": "fuel"}, {}, "place-not-in-offer"),
        ({"ends_at": local("2026-03-02T12:00")}, {}, "outside-window"),
        ({"starts_at": local("2026-03-02T12:00:01")}, {}, "outside-window"),
        ({"weekdays": (2, 7)}, {}, "outside-weekdays"),
        ({"hours": (Hours(since=time(13), until=time(12)),)}, {}, "outside-hours"),
        ({"mcc_excluded": ("5411",)}, {}, "mcc-not-in-offer"),
        ({"mcc_included": ("5541",)}, {}, "mcc-not-in-offer"),
        ({"mcc_excluded": ("5541",)}, {"mcc": None}, "unknown-mcc"),
        ({"channels": (Channel.ONLINE,)}, {"pos_entry_mode": "071"}, "channel-not-in-offer"),
        ({"channels": (Channel.ONLINE,)}, {}, "unknown-channel"),
        ({"channels": (Channel.ONLINE,)}, {"card_present": False}, "unknown-channel"),
        ({"channels": (Channel.IN_STORE,)}, {"card_present": False}, "channel-not-in-offer"),
        ({"minimum_minor": 5001}, {}, "below-minimum"),
        ({"earn": PointsPerAmount(points=1, amount_minor=5001)}, {}, "rounds-to-nothing"),
        ({}, {"amount_minor": 0}, "card-check"),
        ({}, {"kind": "decline"}, "declined"),
        ({}, {"kind": "auth_reversal"}, "reversed"),
        ({}, {"kind": "auth_expiry"}, "expired"),
        ({}, {"kind": "refund"}, "orphan-refund"),
        ({}, {"kind": "chargeback"}, "disputed"),
        ({}, {"kind": "clearing", "components": {"cashback_minor": 5000}}, "no-spend"),
    ],
)
def test_what_does_not_qualify_says_why_and_earns_nothing(
    changes: dict[str, Any], fields: dict[str, Any], reason: str
) -> None:
    """The purchase is of EUR 50.00, on Monday 2 March 2026 at 12:00 in Helsinki."""
    decision = decided(fold([message(**fields)]), version(**changes))

    assert (decision.reason, decision.pending_points, decision.confirmed_points) == (reason, 0, 0)


def test_a_till_sees_what_was_paid_and_expects_no_more() -> None:
    """One cent below the point it earns nothing, now or later: nothing is pending at a till."""
    offer = version(earn=PointsPerAmount(points=1, amount_minor=5000), activation_required=False)
    facts = till_facts(amount_minor=4999, currency="EUR", occurred_at=LINKED_AT, place=HELSINKI)

    decision = decide(facts, None, offer)

    assert (decision.reason, decision.pending_points, decision.confirmed_points) == ("rounds-to-nothing", 0, 0)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"places": (7,), "partner": "fuel"}, {}),
        ({"weekdays": (1,)}, {}),
        ({"starts_at": local("2026-03-02T12:00")}, {}),
        ({"ends_at": local("2026-03-02T12:00:01")}, {}),
        ({"hours": (Hours(since=time(12), until=time(13)),)}, {}),
        ({"hours": (Hours(since=time(22), until=time(12, 1)),)}, {}),
        ({"mcc_included": ("5411",), "mcc_excluded": ("5541",)}, {}),
        ({"channels": (Channel.IN_STORE,)}, {"pos_entry_mode": "051"}),
        ({"channels": (Channel.ONLINE, Channel.MAIL_PHONE)}, {"card_present": False}),
        ({"minimum_minor": 5000}, {}),
    ],
)
def test_what_qualifies_earns(changes: dict[str, Any], fields: dict[str, Any]) -> None:
    """Bounds count as they are written: a start is included, an end is not."""
    decision = decided(fold([message(**fields)]), version(**changes))

    assert (decision.qualifies, decision.reason, decision.pending_points) == (Truth.TRUE, None, 500)


@pytest.mark.parametrize("reason", ["unknown-place", "ambiguous-place", "lapsed-place"])
def test_without_a_place_nothing_is_guessed(reason: str) -> None:
    """The place and its clock are unknown; the resolution's reason is the decision's."""
    facts = card_facts(fold([message()]), Resolution(None, None, reason), None, LINKED_AT)
    offer = version(weekdays=(1,))
    decision = decide(facts, activation(offer), offer)

    assert (decision.qualifies, decision.reason, decision.pending_points) == (Truth.UNKNOWN, reason, 0)
    assert RuleOutcome("weekday", Truth.UNKNOWN, "unknown-time") in decision.rules


def test_a_broken_rule_goes_before_an_unknown_one() -> None:
    """What can never qualify is not said to be waiting for facts."""
    decision = decided(fold([message()]), version(minimum_minor=6000), place=None)

    assert (decision.qualifies, decision.reason) == (Truth.FALSE, "below-minimum")


def test_purchases_before_the_link_or_the_activation_never_earn() -> None:
    """The moment itself counts; who never linked or never switched on earns nothing."""
    payment, offer = fold([message()]), version()
    bought_at, second = payment.occurred_at, timedelta(seconds=1)

    def reason(linked_at: datetime | None, activated_at: datetime | None) -> str | None:
        switched_on = activation(offer, activated_at) if activated_at else None
        return decide(card_facts(payment, Resolution(7), HELSINKI, linked_at), switched_on, offer).reason

    assert reason(bought_at, bought_at) is None
    assert reason(bought_at + second, bought_at) == "not-linked-yet"
    assert reason(None, bought_at) == "not-linked-yet"
    assert reason(bought_at, bought_at + second) == "before-activation"
    assert reason(bought_at, None) == "not-activated"


def test_an_offer_that_needs_no_activation_is_always_on() -> None:
    """Such a version has no rule about it."""
    offer = version(activation_required=False)
    decision = decide(card_facts(fold([message()]), Resolution(7), HELSINKI, LINKED_AT), None, offer)

    assert decision.pending_points == 500
    assert "activation" not in {rule.rule for rule in decision.rules}


def test_an_activation_holds_for_the_version_that_it_froze() -> None:
    """Deciding by another version is a mistake of the caller."""
    with pytest.raises(ValueError, match="froze another version"):
        decide(
            card_facts(fold([message()]), Resolution(7), HELSINKI, LINKED_AT),
            Activation(version_id=10, activated_at=LINKED_AT),
            version(),
        )


def test_a_tip_lifts_a_purchase_over_the_minimum() -> None:
    """What is finally paid counts."""
    offer = version(minimum_minor=5500)

    assert points(message(), offer=offer) == (0, 0)
    assert points(message(), message("clearing", 5600), offer=offer) == (0, 560)


def test_a_partial_reversal_drops_a_purchase_below_the_minimum() -> None:
    """So does a refund: the whole reward goes."""
    offer = version(minimum_minor=4000)

    assert points(message(), offer=offer) == (500, 0)
    assert points(message(), message("auth_reversal", 1001), offer=offer) == (0, 0)
    assert points(message(), message("clearing"), refund(1000), offer=offer) == (0, 400)
    assert points(message(), message("clearing"), refund(1001), offer=offer) == (0, 0)


def test_legs_are_confirmed_once_the_minimum_is_paid() -> None:
    """Until then all is pending, so that nothing confirmed is taken back when a leg never comes."""
    offer = version(minimum_minor=4000)
    legs = [
        message("clearing", amount, message_id=f"leg-{amount}", clearing_sequence=number, clearing_count=2)
        for number, amount in ((1, 3000), (2, 2000))
    ]

    assert points(message(), legs[0], offer=offer) == (500, 0)
    assert points(message(), *legs, offer=offer) == (0, 500)
    assert points(message(), legs[0], message("auth_expiry", 0), offer=offer) == (0, 0)


def test_the_cap_holds_for_one_payment() -> None:
    """Pending and confirmed together stay within it."""
    offer = version(cap_points_per_payment=300)
    first_leg = message("clearing", 2000, clearing_sequence=1, clearing_count=2)

    assert points(message(), offer=offer) == (300, 0)
    assert points(message(), first_leg, offer=offer) == (100, 200)
    assert points(message(), message("clearing"), offer=offer) == (0, 300)
    assert points(message(), message("clearing"), refund(2500), offer=offer) == (0, 250)


def test_fixed_points_are_for_the_purchase() -> None:
    """A part of it returned keeps them, all of it or falling below the minimum does not."""
    offer = version(earn=FixedPoints(points=75), minimum_minor=2000)

    assert points(message(), offer=offer) == (75, 0)
    assert points(message(), message("clearing"), refund(1000), offer=offer) == (0, 75)
    assert points(message(), message("clearing"), refund(3001), offer=offer) == (0, 0)
    assert points(message(), message("clearing"), refund(5000), offer=offer) == (0, 0)


@pytest.mark.parametrize(("spent", "expected"), [(3780, 37), (99, 0), (100, 1), (199, 1)])
def test_points_are_rounded_down_by_name(spent: int, expected: int) -> None:
    """One point for one unit of money; the decision names its rounding."""
    offer = version(earn=PointsPerAmount(points=1, amount_minor=100))
    decision = decided(fold([message("clearing", spent)]), offer)

    assert (decision.confirmed_points, decision.rounding) == (expected, "floor")


def test_the_window_is_on_the_places_clock() -> None:
    """In Helsinki the new year begins two hours before it does in Greenwich."""
    offer = version(starts_at=local("2026-03-01"), ends_at=local("2026-04-01"))

    assert at("2026-02-28T21:59:59Z", offer).reason == "outside-window"
    assert at("2026-02-28T22:00:00Z", offer).reason is None
    assert at("2026-03-31T20:59:59Z", offer).reason is None
    assert at("2026-03-31T21:00:00Z", offer).reason == "outside-window"


def test_a_clearing_after_the_window_changes_nothing() -> None:
    """The purchase's own time decides, for refunds too."""
    offer = version(ends_at=local("2026-03-03"))

    assert points(message(), message("clearing", 4800, occurred_at=LATER), offer=offer) == (0, 480)
    assert points(message(), message("clearing", occurred_at=LATER), refund(1000), offer=offer) == (0, 400)


def test_a_clearing_alone_is_dated_by_the_merchants_clock() -> None:
    """It is compared with the activation at that moment, and not when it was cleared."""
    payment = fold([message("clearing", merchant_local_datetime="2026-03-01T18:30:00", occurred_at=LATER)])
    facts = card_facts(payment, Resolution(7), HELSINKI, LINKED_AT)
    offer = version()

    assert facts.occurred_at == datetime(2026, 3, 1, 16, 30, tzinfo=UTC)
    assert facts.local_at == local("2026-03-01T18:30")
    late = activation(offer, datetime(2026, 3, 1, 16, 30, 1, tzinfo=UTC))
    assert decide(facts, late, offer).reason == "before-activation"


def test_the_hour_that_does_not_exist_hides_no_purchase() -> None:
    """On 29 March 2026 Helsinki's clocks go from 03:00 to 04:00."""
    offer = version(starts_at=local("2026-03-29T03:30"))

    assert at("2026-03-29T00:59:59Z", offer).reason == "outside-window"
    assert at("2026-03-29T01:00:00Z", offer).reason is None


def test_the_hour_that_comes_twice_counts_as_the_clock_says() -> None:
    """On 25 October 2026 the clock shows 03:15 at two moments: both are before 03:30."""
    offer = version(ends_at=local("2026-10-25T03:30"))

    assert at("2026-10-25T00:15:00Z", offer).reason is None
    assert at("2026-10-25T00:45:00Z", offer).reason == "outside-window"
    assert at("2026-10-25T01:15:00Z", offer).reason is None


def test_a_leap_day_is_a_day() -> None:
    """29 February 2028 is a Tuesday."""
    offer = version(starts_at=local("2028-02-29"), ends_at=local("2028-03-01"), weekdays=(2,))

    assert at("2028-02-29T12:00:00Z", offer).reason is None
    assert at("2028-03-01T12:00:00Z", offer).reason == "outside-window"


def test_a_till_sees_a_purchase_that_is_paid() -> None:
    """It is in store, at a known place, confirmed at once, and needs no linked card."""
    facts = till_facts(
        amount_minor=5000, currency="EUR", occurred_at=datetime(2026, 3, 2, 10, tzinfo=UTC), place=HELSINKI
    )
    offer = version(channels=(Channel.IN_STORE,))

    decision = decide(facts, activation(offer), offer)

    assert (decision.confirmed_points, decision.pending_points) == (500, 0)
    assert facts.seen is PurchaseSeen.TILL
    assert facts.local_at == local("2026-03-02T12:00")


def test_a_decision_can_be_run_again_from_its_receipt() -> None:
    """Inputs and version give the same decision, and the same bytes, also after a limit."""
    offer = version(minimum_minor=100)
    decision = decided(fold([message(), message("clearing", 4800)]), offer)
    short = limited(decision, Limit(100, "budget-exhausted"))

    for each in (decision, short):
        read = msgspec.json.decode(receipt_bytes(each), type=Decision)
        assert read == each
        assert receipt_bytes(re_execute(read, offer)) == receipt_bytes(each)


def test_a_limit_gives_what_is_left_confirmed_first() -> None:
    """What could be granted is kept, with the reason; a limit that does not bind changes nothing."""
    first_leg = message("clearing", 2000, clearing_sequence=1, clearing_count=2)
    decision = decided(fold([message(), first_leg]))

    assert (decision.confirmed_points, decision.pending_points) == (200, 300)
    for granted, kept in ((500, (200, 300)), (250, (200, 50)), (150, (150, 0)), (0, (0, 0))):
        short = limited(decision, Limit(granted, "budget-exhausted"))
        assert (short.confirmed_points, short.pending_points) == kept
        assert short.reason == (None if granted == 500 else "budget-exhausted")


def test_facts_are_in_utc_whatever_the_source_wrote() -> None:
    """Two ways of writing one moment give the same receipt."""
    here = decided(fold([message(occurred_at="2026-03-02T12:00:00+02:00")]))

    assert receipt_bytes(here) == receipt_bytes(decided(fold([message()])))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"ends_at": local("2025-12-31")}, ("/ends_at", "ends-before-start")),
        ({"ends_at": local("2026-01-01")}, ("/ends_at", "ends-before-start")),
        ({"starts_at": datetime(2026, 1, 1, tzinfo=UTC)}, ("/starts_at", "unwanted-offset")),
        ({"currency": "QQQ"}, ("/currency", "unknown-currency")),
        ({"hours": (Hours(since=time(9), until=time(9)),)}, ("/hours/0", "empty-hours")),
        ({"hours": (Hours(since=time(9, tzinfo=UTC), until=time(10)),)}, ("/hours/0", "unwanted-offset")),
        ({"places": (7, 7)}, ("/places", "listed-twice")),
        ({"mcc_included": ("5411",), "mcc_excluded": ("5411",)}, ("/mcc_excluded", "included-and-excluded")),
        ({"budget_points": 9, "earn": FixedPoints(points=10)}, ("/budget_points", "budget-below-reward")),
        ({"budget_points": 9, "minimum_minor": 100}, ("/budget_points", "budget-below-reward")),
    ],
)
def test_a_version_that_cannot_be_published_says_why(changes: dict[str, Any], fault: tuple[str, str]) -> None:
    """Each contradiction has its pointer and code."""
    assert [(each.pointer, each.code) for each in version_faults(version(**changes))] == [fault]


def test_a_good_version_has_no_faults() -> None:
    """A budget that pays for one capped reward is enough."""
    assert version_faults(version()) == ()
    assert version_faults(version(budget_points=5, cap_points_per_payment=5, minimum_minor=1000)) == ()


def test_versions_and_facts_travel_as_json() -> None:
    """What is stored is read back the same."""
    offer = version(hours=(Hours(since=time(9), until=time(17)),), channels=(Channel.ONLINE,), places=(7,))
    facts = PurchaseFacts(seen=PurchaseSeen.CARD, occurred_at=LINKED_AT, currency="EUR", confirmed_minor=1)

    assert msgspec.json.decode(msgspec.json.encode(offer), type=OfferVersion) == offer
    assert msgspec.json.decode(msgspec.json.encode(facts), type=PurchaseFacts) == facts
    assert PlaceFacts(7, "grocer", "Europe/Helsinki") == HELSINKI
