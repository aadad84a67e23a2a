"""What holds of every fold, whatever its messages say, and stories that are drawn by seed to look for exceptions."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from koinon.places.model import Merchant, Network
from offers.feeds.messages import CardMessage, Components, MessageType
from offers.payments.fold import Note, Payment, PaymentState, fold

AMOUNTS = (1, 1, 1, 2, 3, 100, 1200, 2500, 5000)
DAY_ONE = datetime(2026, 3, 1, 10, tzinfo=UTC)
GROCER = Merchant(mid="000123", acquirer_id="400012")
ARNS = tuple(f"7411111606100000000001{number}" for number in range(3))
NOTHING_LEFT = frozenset(
    {
        PaymentState.REVERSED,
        PaymentState.EXPIRED,
        PaymentState.REFUNDED_FULL,
        PaymentState.ORPHAN_REFUND,
        PaymentState.DECLINED,
    }
)

Law = Callable[[Payment], bool]

AMOUNT_LAWS: dict[str, Law] = {
    "no amount is negative": lambda p: min(amounts_of(p)) >= 0,
    "what is open was authorised": lambda p: p.open_minor <= p.authorised_minor,
    "what is refunded was bought": lambda p: (
        p.refunded_minor <= max(p.cleared_minor + p.open_minor, p.authorised_minor)
    ),
    "net is what was cleared and not taken back": lambda p: p.net_minor == max(0, p.cleared_minor - taken_back(p)),
    "left is net with what is open": lambda p: (
        p.left_minor == max(0, p.cleared_minor + p.open_minor - taken_back(p)) >= p.net_minor
    ),
    "confirmed has been paid": lambda p: p.confirmed_minor <= p.net_minor,
    "confirmed and pending are left": lambda p: p.confirmed_minor + p.pending_minor <= p.left_minor,
    "what is pending is open": lambda p: p.pending_minor <= p.open_minor,
    "what is in excess is told": lambda p: (
        not p.refund_excess_minor or p.state is PaymentState.ORPHAN_REFUND or Note.REFUND_EXCEEDS_PURCHASE in p.notes
    ),
}
STATE_LAWS: dict[PaymentState, Law] = {
    PaymentState.DISPUTED: lambda p: p.charged_back_minor > 0,
    PaymentState.REFUNDED_PARTIAL: lambda p: undisputed(p) and p.refunded_minor > 0 and p.left_minor > 0,
    PaymentState.REFUNDED_FULL: lambda p: undisputed(p) and p.refunded_minor > 0,
    PaymentState.PARTIALLY_CLEARED: lambda p: kept_whole(p) and p.cleared_minor > 0 and p.open_minor > 0,
    PaymentState.CLEARED: lambda p: kept_whole(p) and p.cleared_minor > 0 and p.open_minor == 0,
    PaymentState.OPEN: lambda p: kept_whole(p) and p.cleared_minor == 0 and p.open_minor == p.left_minor,
    PaymentState.REVERSED: lambda p: kept_whole(p) and p.cleared_minor == p.open_minor == 0,
    PaymentState.EXPIRED: lambda p: undisputed(p) and p.cleared_minor == p.open_minor == 0,
    PaymentState.ORPHAN_REFUND: lambda p: kept_whole(p) and p.cleared_minor == p.open_minor == 0,
    PaymentState.DECLINED: lambda p: max(amounts_of(p)) == 0,
}
"""What a payment's state says of its amounts."""


def amounts_of(payment: Payment) -> tuple[int, ...]:
    """Return every amount of a payment."""
    return (
        payment.authorised_minor,
        payment.open_minor,
        payment.cleared_minor,
        payment.refunded_minor,
        payment.refund_excess_minor,
        payment.charged_back_minor,
        payment.net_minor,
        payment.confirmed_minor,
        payment.pending_minor,
    )


def taken_back(payment: Payment) -> int:
    """Return what was given back to the member."""
    return payment.refunded_minor + payment.charged_back_minor


def undisputed(payment: Payment) -> bool:
    """Return whether nothing stands charged back."""
    return payment.charged_back_minor == 0


def kept_whole(payment: Payment) -> bool:
    """Return whether nothing stands taken back."""
    return taken_back(payment) == 0


def contradictions(payment: Payment) -> list[str]:
    """Return what in a payment's state and amounts contradicts itself."""
    broken = [name for name, law in AMOUNT_LAWS.items() if not law(payment)]
    if not STATE_LAWS[payment.state](payment):
        broken.append(f"it is not {payment.state}")
    if payment.state in NOTHING_LEFT and payment.net_minor + payment.left_minor + payment.pending_minor:
        broken.append(f"something is left of what is {payment.state}")
    return broken


# What one more message of a type may change, from the payment before it to the payment with it.
ONE_MORE: dict[MessageType, Callable[[Payment, Payment], bool]] = {
    MessageType.INCREMENT: lambda p, q: q.open_minor >= p.open_minor and q.cleared_minor == p.cleared_minor,
    MessageType.AUTH_REVERSAL: lambda p, q: q.open_minor <= p.open_minor and q.cleared_minor == p.cleared_minor,
    MessageType.AUTH_EXPIRY: lambda p, q: q.open_minor == 0 and q.cleared_minor == p.cleared_minor,
    MessageType.CLEARING_REVERSAL: lambda p, q: q.open_minor == p.open_minor and q.cleared_minor <= p.cleared_minor,
    MessageType.REFUND: lambda p, q: q.open_minor == p.open_minor and q.left_minor <= p.left_minor,
    MessageType.REFUND_REVERSAL: lambda p, q: q.open_minor == p.open_minor and q.left_minor >= p.left_minor,
    MessageType.CHARGEBACK: lambda p, q: q.open_minor == p.open_minor and q.left_minor <= p.left_minor,
    MessageType.CHARGEBACK_REVERSAL: lambda p, q: q.open_minor == p.open_minor and q.left_minor >= p.left_minor,
    MessageType.DECLINE: lambda p, q: amounts_of(p) == amounts_of(q),
}


def drawn_story(drawn: random.Random) -> list[CardMessage]:
    """Draw the messages of one payment: any types, numbers, references and currencies, from one source or two."""
    kinds = drawn.choices(list(MessageType), k=drawn.randint(1, 5))
    kinds += [MessageType.AUTHORISATION] * drawn.randint(0, 3)
    plain = drawn.random() < 0.5  # half of them are what one good processor sends
    return [_drawn_message(drawn, f"m{number}", kind, plain=plain) for number, kind in enumerate(kinds)]


def faults_of(story: Sequence[CardMessage], drawn: random.Random) -> list[str]:
    """Return which laws the fold of a story breaks: of its amounts, of its state, of order, and of one more message."""
    payment = fold(story)
    faults = contradictions(payment)
    delivered = [*story, *drawn.choices(story, k=2)]
    drawn.shuffle(delivered)
    if fold(delivered) != payment:
        faults.append("another delivery is another payment")
    kind = drawn.choice(list(ONE_MORE))
    more = _drawn_message(drawn, "more", kind, plain=True)
    after = fold([*story, more])
    same = after.currency == payment.currency or kind is MessageType.DECLINE
    if same and payment.state is not PaymentState.DECLINED and not ONE_MORE[kind](payment, after):
        faults.append(f"one more {kind} changes what it must not")
    return faults


def _drawn_message(drawn: random.Random, name: str, kind: MessageType, *, plain: bool) -> CardMessage:
    told: dict[str, Any] = {}
    if not plain:
        cashback = drawn.choice((None, None, 1))
        told = {
            "source_id": drawn.choice(("src_a", "src_b")),
            "currency": drawn.choice(("EUR", "EUR", "USD")),
            "billing_amount_minor": drawn.choice((None, 0, 7, 900)),
            "billing_currency": drawn.choice((None, "EUR", "GBP")),
            "arn": drawn.choice((None, *ARNS)),
            "original_message_id": drawn.choice((None, "m0", "m1")),
            "components": Components(cashback_minor=cashback) if cashback else None,
            "is_preauth": drawn.choice((None, True)),
            "response_code": drawn.choice((None, "00", "51")),
        }
    common: dict[str, Any] = {
        "message_id": name,
        "source_id": "src_a",
        "type": kind,
        "occurred_at": DAY_ONE + timedelta(days=drawn.randrange(9)),
        "network": Network.VISA,
        "network_transaction_id": "461234567890123",
        "amount_minor": drawn.choice(AMOUNTS),
        "currency": "EUR",
        "mcc": drawn.choice(("5411", "5411", "5542")),
        "merchant": GROCER,
        "card_token": "tok_a",
        "clearing_sequence": drawn.choice((None, 1, 2)),
        "clearing_count": drawn.choice((None, None, 2)),
    }
    return CardMessage(**(common | told))
