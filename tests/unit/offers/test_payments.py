"""A payment is what its messages say together: authorisations and clearings, each edge case of real feeds once."""

from typing import Any

import pytest

from offers.feeds.messages import CardMessage, Channel, MessageType
from offers.payments.fold import Note, PaymentState, fold, payments
from tests.unit.offers.samples import ARN, LATER, amounts, leg, message, refund


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


EARLY = "2026-03-01T10:00:00Z"
RANKED = (
    ("authorisation",),
    ("increment",),
    ("clearing", "clearing_adjustment"),
    ("decline",),
    ("auth_reversal", "clearing_reversal"),
    ("auth_expiry",),
    ("refund",),
    ("refund_reversal",),
    ("chargeback",),
    ("chargeback_reversal",),
)


@pytest.mark.parametrize(("rank", "kinds"), list(enumerate(RANKED)))
def test_whose_word_goes_first(rank: int, kinds: tuple[str, ...]) -> None:
    """What bought leads what ended it, and that what gave back, however late it was; of equals the earlier leads."""
    late = "2026-03-05T10:00:00Z"
    for kind in kinds:
        for later in (other for ranked in RANKED[rank + 1 :] for other in ranked):
            payment = fold([message(later, occurred_at=EARLY), message(kind, occurred_at=late)])
            assert (payment.led_by, payment.occurred_at.day) == (kind, 5), later
        for equal in kinds:
            payment = fold([message(kind, occurred_at=late), message(equal, 1, occurred_at=EARLY)])
            assert (payment.led_by, payment.occurred_at.day) == (equal, 1)


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


def test_a_payment_is_in_the_currency_it_was_cleared_in() -> None:
    """An authorisation in another currency says nothing about the clearing's amount."""
    payment = fold([message(currency="USD", amount_minor=5400), message("clearing", 5000)])

    assert (payment.currency, payment.cleared_minor, payment.authorised_minor) == ("EUR", 5000, 0)


def test_a_decline_is_no_purchase() -> None:
    """It proves that the card is linked; a second try that is approved counts alone."""
    refused = message("decline", occurred_at="2026-03-02T09:59:00Z")

    assert fold([refused]).state is PaymentState.DECLINED
    assert amounts(fold([refused])) == {}
    assert fold([refused, message()]).state is PaymentState.OPEN
    assert fold([refused, message()]).occurred_at.isoformat() == "2026-03-02T10:00:00+00:00"


@pytest.mark.parametrize("code", ["51", "05", "100", "1100", "N7"])
def test_an_authorisation_that_was_refused_is_a_decline(code: str) -> None:
    """The issuer's response code (ISO 8583 field 39) says so: nothing is pending, whatever the message's type says."""
    refused = message(response_code=code, occurred_at="2026-03-02T09:59:00Z")

    assert fold([refused]).state is PaymentState.DECLINED
    assert amounts(fold([refused])) == {}
    assert (
        fold([message(), message("increment", 500, response_code=code)]).pending_minor
        == fold([message()]).pending_minor
    )


@pytest.mark.parametrize("code", [None, "", "00", "10", "85", "000", "0000"])
def test_an_approved_authorisation_is_pending(code: str | None) -> None:
    """Codes that approve, of every edition of the standard, and none at all."""
    assert fold([message(response_code=code)]).state is PaymentState.OPEN


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
