"""A simulated day's messages are read, joined and folded as the simulator meant them."""

from collections import defaultdict

import msgspec
import pytest

from load_tests.simulator import Scale, make_coalition, make_day
from load_tests.simulator.model import CardMessage as Sent
from offers.feeds.messages import CardMessage
from offers.feeds.reading import RefusedMessage, read_message
from offers.payments.fold import payments

FIREWALL = {"card-number-in-descriptor", "card-number-in-extra"}
"""Card numbers in free text are refused at the door, for every body alike."""


@pytest.fixture(scope="module")
def sent() -> list[Sent]:
    """Return a small day's card messages."""
    scale = Scale(card_messages=4_000, earnings=300, redemptions=100, members=200)
    plan = make_day(make_coalition(11), 11, scale)
    return [each for phase in plan.phases for each in phase.card_messages]


def read(message: Sent) -> CardMessage | RefusedMessage:
    """Read a message as its feed does."""
    return read_message(msgspec.json.encode(message.body), message.source)


def test_bad_messages_are_refused_and_no_others(sent: list[Sent]) -> None:
    """Each fault that the simulator puts in is found; what it means to be taken is taken."""
    verdicts = [(each, isinstance(read(each), RefusedMessage)) for each in sent]

    assert {each.fault for each, refused in verdicts if refused and each.expected != "refused"} == set()
    assert {each.fault for each, refused in verdicts if not refused and each.expected == "refused"} <= FIREWALL
    assert sum(refused for _, refused in verdicts) > 10


def test_every_payment_is_found_and_none_too_many(sent: list[Sent]) -> None:
    """Messages that the simulator wrote for one payment are one payment; an orphan refund stands alone."""
    cards: defaultdict[str, list[CardMessage]] = defaultdict(list)
    meant: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    orphans = set()
    for each in sent:
        kept = read(each)
        if each.expected == "accepted" and isinstance(kept, CardMessage):
            cards[kept.card_token].append(kept)
            name = (kept.source_id, kept.message_id)
            linked = kept.original_network_transaction_id or kept.payment_ref or kept.original_message_id
            if each.kind == "refund" and not linked:
                orphans.add(frozenset({name}))
            else:
                meant[each.payment].add(name)

    found = {frozenset(payment.messages) for own in cards.values() for payment in payments(own)}

    assert found == {frozenset(names) for names in meant.values()} | orphans
    assert len(found) > 1_000
