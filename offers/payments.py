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
from offers.joins import components
from offers.messages import CardMessage, Channel, MessageType, channel_of, kind_of, was_card_present
from offers.presentments import Presentment, clearings, count, each, refunds, total_minor


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
    clear. `net` = cleared − refunded − charged back. What may earn leaves out cash taken at the till: `confirmed` from
    what has cleared, `pending` what is expected on top of it.

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


_CLEARING = (MessageType.CLEARING, MessageType.CLEARING_ADJUSTMENT)
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
    """
    ordered = _ordered(messages)
    bought = [message for message in ordered if _RANK[kind_of(message)] <= _BOUGHT_RANK_MAX]
    sums = _Sums(ordered, bought)
    lead = ordered[0]
    led_by = kind_of(lead)
    return Payment(
        state=_state(sums, bought),
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
        notes=sums.notes(),
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
        legs, self._unplaced = clearings([message for message in bought if message.type in _CLEARING])
        self._of: dict[MessageType, list[CardMessage]] = {}
        for message in ordered:
            self._of.setdefault(kind_of(message), []).append(message)
        self._differs = False
        self._reference = legs[0].message if legs else ordered[0]
        self.currency = self._reference.currency
        self.was_reversed = MessageType.AUTH_REVERSAL in self._of or MessageType.CLEARING_REVERSAL in self._of
        self.was_expired = MessageType.AUTH_EXPIRY in self._of
        self.was_returned = MessageType.REFUND in self._of or MessageType.REFUND_REVERSAL in self._of
        self._take_purchase(legs)
        self._take_returns(bought)
        cash = max(self._sum(MessageType.AUTHORISATION, self._cash_minor), total_minor(legs, self._cash_minor))
        self.net = max(0, self.cleared - self.refunded - self.charged_back)
        expected = max(0, self.cleared + self.open - self.refunded - self.charged_back - cash)
        self.confirmed = max(0, self.net - cash)
        self.pending = max(0, expected - self.confirmed)

    def notes(self) -> tuple[Note, ...]:
        """Return what a person should look at."""
        found = [Note.CURRENCY_DIFFERS] if self._differs else []
        if self._unplaced:
            found.append(Note.ADJUSTMENT_UNPLACED)
        if self.refund_excess and self.bought:
            found.append(Note.REFUND_EXCEEDS_PURCHASE)
        return tuple(found)

    def _take_purchase(self, legs: Sequence[Presentment]) -> None:
        asked = self._sum(MessageType.AUTHORISATION, self._asked_minor) + self._sum(MessageType.INCREMENT)
        self.authorised = max(0, asked - self._sum(MessageType.AUTH_REVERSAL))
        presented = total_minor(legs, self._amount_minor)
        self.cleared = max(0, presented - self._sum(MessageType.CLEARING_REVERSAL))
        self.has_cleared = bool(legs)
        final = self.was_expired or (bool(legs) and _is_last(legs))
        self.open = 0 if final else max(0, self.authorised - presented)

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


def _is_last(legs: Sequence[Presentment]) -> bool:
    """Return whether no more legs are expected: one without a number is the only one, else the count says."""
    expected = max((leg.message.clearing_count or 0 for leg in legs), default=0)
    if expected:
        return count(legs) >= expected
    return not any(leg.message.clearing_sequence for leg in legs)


def _state(sums: _Sums, bought: Sequence[CardMessage]) -> PaymentState:
    """Return the first state that applies: what takes money back goes before what brings it."""
    state = PaymentState.OPEN if bought else PaymentState.DECLINED
    if sums.charged_back:
        state = PaymentState.DISPUTED
    elif sums.was_returned and not bought:
        state = PaymentState.ORPHAN_REFUND
    elif sums.refunded:
        state = PaymentState.REFUNDED_FULL if sums.refunded >= sums.bought else PaymentState.REFUNDED_PARTIAL
    elif sums.has_cleared and sums.cleared:
        state = PaymentState.PARTIALLY_CLEARED if sums.open else PaymentState.CLEARED
    elif sums.has_cleared or (sums.was_reversed and not sums.authorised):
        state = PaymentState.REVERSED
    elif sums.was_expired:
        state = PaymentState.EXPIRED
    return state
