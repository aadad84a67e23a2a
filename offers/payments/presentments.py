"""Which of a payment's messages report the same presentment, and what the presentments of a kind sum to."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from offers.feeds.messages import CardMessage, MessageType

Identity = tuple[str, ...]
AmountOf = Callable[[CardMessage], int]


class Presentment(NamedTuple):
    """One presentment as one source reports it: by the message that counts; `arn` only when it is its own."""

    message: CardMessage
    arn: str | None = None


def each(messages: Iterable[CardMessage]) -> list[Presentment]:
    """Return messages that each stand for themselves: the same content under another id is another event."""
    return [Presentment(message) for message in messages]


def total_minor(presentments: Sequence[Presentment], amount_of: AmountOf) -> int:
    """Return the sum, or when several sources report, the fullest account: of one source, or of all known references.

    Where sources differ on the amount of one reference, the presentment that comes last here counts.
    """
    if len(presentments) == 1:
        return amount_of(presentments[0].message)
    if len({presentment.message.source_id for presentment in presentments}) < 2:
        return sum(amount_of(presentment.message) for presentment in presentments)
    by_source: dict[str, int] = {}
    by_reference: dict[str, int] = {}
    for message, arn in presentments:
        by_source[message.source_id] = by_source.get(message.source_id, 0) + amount_of(message)
        if arn is not None:
            by_reference[arn] = amount_of(message)
    return max(*by_source.values(), sum(by_reference.values()))


def count(presentments: Sequence[Presentment]) -> int:
    """Return how many presentments there are, by the fullest account."""
    return total_minor(presentments, lambda _message: 1)


def clearings(messages: Iterable[CardMessage]) -> tuple[list[Presentment], bool]:
    """Return the legs of a payment, and whether some adjustment names none of them.

    `messages` are clearings and adjustments in the payment's order. An adjustment replaces the amount of its leg.
    """
    presentments: list[Presentment] = []
    unplaced = False
    for own in _by_source(messages):
        legs: dict[Identity, CardMessage] = {}
        names: dict[str, Identity] = {}
        for message in own:
            if message.type is MessageType.CLEARING:
                identity = _leg(message)
                legs[identity] = message
                names[message.message_id] = identity
        for message in own:
            if message.type is MessageType.CLEARING_ADJUSTMENT:
                adjusted = _adjusted(message, legs, names)
                if adjusted is None:
                    unplaced = True
                    continue
                legs[adjusted] = message
                names[message.message_id] = adjusted
        presentments.extend(
            Presentment(message, identity[1] if identity[0] == "arn" else None) for identity, message in legs.items()
        )
    return presentments, unplaced


def refunds(messages: Sequence[CardMessage], bought: Iterable[CardMessage]) -> list[Presentment]:
    """Return the refunds, each once, however many messages report it (some sources send two events for one).

    A reference that also stands on the purchase's own messages (`bought`) names the purchase and not the refund.
    """
    if not messages:
        return []
    purchase_arns, purchase_rrns = set(), set()
    for message in bought:
        purchase_arns.add(message.arn)
        purchase_rrns.add(message.rrn)
    presentments: list[Presentment] = []
    for own in _by_source(messages):
        distinct: dict[Identity, Presentment] = {}
        for message in own:
            own_id, original_id = message.network_transaction_id, message.original_network_transaction_id
            if message.arn and message.arn not in purchase_arns:
                distinct["arn", message.arn] = Presentment(message, message.arn)
            elif own_id and original_id and own_id != original_id:
                distinct["network", own_id, str(message.amount_minor), message.currency] = Presentment(message)
            elif message.rrn and message.rrn not in purchase_rrns:
                distinct["rrn", message.rrn, str(message.amount_minor), message.currency] = Presentment(message)
            else:
                distinct["message", message.message_id] = Presentment(message)
        presentments.extend(distinct.values())
    return presentments


def _by_source(messages: Iterable[CardMessage]) -> Iterable[list[CardMessage]]:
    sources: dict[str, list[CardMessage]] = {}
    for message in messages:
        sources.setdefault(message.source_id, []).append(message)
    return sources.values()


def _leg(clearing: CardMessage) -> Identity:
    """Return what tells a clearing from the other legs of its payment; a sequence number alone is often always 1."""
    if clearing.arn:
        return ("arn", clearing.arn)
    if clearing.clearing_sequence:
        return ("sequence", str(clearing.clearing_sequence), str(clearing.amount_minor), clearing.currency)
    return ("message", clearing.message_id)


def _adjusted(
    adjustment: CardMessage, legs: dict[Identity, CardMessage], names: dict[str, Identity]
) -> Identity | None:
    """Return the leg that an adjustment is about, a new one if its clearing is still to come, None if unclear."""
    arn = adjustment.arn
    if arn and ("arn", arn) in legs:
        return ("arn", arn)
    if adjustment.original_message_id in names:
        return names[adjustment.original_message_id]
    if adjustment.clearing_sequence:
        named = [leg for leg, message in legs.items() if message.clearing_sequence == adjustment.clearing_sequence]
        if len(named) == 1:
            return named[0]
    if not legs:
        return ("arn", arn) if arn else ("message", adjustment.message_id)
    if len(legs) == 1 and not (arn and next(iter(legs))[0] == "arn"):
        return next(iter(legs))
    return ("arn", arn) if arn else None
