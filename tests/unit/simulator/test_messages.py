"""The simulated card messages are Koinon's own: the feed reads every good one and refuses every bad one."""

from collections import Counter

import msgspec
import pytest

from koinon.places.model import NetworkIdentity, message_keys, registered_keys
from load_tests.simulator import Coalition, Plan, make_coalition, make_day
from load_tests.simulator.messages import check_digit
from load_tests.simulator.model import CardMessage
from offers.feeds.messages import CardMessage as CanonicalMessage
from offers.feeds.reading import looks_like_card_number, read_message
from offers.payments.fold import PaymentState, payments


@pytest.fixture(scope="module")
def coalition() -> Coalition:
    """Return the demo's coalition."""
    return make_coalition(2)


@pytest.fixture(scope="module")
def plan(coalition: Coalition) -> Plan:
    """Return the demo's day."""
    return make_day(coalition, 2)


@pytest.fixture(scope="module")
def messages(plan: Plan) -> list[CardMessage]:
    """Return all card messages of the demo's day."""
    return [message for phase in plan.phases for message in phase.card_messages]


def test_the_feed_reads_what_it_should(messages: list[CardMessage]) -> None:
    """Every message is taken or refused as the plan expects; the free-text card numbers are the scanner's to find."""
    answers: Counter[tuple[str, str]] = Counter()
    for message in messages:
        answer = read_message(msgspec.json.encode(message.body), "any")
        answers[message.fault, type(answer).__name__] += 1
        if not message.fault:
            assert isinstance(answer, CanonicalMessage), answer
            assert answer.amount_minor == message.body["amount_minor"]
            assert answer.occurred_at.utcoffset() is not None
    scanned = {"card-number-in-descriptor", "card-number-in-extra"}
    taken = {fault for fault, name in answers if name == "CardMessage"}
    assert taken <= {"", "changed-body"} | scanned
    print(f"{answers.total()} simulated messages read")


def test_free_text_card_numbers_look_like_ones(messages: list[CardMessage]) -> None:
    """What the faults put into free text is what the scanner looks for; nothing free in a good message is.

    Ids of the network keep their own form, fifteen digits of them often: those fields the scanner has to know by name.
    """
    for message in messages:
        if message.fault == "card-number-in-descriptor":
            assert looks_like_card_number(message.body["merchant"]["descriptor"])
        elif message.fault == "card-number-in-extra":
            assert looks_like_card_number(message.body["extra"]["note"]["pan"])
        elif message.expected == "accepted":
            texts = [message.body["message_id"], message.body["card_token"], message.body["merchant"]["descriptor"]]
            assert not any(looks_like_card_number(text) for text in texts)


def test_every_message_of_a_brand_finds_its_place(coalition: Coalition, plan: Plan) -> None:
    """The registered ids of places are known to each accepted message of a brand, and to no message from outside."""
    known: dict[str, set[str]] = {}
    for place in (place for partner in coalition.partners for place in partner.places):
        for each in place.network_ids:
            values = {"kind": each.kind, "value": each.value, "network": each.network}
            identity = msgspec.convert(
                values | ({"acquirer_id": each.acquirer_id} if each.acquirer_id else {}), NetworkIdentity
            )
            for key in registered_keys(identity):
                known.setdefault(key, set()).add(place.key)
    outside = 0
    for message in plan.phases[0].card_messages:
        if message.expected == "accepted":
            read = read_message(msgspec.json.encode(message.body), "any")
            assert isinstance(read, CanonicalMessage)
            assert read.merchant
            keys = [key for key in message_keys(read.network, read.merchant) if not key.startswith("acquirer~")]
            places = {place for key in keys for place in known.get(key, ())}
            outside += not places
            assert len(places) <= 1 or message.kind == "clearing"
    assert outside > 300


def test_joins_are_explicit_at_one_processor_and_by_network_at_the_other(messages: list[CardMessage]) -> None:
    """Nordpay names the payment in every message but an orphan refund; Pontepay leaves the network's ids alone."""
    named_by: dict[str, set[str]] = {}
    orphans = 0
    for message in messages:
        if message.expected != "accepted":
            continue
        named = message.body.get("payment_ref")
        linked = "original_network_transaction_id" in message.body
        assert message.body["network_transaction_id"]
        orphans += message.kind == "refund" and not linked
        assert bool(named) == (message.source == "nordpay" and (linked or message.kind != "refund"))
        if message.kind != "refund":
            named_by.setdefault(message.payment, set()).add(message.body["network_transaction_id"])
    assert {len(ids) for ids in named_by.values()} == {1}
    assert len(set.union(*named_by.values())) == len(named_by)
    assert 0 < orphans < 40


def test_folded_messages_say_what_was_simulated(coalition: Coalition, plan: Plan, messages: list[CardMessage]) -> None:
    """However the messages arrived, the fold finds the payments that were simulated and what each came to."""
    owners = {card.token: member.key for member in coalition.members for card in member.cards}
    accounts: dict[str, list[CanonicalMessage]] = {}
    expected: Counter[str] = Counter()
    signs = {"clearing": 1, "clearing_reversal": -1, "refund": -1}
    orphans: Counter[str] = Counter()
    for message in messages:
        if message.expected in {"accepted", "duplicate"}:
            read = read_message(msgspec.json.encode(message.body), message.source)
            assert isinstance(read, CanonicalMessage)
            accounts.setdefault(owners.get(read.card_token, read.card_token), []).append(read)
        if message.expected == "accepted":
            orphan = message.kind == "refund" and "original_network_transaction_id" not in message.body
            orphans["orphans"] += orphan
            expected[message.payment] += 0 if orphan else signs.get(message.kind, 0) * message.body["amount_minor"]
    folded = [payment for account in accounts.values() for payment in payments(account)]
    states = Counter(payment.state for payment in folded)
    assert states[PaymentState.ORPHAN_REFUND] == orphans["orphans"] > 0
    assert len(folded) == len(expected) + orphans["orphans"] == plan.counts["payments"] + orphans["orphans"]
    net = sorted(payment.net_minor for payment in folded if payment.state != PaymentState.ORPHAN_REFUND)
    assert net == sorted(expected.values())
    assert states[PaymentState.DECLINED] == plan.counts["payment-declined"]


def test_arns_have_their_check_digit(messages: list[CardMessage]) -> None:
    """A presentment's reference has 23 digits, the last one by Luhn, and no two presentments share one."""
    arns = [message.body["arn"] for message in messages if message.expected == "accepted" and "arn" in message.body]
    assert len(arns) == len(set(arns)) > 9_000
    assert all(len(arn) == 23 and check_digit(arn[:-1]) == arn[-1] for arn in arns)
    assert check_digit("7992739871") == "3"


def test_legs_and_tips_are_told(messages: list[CardMessage]) -> None:
    """Several clearings say which of how many they are; a tip is told apart from the bill."""
    legs = [message.body for message in messages if message.expected == "accepted" and "clearing_count" in message.body]
    assert {(body["clearing_sequence"], body["clearing_count"]) for body in legs} == {
        (1, 2),
        (2, 2),
        (1, 3),
        (2, 3),
        (3, 3),
    }
    tips = [message.body for message in messages if message.expected == "accepted" and "components" in message.body]
    assert len(tips) > 200
    for body in tips:
        assert sum(body["components"].values()) == body["amount_minor"]
