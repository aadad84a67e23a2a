"""What is taken back of a payment: expiries, voids, refunds, chargebacks, each edge case of real feeds once."""

import pytest

from offers.payments.fold import Note, PaymentState, fold, payments
from tests.unit.offers.samples import ARN, NETWORK_ID, amounts, leg, message, refund


def test_an_expired_authorisation_expects_nothing() -> None:
    """Expiry voids what was pending; a clearing that comes after all counts."""
    expired = [message(), message("auth_expiry", 0)]

    assert fold(expired).state is PaymentState.EXPIRED
    assert amounts(fold(expired)) == {"authorised": 5000}
    assert fold([*expired, message("clearing")]).state is PaymentState.CLEARED
    assert fold([*expired, message("clearing")]).confirmed_minor == 5000


def test_the_last_leg_may_come_after_a_refund_of_the_first() -> None:
    """Each counts for itself."""
    halfway = fold([message(), leg(1, 2500, 2), refund(2500)])
    complete = fold([message(), leg(1, 2500, 2), refund(2500), leg(2, 2500, 2)])

    assert (halfway.confirmed_minor, halfway.pending_minor) == (0, 2500)
    assert complete.state is PaymentState.REFUNDED_PARTIAL
    assert (complete.confirmed_minor, complete.pending_minor) == (2500, 0)


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
