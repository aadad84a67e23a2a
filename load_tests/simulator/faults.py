"""What goes wrong on the wire: bad messages by name, messages out of order, messages sent twice."""

from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any

import msgspec

from load_tests.simulator.model import CardMessage

Body = dict[str, Any]

TEST_CARD_NUMBERS = ("4111111111111111", "5555555555554444", "378282246310005")
"""Card numbers that the networks publish for tests: they pass Luhn and belong to nobody."""

CHANGED_BODY = "changed-body"
"""The fault of a message that comes again under its id with other content: it conflicts with the first."""


def _without(*fields: str) -> Callable[[Body], Body]:
    return lambda body: {name: value for name, value in body.items() if name not in fields}


def _with(**values: Any) -> Callable[[Body], Body]:
    return lambda body: body | values


FAULTS: Mapping[str, Callable[[Body], Body]] = {
    "negative-amount": lambda body: body | {"amount_minor": -body["amount_minor"]},
    "fractional-amount": lambda body: body | {"amount_minor": body["amount_minor"] + 0.5},
    "huge-amount": _with(amount_minor=10**30),
    "text-amount": lambda body: body | {"amount_minor": f"{body['amount_minor']}.00"},
    "missing-amount": _without("amount_minor"),
    "unknown-currency": _with(currency="QQQ"),
    "missing-currency": _without("currency"),
    "card-number-in-descriptor": lambda body: (
        body | {"merchant": body["merchant"] | {"descriptor": f"SHOP {TEST_CARD_NUMBERS[0]}"}}
    ),
    "card-number-as-token": _with(card_token=TEST_CARD_NUMBERS[1]),
    "card-number-in-extra": _with(extra={"note": {"pan": TEST_CARD_NUMBERS[2]}}),
    "missing-occurred-at": _without("occurred_at"),
    "occurred-at-without-offset": lambda body: body | {"occurred_at": body["occurred_at"][:19]},
    "unknown-type": _with(type="settlement"),
    "unknown-network": _with(network="abacus"),
    "missing-message-id": _without("message_id"),
    "missing-card-token": _without("card_token"),
    "missing-merchant": _without("merchant"),
    "malformed-par": _with(par="TOO-SHORT"),
    "malformed-last4": _with(card_last4="12"),
}
"""Every kind of bad message by name: how a good body is spoilt so that it has to be refused."""


def spoilt(name: str, message: CardMessage, message_id: str) -> CardMessage:
    """Return a message of its own, made of another one's content, with the named fault."""
    body = FAULTS[name](message.body | {"message_id": message_id})
    return msgspec.structs.replace(message, body=body, expected="refused", fault=name)


def changed(message: CardMessage) -> CardMessage:
    """Return the message again under its id, with another amount."""
    body = message.body | {"amount_minor": message.body["amount_minor"] + 1}
    return msgspec.structs.replace(message, body=body, expected="conflict", fault=CHANGED_BODY, delayed=False)


def again(message: CardMessage) -> CardMessage:
    """Return the message once more, same id and same body."""
    return msgspec.structs.replace(message, expected="duplicate", delayed=False)


def numbered(messages: Sequence[CardMessage], start: Mapping[str, int]) -> list[CardMessage]:
    """Return the messages with the running number of their source, counting on from `start`."""
    counters = dict(start)
    result: list[CardMessage] = []
    for message in messages:
        counters[message.source] = sequence = counters.get(message.source, 0) + 1
        body = message.body | {"sequence": sequence}
        result.append(msgspec.structs.replace(message, sequence=sequence, body=body))
    return result


def posted(
    rng: Random, ordered: Sequence[CardMessage], *, steady: Collection[str], delayed: int, duplicates: int
) -> list[CardMessage]:
    """Return the messages as they are posted: some later than their order, some once more after themselves.

    The payments whose keys are `steady` stay in order.
    Half of the delayed messages that have followers are overtaken by the whole rest of their payment (a clearing
    arrives before its authorisation); the others fall back by chance. A third of the duplicates follow within a
    batch, the others later.
    """
    size = len(ordered)
    last = {message.payment: position for position, message in enumerate(ordered)}
    good = [position for position, message in enumerate(ordered) if message.expected == "accepted"]
    movable = [position for position in good[: len(good) * 3 // 4] if ordered[position].payment not in steady]
    late = set(rng.sample(movable, delayed))
    keyed: list[tuple[int, int, CardMessage]] = []
    keys: dict[int, int] = {}
    for position, message in enumerate(ordered):
        place = position * 1_000
        if position in late:
            place += _delay(rng, position, last[message.payment], size)
        keys[position] = place
        keyed.append((place, len(keyed), msgspec.structs.replace(message, delayed=position in late)))
    for position in rng.sample(good, duplicates):
        reach = 100 if not rng.randrange(3) else size
        place = keys[position] + 1_000 * rng.randint(1, reach) + 1
        keyed.append((place, len(keyed), again(ordered[position])))
    return [message for _, _, message in sorted(keyed, key=lambda entry: entry[:2])]


def _delay(rng: Random, position: int, last: int, size: int) -> int:
    """Draw by how many thousandths of a position a message falls back."""
    back = rng.randint(20, max(21, size // 10))
    if last > position and rng.randrange(2):
        back = max(20, last - position)
    return 1_000 * back + rng.randint(1, 999)
