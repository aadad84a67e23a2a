"""Which card messages are about the same payment.

A message has keys, each made from that message alone; messages that share a key belong together, and so does whatever
hangs on them. A table from key to payment is therefore enough to find a new message's payment: no key known makes a new
payment, one is joined, several are merged. Keys are compared among the messages of one account, whichever of its cards
they are about, so that a refund to another card or to a re-issued one finds its purchase.

Tiers, as far as they go today: (1) the source says so itself (`original_message_id`, `payment_ref`); (2) the network's
transaction id; and the acquirer's reference, which one presentment and everything about it share. Later tiers
(authorisation code with canonical merchant, scored amounts) need what other messages say, so they cannot be keys: they
belong beside `components`, as links between components that can be superseded, each with its tier and its score.
"""

from collections.abc import Iterable
from datetime import date

from koinon.places.model import Network, identifier
from offers.feeds.messages import CardMessage, MessageType

_STARTS = frozenset({MessageType.AUTHORISATION, MessageType.DECLINE})
_BOUGHT = _STARTS | {MessageType.CLEARING}


def join_keys(message: CardMessage) -> frozenset[str]:
    """Return the keys of a message; two messages of an account that share one are about the same payment."""
    source, kind = message.source_id, message.type
    keys = {f"message:{source}:{message.message_id}"}
    # A payment of a series names the first of the series as its original: that is another purchase.
    in_series = bool(message.is_recurring or message.is_installment)
    if message.original_message_id and not (in_series and kind in _STARTS):
        keys.add(f"message:{source}:{message.original_message_id}")
    if message.payment_ref:
        keys.add(f"payment:{source}:{message.payment_ref}")
    if message.arn:
        keys.add(f"arn:{message.arn}")
    if message.network_transaction_id:
        keys.update(_network_keys(message, message.network_transaction_id, _network_day(message)))
    if message.original_network_transaction_id and not (in_series and kind in _BOUGHT):
        keys.update(_network_keys(message, message.original_network_transaction_id, None))
    return frozenset(keys)


def components(messages: Iterable[CardMessage]) -> list[list[CardMessage]]:
    """Return the messages of one account sorted into payments, each in the order in which they were given."""
    parents: list[int] = []
    owners: dict[str, int] = {}

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    given = list(messages)
    for place, message in enumerate(given):
        parents.append(place)
        for key in join_keys(message):
            parents[root(place)] = root(owners.setdefault(key, place))
    groups: dict[int, list[CardMessage]] = {}
    for place, message in enumerate(given):
        groups.setdefault(root(place), []).append(message)
    return list(groups.values())


def _network_day(message: CardMessage) -> date:
    """Return the day on which the network numbered the message, as well as the message tells."""
    if message.network_date is not None:
        return message.network_date
    return (message.merchant_local_datetime or message.occurred_at).date()


def _network_keys(message: CardMessage, transaction_id: str, day: date | None) -> Iterable[str]:
    """Return the keys of a network's transaction id."""
    number = identifier(transaction_id)
    if not number:
        return ()
    if message.network is Network.MASTERCARD:
        return _banknet_keys(number, message.auth_code, day)
    if message.network is Network.OTHER:
        return (f"network:other:{message.source_id}:{number}",)
    return (f"network:{message.network.value}:{number}",)


def _banknet_keys(number: str, auth_code: str | None, day: date | None) -> Iterable[str]:
    """Return the keys of a Banknet reference, which is unique only within its network and processing day.

    A trace id ends in that day (DE 15, MMDD). The days of an authorisation and its clearing may be one apart, and a
    reference may be given again the next day: so one day's difference is bridged only for the same authorisation code.
    Every day shares a key with its neighbours by carrying its own number and the next one's. Years are not told apart:
    the network does not send them.
    """
    reference = number
    if 13 <= len(number) <= 16 and (ending := _day_of(number[-4:])):
        reference, day = number[:-4], ending
    if day is None:
        return ()
    ordinal = date(2000, day.month, day.day).timetuple().tm_yday
    days = {ordinal, ordinal % 366 + 1}
    if (day.month, day.day) == (2, 28):
        days.add(61)  # 1 March is the next day, but in leap years
    code = identifier(auth_code) or "-"
    return (
        f"network:mastercard:{reference}:{ordinal}",
        *(f"network:mastercard:{reference}:{code}:{each}" for each in days),
    )


def _day_of(ending: str) -> date | None:
    if not (ending.isascii() and ending.isdigit()):
        return None
    try:
        return date(2000, int(ending[:2]), int(ending[2:]))
    except ValueError:
        return None
