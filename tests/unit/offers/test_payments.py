"""A payment is what its messages say together: each edge case of real feeds once."""

from typing import Any

import pytest

from offers.messages import CardMessage, Channel, MessageType
from offers.payments import Note, Payment, PaymentState, fold, payments
from tests.unit.offers.samples import NETWORK_ID, message

ARN = "7411111606100000000001"
LATER = "2026-03-04T05:00:00Z"


def amounts(payment: Payment) -> dict[str, int]:
    """Return the amounts of a payment that are not zero, by short name."""
    names = (
        "authorised",
        "open",
        "cleared",
        "refunded",
        "refund_excess",
        "charged_back",
        "net",
        "confirmed",
        "pending",
    )
    return {name: amount for name in names if (amount := getattr(payment, f"{name}_minor"))}


def leg(number: int, amount_minor: int, count: int | None = None) -> CardMessage:
    """Return one of a payment's clearings."""
    return message(
        "clearing",
        amount_minor,
        message_id=f"leg-{number}",
        occurred_at=LATER,
        clearing_sequence=number,
        clearing_count=count,
        arn=f"{ARN}{number}",
    )


def refund(amount_minor: int, **fields: Any) -> CardMessage:
    """Return a refund that names its purchase."""
    named = {"network_transaction_id": None, "original_network_transaction_id": NETWORK_ID, "occurred_at": LATER}
    return message("refund", amount_minor, **(named | fields))


def test_an_authorisation_alone_is_open() -> None:
    """What is authorised is expected, not yet paid."""
    payment = fold([message()])

    assert payment.state is PaymentState.OPEN
    assert amounts(payment) == {"authorised": 5000, "open": 5000, "pending": 5000}


def test_a_clearing_takes_the_place_of_its_authorisation() -> None:
    """The rest of the authorisation is no longer expected."""
    payment = fold([message(), message("clearing", 4800)])

    assert payment.state is PaymentState.CLEARED
    assert amounts(payment) == {"authorised": 5000, "cleared": 4800, "net": 4800, "confirmed": 4800}


def test_a_clearing_may_come_before_its_authorisation() -> None:
    """The authorisation is absorbed: it adds time, place and nothing else."""
    cleared = message("clearing", 4800, occurred_at=LATER, mcc=None)

    assert fold([cleared, message()]) == fold([message(), cleared])
    assert fold([cleared]).occurred_at.isoformat() == "2026-03-04T05:00:00+00:00"
    assert fold([cleared, message()]).occurred_at.isoformat() == "2026-03-02T10:00:00+00:00"
    assert fold([cleared, message()]).mcc == "5411"


def test_a_clearing_alone_is_a_purchase() -> None:
    """A single message or a forced post needs no authorisation; the merchant's clock tells the purchase's time."""
    payment = fold([message("clearing", merchant_local_datetime="2026-03-01T18:30:00", occurred_at=LATER)])

    assert payment.state is PaymentState.CLEARED
    assert payment.led_by is MessageType.CLEARING
    assert payment.local_datetime is not None
    assert payment.local_datetime.isoformat() == "2026-03-01T18:30:00"
    assert amounts(payment) == {"cleared": 5000, "net": 5000, "confirmed": 5000}


def test_an_expired_authorisation_expects_nothing() -> None:
    """Expiry voids what was pending; a clearing that comes after all counts."""
    expired = [message(), message("auth_expiry", 0)]

    assert fold(expired).state is PaymentState.EXPIRED
    assert amounts(fold(expired)) == {"authorised": 5000}
    assert fold([*expired, message("clearing")]).state is PaymentState.CLEARED
    assert fold([*expired, message("clearing")]).confirmed_minor == 5000


@pytest.mark.parametrize(("second", "total"), [(1500, 4000), (2500, 5000), (3500, 6000)])
def test_several_clearings_add_up(second: int, total: int) -> None:
    """The sum may be below, at or above the authorisation; until the last leg the rest is expected."""
    first = fold([message(), leg(1, 2500, 2)])
    both = fold([message(), leg(1, 2500, 2), leg(2, second, 2)])

    assert first.state is PaymentState.PARTIALLY_CLEARED
    assert amounts(first) == {
        "authorised": 5000,
        "open": 2500,
        "cleared": 2500,
        "net": 2500,
        "confirmed": 2500,
        "pending": 2500,
    }
    assert both.state is PaymentState.CLEARED
    assert amounts(both) == {"authorised": 5000, "cleared": total, "net": total, "confirmed": total}


def test_legs_without_a_count_are_expected_until_the_amount_is_reached() -> None:
    """A sequence number says that there may be more."""
    assert fold([message(), leg(1, 2500)]).state is PaymentState.PARTIALLY_CLEARED
    assert fold([message(), leg(1, 2500), leg(2, 2500)]).state is PaymentState.CLEARED


def test_the_last_leg_may_come_after_a_refund_of_the_first() -> None:
    """Each counts for itself."""
    halfway = fold([message(), leg(1, 2500, 2), refund(2500)])
    complete = fold([message(), leg(1, 2500, 2), refund(2500), leg(2, 2500, 2)])

    assert (halfway.confirmed_minor, halfway.pending_minor) == (0, 2500)
    assert complete.state is PaymentState.REFUNDED_PARTIAL
    assert (complete.confirmed_minor, complete.pending_minor) == (2500, 0)


def test_a_clearing_sent_twice_under_two_ids_counts_once() -> None:
    """One acquirer's reference is one presentment; the later word on its amount counts."""
    twice = [
        leg(1, 2500),
        message("clearing", 2600, message_id="again", arn=f"{ARN}1", occurred_at="2026-03-05T00:00:00Z"),
    ]

    assert fold(twice).cleared_minor == 2600


def test_legs_numbered_one_of_one_are_two() -> None:
    """A source that numbers every clearing 1 loses none of them, unless number and amount repeat."""
    first = message("clearing", 2500, message_id="a", clearing_sequence=1)
    second = message("clearing", 2400, message_id="b", clearing_sequence=1)
    again = message("clearing", 2400, message_id="c", clearing_sequence=1)

    assert fold([first, second, again]).cleared_minor == 4900


def test_increments_add_to_the_authorisation() -> None:
    """One clearing closes all of them."""
    raised = [
        message(amount_minor=3000),
        message("increment", 1000),
        message("increment", 500),
    ]

    assert amounts(fold(raised)) == {"authorised": 4500, "open": 4500, "pending": 4500}
    assert amounts(fold([*raised, message("clearing", 4400)]))["confirmed"] == 4400


def test_a_part_of_an_authorisation_may_be_reversed() -> None:
    """What is left is expected, and then cleared."""
    rest = [message(), message("auth_reversal", 2000)]

    assert amounts(fold(rest)) == {"authorised": 3000, "open": 3000, "pending": 3000}
    assert amounts(fold([*rest, message("clearing", 3000)]))["confirmed"] == 3000


@pytest.mark.parametrize(
    "check",
    [
        message(amount_minor=0),
        message(amount_minor=100, is_preauth=True),
        message(amount_minor=100, mcc="5542"),
        message(amount_minor=1, currency="JPY", is_preauth=True),
    ],
)
def test_a_card_check_expects_nothing(check: CardMessage) -> None:
    """A zero amount, or one unit of money before a stay or at a pump, is no purchase until it is cleared."""
    assert fold([check]).state is PaymentState.OPEN
    assert amounts(fold([check])) == {}
    assert fold([check, message("clearing", 4200, currency=check.currency)]).confirmed_minor == 4200


def test_a_hotels_preauthorisation_is_expected() -> None:
    """A larger one says what the stay will cost."""
    assert fold([message(amount_minor=30_000, is_preauth=True)]).pending_minor == 30_000


@pytest.mark.parametrize(
    ("returned", "state", "net"),
    [
        ([5000], PaymentState.REFUNDED_FULL, 0),
        ([1200], PaymentState.REFUNDED_PARTIAL, 3800),
        ([1200, 800, 3000], PaymentState.REFUNDED_FULL, 0),
    ],
)
def test_refunds_take_back_their_amounts(returned: list[int], state: PaymentState, net: int) -> None:
    """Whole, in part, and in several parts."""
    payment = fold([message(), message("clearing"), *[refund(amount) for amount in returned]])

    assert (payment.state, payment.net_minor, payment.confirmed_minor) == (state, net, net)


def test_a_refund_may_come_before_the_clearing() -> None:
    """It lowers what is expected, then what is paid."""
    early = fold([message(), refund(1200)])

    assert early.state is PaymentState.REFUNDED_PARTIAL
    assert amounts(early) == {"authorised": 5000, "open": 5000, "refunded": 1200, "pending": 3800}
    assert fold([message(), refund(1200), message("clearing")]).confirmed_minor == 3800


@pytest.mark.parametrize(
    "card",
    [
        {"card_token": "tok_b", "card_last4": "0002"},
        {"card_token": "tok_new", "par": "V0010013019010000000000000001"},
    ],
)
def test_a_refund_may_go_to_another_card(card: dict[str, str]) -> None:
    """The member's other card, or the account's next card, refunds the purchase that the refund names."""
    bought = [message(par="V0010013019010000000000000001"), message("clearing")]

    found = payments([*bought, refund(1200, **card)])

    assert [payment.net_minor for payment in found] == [3800]
    assert len(found[0].card_tokens) == 2


def test_a_refund_in_another_currency_is_taken_at_the_purchases_own_rate() -> None:
    """The cardholder's currency is the bridge; without one nothing is guessed and a person is told."""
    cleared = message("clearing", 5000, billing_amount_minor=4000, billing_currency="GBP")
    abroad = refund(1500, currency="USD", billing_amount_minor=1000, billing_currency="GBP")
    directly = refund(1500, currency="USD", billing_amount_minor=1300, billing_currency="EUR")
    unclear = refund(1500, currency="USD")

    assert fold([message(), cleared, abroad]).net_minor == 3750
    assert fold([message(), cleared, directly]).net_minor == 3700
    assert fold([message(), cleared, unclear]).net_minor == 5000
    assert fold([message(), cleared, unclear]).notes == (Note.CURRENCY_DIFFERS,)


def test_a_payment_is_in_the_currency_it_was_cleared_in() -> None:
    """An authorisation in another currency says nothing about the clearing's amount."""
    payment = fold([message(currency="USD", amount_minor=5400), message("clearing", 5000)])

    assert (payment.currency, payment.cleared_minor, payment.authorised_minor) == ("EUR", 5000, 0)


def test_a_refund_above_the_purchase_takes_back_no_more_than_the_purchase() -> None:
    """The rest is for a person to look at."""
    payment = fold([message(), message("clearing"), refund(6000)])

    assert payment.state is PaymentState.REFUNDED_FULL
    assert amounts(payment) == {"authorised": 5000, "cleared": 5000, "refunded": 5000, "refund_excess": 1000}
    assert payment.notes == (Note.REFUND_EXCEEDS_PURCHASE,)


def test_a_refund_without_a_purchase_is_an_orphan() -> None:
    """Nothing is taken back out of thin air; it is joined when its purchase arrives."""
    orphan = fold([refund(1200)])

    assert orphan.state is PaymentState.ORPHAN_REFUND
    assert amounts(orphan) == {"refund_excess": 1200}
    assert orphan.notes == ()
    assert fold([refund(1200), message("clearing")]).net_minor == 3800


def test_a_refund_may_be_reversed() -> None:
    """In part or whole, before or after it."""
    bought = [message(), message("clearing"), refund(1200)]

    assert fold([*bought, message("refund_reversal", 1200)]).net_minor == 5000
    assert fold([*bought, message("refund_reversal", 1200)]).state is PaymentState.CLEARED
    assert fold([*bought, message("refund_reversal", 200)]).net_minor == 4000
    assert fold([message("refund_reversal", 1200)]).state is PaymentState.ORPHAN_REFUND


@pytest.mark.parametrize(
    "name",
    [
        {"arn": f"{ARN}9"},
        {"rrn": "606112345678"},
        {"network_transaction_id": "469999999999999"},
    ],
)
def test_a_refund_sent_as_two_events_counts_once(name: dict[str, str]) -> None:
    """The clearing of a refund and the refund itself carry one reference of their own."""
    events = [refund(1200, message_id="event-1", **name), refund(1200, message_id="event-2", **name)]

    assert fold([message(), message("clearing"), *events]).net_minor == 3800


@pytest.mark.parametrize(
    "name",
    [
        {"arn": f"{ARN}1"},
        {"rrn": "606112345678"},
        {"network_transaction_id": NETWORK_ID},
        {},
    ],
)
def test_two_refunds_that_repeat_the_purchases_references_are_two(name: dict[str, str]) -> None:
    """A reference of the purchase does not name the refund."""
    cleared = message("clearing", arn=f"{ARN}1", rrn="606112345678")
    parts = [refund(1200, message_id="part-1", **name), refund(1200, message_id="part-2", **name)]

    assert fold([message(), cleared, *parts]).net_minor == 2600


def test_a_void_is_a_reversal_and_a_return_is_a_refund() -> None:
    """Both end at nothing, and say how."""
    void = fold([message(), message("auth_reversal")])
    late_void = fold([message(), message("clearing"), message("clearing_reversal")])
    back = fold([message(), message("clearing"), refund(5000)])

    assert [each.state for each in (void, late_void, back)] == [
        PaymentState.REVERSED,
        PaymentState.REVERSED,
        PaymentState.REFUNDED_FULL,
    ]
    assert [each.confirmed_minor + each.pending_minor for each in (void, late_void, back)] == [0, 0, 0]


def test_a_void_that_is_also_refunded_takes_nothing_back_twice() -> None:
    """There is nothing left to refund."""
    payment = fold([message(), message("auth_reversal"), refund(5000)])

    assert (payment.state, payment.refunded_minor, payment.refund_excess_minor) == (PaymentState.REVERSED, 0, 5000)


def test_chargebacks_and_second_presentments_alternate() -> None:
    """Whole and in part, won, lost again in arbitration, and won in the end."""
    bought = [message(), message("clearing", arn=f"{ARN}1")]
    partly = message("chargeback", 2000, arn=f"{ARN}1")
    steps = [
        message("chargeback", 5000, message_id="cb-1", arn=f"{ARN}1"),
        message("chargeback_reversal", 5000, message_id="rep-1", arn=f"{ARN}1"),
        message("chargeback", 5000, message_id="cb-2", arn=f"{ARN}1"),
        message("chargeback_reversal", 5000, message_id="rep-2", arn=f"{ARN}1"),
    ]

    assert fold([*bought, partly]).net_minor == 3000
    assert fold([*bought, partly]).state is PaymentState.DISPUTED
    assert [fold([*bought, *steps[:done]]).net_minor for done in range(5)] == [5000, 0, 5000, 0, 5000]
    assert fold([*bought, *steps]).state is PaymentState.CLEARED


def test_a_decline_is_no_purchase() -> None:
    """It proves that the card is linked; a second try that is approved counts alone."""
    refused = message("decline", occurred_at="2026-03-02T09:59:00Z")

    assert fold([refused]).state is PaymentState.DECLINED
    assert amounts(fold([refused])) == {}
    assert fold([refused, message()]).state is PaymentState.OPEN
    assert fold([refused, message()]).occurred_at.isoformat() == "2026-03-02T10:00:00+00:00"


def test_an_adjustment_states_a_clearings_new_amount() -> None:
    """It names the leg by reference, message or number; the only leg needs no naming; order does not matter."""
    other = leg(2, 1000, 2)
    for name in ({"arn": f"{ARN}1"}, {"original_message_id": "leg-1"}, {"clearing_sequence": 1}):
        adjusted = message("clearing_adjustment", 2900, occurred_at=LATER, **name)
        assert fold([adjusted, leg(1, 2500, 2), other]).cleared_minor == 3900
    assert fold([message("clearing"), message("clearing_adjustment", 5600)]).cleared_minor == 5600
    assert fold([message(), message("clearing_adjustment", 5600)]).cleared_minor == 5600


def test_an_adjustment_of_nobody_knows_which_leg_is_left_to_a_person() -> None:
    """Nothing is guessed."""
    payment = fold([leg(1, 2500, 2), leg(2, 1000, 2), message("clearing_adjustment", 2900)])

    assert (payment.cleared_minor, payment.notes) == (3500, (Note.ADJUSTMENT_UNPLACED,))


def test_two_processors_reports_of_one_payment_are_one_payment() -> None:
    """Their accounts are not added up; references tell legs apart that only one of them has."""
    story = [message(), leg(1, 2500, 2), refund(1000, arn=f"{ARN}9")]
    retold = [
        message(source="src_b", card_token="other_token"),
        message("clearing", 2500, source="src_b", message_id="b-1", card_token="other_token"),
        message("clearing", 2500, source="src_b", message_id="b-2", arn=f"{ARN}2", card_token="other_token"),
    ]

    found = payments([*story, *retold])

    assert len(found) == 1
    assert amounts(found[0]) == {"authorised": 5000, "cleared": 5000, "refunded": 1000, "net": 4000, "confirmed": 4000}
    one_leg_each = [leg(1, 2500, 2), message("clearing", 2500, source="src_b", message_id="b-2", arn=f"{ARN}2")]
    assert fold(one_leg_each).cleared_minor == 5000


def test_a_message_counts_once_and_the_same_content_twice_counts_twice() -> None:
    """The id is what makes a message the same, never its content."""
    cleared = message("clearing", 1000, message_id="m-1")
    twin = message("clearing", 1000, message_id="m-2")

    assert fold([cleared, cleared]).cleared_minor == 1000
    assert fold([cleared, twin]).cleared_minor == 2000


def test_another_content_under_a_known_id_has_one_answer() -> None:
    """The inbox refuses it; should it come here, order still decides nothing."""
    first, second = message("clearing", 1000, message_id="m-1"), message("clearing", 2000, message_id="m-1")

    assert fold([first, second]) == fold([second, first])


def test_cash_taken_at_the_till_never_earns() -> None:
    """It is left out of what may earn, and stays in what was paid; the clearing need not repeat it."""
    withdrawn = message(amount_minor=7000, components={"cashback_minor": 2000})

    assert fold([withdrawn]).pending_minor == 5000
    assert fold([withdrawn, message("clearing", 7000)]).confirmed_minor == 5000
    assert fold([withdrawn, message("clearing", 7000)]).net_minor == 7000
    abroad = message("clearing", 7000, components={"cashback_minor": 2000})
    euros = message(
        amount_minor=8000,
        currency="USD",
        billing_amount_minor=7000,
        billing_currency="EUR",
        components={"cashback_minor": 3000},
    )
    assert fold([abroad, euros]).confirmed_minor == 7000 - 2625


@pytest.mark.parametrize(
    ("told", "present", "channel"),
    [
        ({}, None, None),
        ({"pos_entry_mode": "071"}, True, Channel.IN_STORE),
        ({"pos_entry_mode": "812"}, False, Channel.ONLINE),
        ({"pos_entry_mode": "102"}, False, None),
        ({"pos_entry_mode": "010"}, None, None),
        ({"card_present": False}, False, None),
        ({"card_present": True}, True, Channel.IN_STORE),
        ({"channel": "mail_phone", "card_present": True}, True, Channel.MAIL_PHONE),
    ],
)
def test_presence_is_told_or_unknown(told: dict[str, Any], present: bool | None, channel: Channel | None) -> None:  # noqa: FBT001  # a table of cases
    """The source's word, then the terminal's entry mode; what neither tells stays unknown."""
    payment = fold([message(**told)])

    assert (payment.card_present, payment.channel) == (present, channel)


def test_the_clearing_tells_what_the_authorisation_did_not() -> None:
    """The first message that tells counts, the authorisation's first."""
    payment = fold([message(mcc=None), message("clearing", mcc="5812", pos_entry_mode="051")])

    assert (payment.mcc, payment.channel) == ("5812", Channel.IN_STORE)
    assert fold([message(), message("clearing", mcc="5812")]).mcc == "5411"


def test_merchants_are_kept_in_the_order_in_which_they_count() -> None:
    """The authorisation's names come before the clearing's, each once."""
    office = {"mid": "999", "acquirer_id": "400012"}
    payment = fold([message("clearing", merchant=office), message(), message("increment", 100)])

    assert [seen.merchant.mid for seen in payment.merchants] == ["000123", "999"]


def test_late_clearings_and_replays_change_what_they_must_and_nothing_else() -> None:
    """A clearing after 150 days counts at the purchase's own time; hearing it again changes nothing."""
    story = [message(), message("clearing", 4800, occurred_at="2026-07-30T04:00:00Z")]

    assert fold(story).occurred_at.isoformat() == "2026-03-02T10:00:00+00:00"
    assert fold(story * 3) == fold(story)


def test_no_messages_are_no_payment() -> None:
    """A payment has at least one message."""
    with pytest.raises(ValueError, match="at least one message"):
        fold([])
