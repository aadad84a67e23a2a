"""What all card messages about one payment say together.

The fold is a function of the set of messages: order, repetition and the way they were delivered do not matter (design,
law 5). So a worker may fold whatever it has, and fold again when more arrives; what is posted is the difference.

Two processors may report the same payment. Their accounts are not added up: of each type the fuller account counts, and
presentments are told apart by their acquirer's reference.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction

import msgspec

from koinon.money import EXPONENTS
from koinon.places.model import Facilitator, Merchant, Network, message_keys
from offers.feeds.messages import CardMessage, Channel, MessageType, channel_of, kind_of, was_card_present
from offers.payments.joins import components
from offers.payments.presentments import Presentment, clearings, count, each, refunds, total_minor


class PaymentState(StrEnum):
    """How far a payment has come."""

    OPEN = "open"
    PARTIALLY_CLEARED = "partially_cleared"
    CLEARED = "cleared"
    REVERSED = "reversed"
    EXPIRED = "expired"
    REFUNDED_PARTIAL = "refunded_partial"
    REFUNDED_FULL = "refunded_full"
    DISPUTED = "disputed"
    ORPHAN_REFUND = "orphan_refund"
    DECLINED = "declined"


class Note(StrEnum):
    """Something about a payment that a person should look at; no amount was guessed."""

    CURRENCY_DIFFERS = "currency-differs"
    ADJUSTMENT_UNPLACED = "adjustment-unplaced"
    REFUND_EXCEEDS_PURCHASE = "refund-exceeds-purchase"


class SeenMerchant(msgspec.Struct, frozen=True):
    """A merchant as one of the payment's messages names it."""

    network: Network
    merchant: Merchant
    facilitator: Facilitator | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """The fold of all card messages about one act of buying; amounts in minor units of `currency`, never negative.

    `authorised` is net of reversals, `cleared` of clearing reversals, `refunded` and `charged_back` of theirs;
    `refunded` is at most what was bought, the rest is `refund_excess`. `open` is authorised and still expected to
    clear. `net` = cleared − refunded − charged back, `left` the same with what is open. What may earn leaves out cash
    taken at the till: `confirmed` from what has cleared, `pending` what is expected on top of it.

    `occurred_at` (UTC) is that of the earliest authorisation, else of the earliest clearing, for which
    `local_datetime` is the merchant's own time if it was sent.
    """

    state: PaymentState
    currency: str
    authorised_minor: int
    open_minor: int
    cleared_minor: int
    refunded_minor: int
    refund_excess_minor: int
    charged_back_minor: int
    net_minor: int
    confirmed_minor: int
    pending_minor: int
    occurred_at: datetime
    local_datetime: datetime | None
    led_by: MessageType
    network: Network
    merchants: tuple[SeenMerchant, ...]
    mcc: str | None
    channel: Channel | None
    card_present: bool | None
    card_tokens: tuple[tuple[str, str], ...]
    pars: tuple[str, ...]
    auth_codes: tuple[str, ...]
    messages: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]

    @property
    def left_minor(self) -> int:
        """What was paid and is still expected to be, less what was taken back."""
        return max(0, self.cleared_minor + self.open_minor - self.refunded_minor - self.charged_back_minor)


_CLEARING = (MessageType.CLEARING, MessageType.CLEARING_ADJUSTMENT)
_TAKEN_BACK = frozenset(
    {
        MessageType.REFUND,
        MessageType.REFUND_REVERSAL,
        MessageType.CHARGEBACK,
        MessageType.CHARGEBACK_REVERSAL,
    }
)
# Whose word on time, merchant and channel goes first: the offer is decided as of the authorisation.
_RANK = {
    MessageType.AUTHORISATION: 0,
    MessageType.INCREMENT: 1,
    MessageType.CLEARING: 2,
    MessageType.CLEARING_ADJUSTMENT: 2,
    MessageType.DECLINE: 3,
    MessageType.AUTH_REVERSAL: 4,
    MessageType.CLEARING_REVERSAL: 4,
    MessageType.AUTH_EXPIRY: 5,
    MessageType.REFUND: 6,
    MessageType.REFUND_REVERSAL: 7,
    MessageType.CHARGEBACK: 8,
    MessageType.CHARGEBACK_REVERSAL: 9,
}
_BOUGHT_RANK_MAX = 2
_PUMP = "5542"  # automated fuel dispensers authorise 1.00 or a ceiling before the amount is known


def fold(messages: Iterable[CardMessage]) -> Payment:
    """Return what the messages of one payment say together; raise ValueError when there is none.

    A message id counts once. Of two contents under one id, which the inbox refuses, the same one is always taken.

    What is open is what was authorised less what was presented, and a presentment that is reversed was presented: its
    part of the authorisation is used up. Should it come again, that is another clearing, which counts for itself.

        authorisation, increment   open grows by what is asked for: a card check asks for nothing
        auth_reversal              it shrinks by the amount, to nothing at most
        clearing                   it shrinks by the amount; the last one that is expected closes the rest
        clearing_adjustment        as its clearing with the new amount would
        auth_expiry                it is closed
        all others                 it stays

    The state follows from the amounts: it is that of the first row that fits ("left" as in `Payment`), so it cannot
    say other than they do. What nothing is left of was not bought in the end, and only then its messages' kinds count.

        charged back               disputed
        refunded, some is left     refunded_partial
        refunded, all of it        refunded_full
        cleared, some is open      partially_cleared
        cleared, nothing is open   cleared
        not cleared, some is open  open
        neither, and there is      expired, when an expiry closed something; else
                                   reversed, after a reversal of either kind; else
                                   expired, after an expiry; else
                                   orphan_refund, after anything that takes back a purchase that nobody has seen; else
                                   open, after an authorisation, which was a card check; else
                                   declined
    """
    ordered = _ordered(messages)
    bought = [message for message in ordered if _RANK[kind_of(message)] <= _BOUGHT_RANK_MAX]
    sums = _Sums(ordered, bought)
    state = _state(sums, bought)
    lead = ordered[0]
    led_by = kind_of(lead)
    return Payment(
        state=state,
        currency=sums.currency,
        authorised_minor=sums.authorised,
        open_minor=sums.open,
        cleared_minor=sums.cleared,
        refunded_minor=sums.refunded,
        refund_excess_minor=sums.refund_excess,
        charged_back_minor=sums.charged_back,
        net_minor=sums.net,
        confirmed_minor=sums.confirmed,
        pending_minor=sums.pending,
        occurred_at=lead.occurred_at.astimezone(UTC),
        local_datetime=lead.merchant_local_datetime if led_by in _CLEARING else None,
        led_by=led_by,
        network=lead.network,
        merchants=_merchants(bought or ordered),
        mcc=next((message.mcc for message in ordered if message.mcc), None),
        channel=next((channel for channel in map(channel_of, ordered) if channel), None),
        card_present=next((present for present in map(was_card_present, ordered) if present is not None), None),
        card_tokens=tuple(sorted({(message.source_id, message.card_token) for message in ordered})),
        pars=tuple(sorted({message.par for message in ordered if message.par})),
        auth_codes=tuple(sorted({message.auth_code for message in ordered if message.auth_code})),
        messages=tuple(sorted((message.source_id, message.message_id) for message in ordered)),
        notes=sums.notes(state),
    )


def payments(messages: Iterable[CardMessage]) -> list[Payment]:
    """Return the payments that one account's messages make, the earliest first."""
    return sorted(map(fold, components(messages)), key=lambda payment: (payment.occurred_at, payment.messages))


def sightings(payment: Payment) -> tuple[tuple[str, ...], ...]:
    """Return the keys of each merchant that the payment names, for `koinon.places.model.resolve`."""
    return tuple(message_keys(seen.network, seen.merchant, seen.facilitator) for seen in payment.merchants)


def _ordered(messages: Iterable[CardMessage]) -> list[CardMessage]:
    """Return the messages, each id once, in the order in which their word counts."""
    distinct: dict[tuple[str, str], CardMessage] = {}
    for message in messages:
        name = (message.source_id, message.message_id)
        known = distinct.setdefault(name, message)
        if known is not message and known != message:
            distinct[name] = min(known, message, key=msgspec.json.encode)
    if not distinct:
        raise ValueError("a payment has at least one message")
    return sorted(
        distinct.values(),
        key=lambda message: (_RANK[kind_of(message)], message.occurred_at, message.source_id, message.message_id),
    )


def _merchants(messages: Sequence[CardMessage]) -> tuple[SeenMerchant, ...]:
    seen: list[SeenMerchant] = []
    for message in messages:
        if message.merchant is not None or message.payment_facilitator is not None:
            named = SeenMerchant(message.network, message.merchant or Merchant(), message.payment_facilitator)
            if named not in seen:
                seen.append(named)
    return tuple(seen)


class _Sums:
    """The amounts of a payment, in minor units of its currency."""

    def __init__(self, ordered: Sequence[CardMessage], bought: Sequence[CardMessage]) -> None:
        presented = [message for message in bought if message.type in _CLEARING]
        legs, self._unplaced = clearings(presented)
        self._of: dict[MessageType, list[CardMessage]] = {}
        for message in ordered:
            self._of.setdefault(kind_of(message), []).append(message)
        self._differs = False
        # Whose currency and rate the payment has. What was declined moved no money, so it has neither.
        said = (message for message in ordered if kind_of(message) is not MessageType.DECLINE)
        self._reference = legs[0].message if legs else next(said, ordered[0])
        self.currency = self._reference.currency
        self.was_reversed = MessageType.AUTH_REVERSAL in self._of or MessageType.CLEARING_REVERSAL in self._of
        self.was_expired = MessageType.AUTH_EXPIRY in self._of
        self.was_returned = not _TAKEN_BACK.isdisjoint(self._of)
        self._take_purchase(legs, presented)
        self._take_returns(bought)
        cash = max(self._sum(MessageType.AUTHORISATION, self._cash_minor), total_minor(legs, self._cash_minor))
        taken_back = self.refunded + self.charged_back
        self.net = max(0, self.cleared - taken_back)
        self.left = max(0, self.cleared + self.open - taken_back)
        self.confirmed = max(0, self.net - cash)
        self.pending = max(0, self.left - cash) - self.confirmed

    def notes(self, state: PaymentState) -> tuple[Note, ...]:
        """Return what a person should look at."""
        found = [Note.CURRENCY_DIFFERS] if self._differs else []
        if self._unplaced:
            found.append(Note.ADJUSTMENT_UNPLACED)
        if self.refund_excess and state is not PaymentState.ORPHAN_REFUND:  # which waits for its purchase
            found.append(Note.REFUND_EXCEEDS_PURCHASE)
        return tuple(found)

    def _take_purchase(self, legs: Sequence[Presentment], told: Sequence[CardMessage]) -> None:
        asked = self._sum(MessageType.AUTHORISATION, self._asked_minor) + self._sum(MessageType.INCREMENT)
        self.authorised = max(0, asked - self._sum(MessageType.AUTH_REVERSAL))
        presented = total_minor(legs, self._amount_minor)
        self.cleared = max(0, presented - self._sum(MessageType.CLEARING_REVERSAL))
        self.has_cleared = bool(legs)
        rest = 0 if legs and _is_last(legs, told) else max(0, self.authorised - presented)
        self.open, self.ran_out = (0, rest) if self.was_expired else (rest, 0)

    def _take_returns(self, bought: Sequence[CardMessage]) -> None:
        given = refunds(self._of.get(MessageType.REFUND, ()), bought)
        back = max(0, total_minor(given, self._amount_minor) - self._sum(MessageType.REFUND_REVERSAL))
        # A refund may come before the clearing, so what was authorised counts as bought until it is known better.
        self.bought = max(self.cleared + self.open, 0 if self.has_cleared else self.authorised)
        self.refunded = min(back, self.bought)
        self.refund_excess = back - self.refunded
        self.charged_back = max(0, self._sum(MessageType.CHARGEBACK) - self._sum(MessageType.CHARGEBACK_REVERSAL))

    def _sum(self, kind: MessageType, amount_of: Callable[[CardMessage], int] | None = None) -> int:
        return total_minor(each(self._of[kind]), amount_of or self._amount_minor) if kind in self._of else 0

    def _asked_minor(self, authorisation: CardMessage) -> int:
        """Return what an authorisation asked for: nothing when it only checks the card or opens the pump."""
        placeholder = authorisation.is_preauth or authorisation.mcc == _PUMP
        if placeholder and authorisation.amount_minor <= 10 ** EXPONENTS[authorisation.currency]:
            return 0
        return self._amount_minor(authorisation)

    def _amount_minor(self, message: CardMessage) -> int:
        """Return a message's amount in the payment's currency, at the payment's own rate; 0 when that is not known."""
        if message.currency == self.currency:
            return message.amount_minor
        billed, rate = message.billing_amount_minor, self._reference
        if billed is not None and message.billing_currency == self.currency:
            return billed
        if billed is not None and rate.billing_amount_minor and message.billing_currency == rate.billing_currency:
            return round(Fraction(billed * rate.amount_minor, rate.billing_amount_minor))
        self._differs = True
        return 0

    def _cash_minor(self, message: CardMessage) -> int:
        """Return the cash taken out with a purchase, in the payment's currency, rounded against earning."""
        cash = (message.components.cashback_minor or 0) if message.components else 0
        if not cash or message.currency == self.currency:
            return cash
        return -(-self._amount_minor(message) * cash // message.amount_minor)


def _is_last(legs: Sequence[Presentment], told: Sequence[CardMessage]) -> bool:
    """Return whether no more legs are expected: one without a number is the only one, else the count says.

    `told`: the clearings and adjustments that the legs are made of, since an adjustment need not repeat the numbers.
    """
    expected = max((message.clearing_count or 0 for message in told), default=0)
    if expected:
        return count(legs) >= expected
    return not any(message.clearing_sequence for message in told)


def _state(sums: _Sums, bought: Sequence[CardMessage]) -> PaymentState:
    """Return the state of the first row of the table at `fold` that fits."""
    rows = (
        (PaymentState.DISPUTED, sums.charged_back),
        (PaymentState.REFUNDED_PARTIAL, sums.refunded and sums.left),
        (PaymentState.REFUNDED_FULL, sums.refunded and sums.refunded == sums.bought),
        (PaymentState.PARTIALLY_CLEARED, sums.cleared and sums.open),
        (PaymentState.CLEARED, sums.cleared),
        (PaymentState.OPEN, sums.open),
        (PaymentState.EXPIRED, sums.ran_out),
        (PaymentState.REVERSED, sums.was_reversed),
        (PaymentState.EXPIRED, sums.was_expired),
        (PaymentState.ORPHAN_REFUND, sums.was_returned),
        (PaymentState.OPEN, bought),
    )
    return next((state for state, fits in rows if fits), PaymentState.DECLINED)
