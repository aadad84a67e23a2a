"""Whatever order, however often and in whatever pieces a purchase's messages arrive, it ends the same."""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from koinon.places.model import Resolution
from offers.feeds.messages import CardMessage, MessageType
from offers.model import FixedPoints, OfferVersion, PointsPerAmount
from offers.payments.fold import Payment, fold, payments
from offers.payments.joins import components, join_keys
from offers.rewarding.decisions import Decision, card_facts, decide
from tests.unit.offers.fold_laws import contradictions
from tests.unit.offers.samples import A_LEG_TAKEN_BACK, HELSINKI, LINKED_AT, activation, message, version

OFFERS = (
    version(),
    version(minimum_minor=3000, cap_points_per_payment=350),
    version(earn=FixedPoints(points=75), minimum_minor=1000),
    version(earn=PointsPerAmount(points=7, amount_minor=300)),
)
AMOUNTS = st.sampled_from([1, 100, 1200, 1200, 2500, 4800, 5000, 12_345])
REFERENCES = st.sampled_from([None, "74111116061000000000017", "74111116061000000000025", "74111116061000000000033"])
CURRENCIES = st.sampled_from(["EUR", "EUR", "EUR", "USD"])


@st.composite
def stories(draw: st.DrawFn, purchase: int = 0) -> list[CardMessage]:
    """Draw the messages of one purchase: any types, from two sources, linked by the network or by their source."""
    drawn = []
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(list(MessageType)))
        link = draw(st.sampled_from(["network", "original", "payment"]))
        fields: dict[str, Any] = {
            "message_id": f"m-{purchase}-{number}",
            "occurred_at": f"2026-03-0{draw(st.integers(1, 9))}T10:00:00Z",
            "network_transaction_id": f"46{purchase:013}" if link == "network" else None,
            "original_network_transaction_id": f"46{purchase:013}" if link == "original" else None,
            "payment_ref": f"p-{purchase}" if link == "payment" else None,
            "currency": draw(CURRENCIES),
            "components": draw(st.sampled_from([None, None, {"cashback_minor": 1}])),
            "is_preauth": draw(st.sampled_from([None, True])),
            "mcc": draw(st.sampled_from(["5411", None])),
        }
        if kind in {MessageType.CLEARING, MessageType.REFUND, MessageType.CLEARING_ADJUSTMENT}:
            reference = draw(REFERENCES)
            fields["arn"] = f"{reference[:-4]}{purchase}{reference[-3:]}" if reference else None
            fields["clearing_sequence"] = draw(st.sampled_from([None, 1, 2]))
            fields["clearing_count"] = draw(st.sampled_from([None, 2]))
        drawn.append(message(kind.value, draw(AMOUNTS), source=draw(st.sampled_from(["src_a", "src_b"])), **fields))
    return drawn


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[CardMessage], list[CardMessage]]:
    """Draw the messages of up to three purchases, and another delivery of them: shuffled, with repetitions."""
    told = [each for purchase in range(draw(st.integers(1, 3))) for each in draw(stories(purchase))]
    repeated = draw(st.lists(st.sampled_from(told), max_size=5))
    return told, draw(st.permutations(told + repeated))


def decisions(payment: Payment) -> list[Decision]:
    """Return what every offer makes of a payment."""
    facts = card_facts(payment, Resolution(7), HELSINKI, LINKED_AT)
    return [decide(facts, activation(offer), offer) for offer in OFFERS]


def target(messages: Sequence[CardMessage], offer: OfferVersion) -> tuple[int, int]:
    """Return the (pending, confirmed) points of one payment's messages."""
    decision = decide(card_facts(fold(messages), Resolution(7), HELSINKI, LINKED_AT), activation(offer), offer)
    return decision.pending_points, decision.confirmed_points


class Worker:
    """An incremental worker: a table from key to payment, and what was posted for each payment so far."""

    def __init__(self) -> None:
        self.owners: dict[str, int] = {}
        self.messages: dict[int, list[CardMessage]] = {}
        self.posted: dict[int, int] = {}

    def take(self, arrived: CardMessage) -> None:
        """Join one message, merge the payments that it shows to be one, and post the difference."""
        keys = join_keys(arrived)
        met = sorted({self.owners[key] for key in keys if key in self.owners})
        payment = met[0] if met else len(self.owners)
        own = [arrived, *self.messages.get(payment, [])]
        posted = self.posted.pop(payment, 0)
        for other in met[1:]:
            own += self.messages.pop(other)
            posted += self.posted.pop(other)
            self.owners |= {key: payment for key, owner in self.owners.items() if owner == other}
        self.owners |= dict.fromkeys(keys, payment)
        self.messages[payment] = own
        difference = sum(target(own, OFFERS[1])) - posted
        self.posted[payment] = posted + difference


@given(deliveries())
def test_any_delivery_makes_the_same_payments_and_decisions(
    delivery: tuple[list[CardMessage], list[CardMessage]],
) -> None:
    """Order and repetition change neither a payment nor a target."""
    told, delivered = delivery

    assert payments(delivered) == payments(told)
    assert [decisions(each) for each in payments(delivered)] == [decisions(each) for each in payments(told)]


@given(deliveries())
def test_a_worker_that_sees_one_message_at_a_time_ends_the_same(
    delivery: tuple[list[CardMessage], list[CardMessage]],
) -> None:
    """Joined by keys and posted by differences, each payment ends at its target."""
    told, delivered = delivery
    worker = Worker()

    for arrived in delivered:
        worker.take(arrived)

    ended = {fold(own).messages: worker.posted[payment] for payment, own in worker.messages.items()}
    assert ended == {fold(own).messages: sum(target(own, OFFERS[1])) for own in components(told)}


@given(deliveries())
def test_purchases_do_not_touch_each_other(delivery: tuple[list[CardMessage], list[CardMessage]]) -> None:
    """A payment is the same whether or not its member bought elsewhere that day."""
    told, _ = delivery
    names = {each.message_id.split("-")[1] for each in told}
    apart = [payments([each for each in told if each.message_id.split("-")[1] == name]) for name in names]

    assert sorted(each.messages for own in apart for each in own) == sorted(each.messages for each in payments(told))


@given(stories())
@example(A_LEG_TAKEN_BACK)
def test_state_and_amounts_never_contradict_each_other(story: list[CardMessage]) -> None:
    """Nothing is negative or earned twice, and what a payment's state says of its amounts is so."""
    assert contradictions(fold(story)) == []


@given(stories())
def test_points_follow_the_money(story: list[CardMessage]) -> None:
    """Targets are never negative, never above the cap, and zero exactly when a reason is given."""
    payment = fold(story)

    for decision, offer in zip(decisions(payment), OFFERS, strict=True):
        total = decision.confirmed_points + decision.pending_points
        assert min(decision.confirmed_points, decision.pending_points) >= 0
        assert total <= (offer.cap_points_per_payment or total)
        assert (total == 0) == (decision.reason is not None)
        if isinstance(offer.earn, PointsPerAmount):
            spent = payment.confirmed_minor + payment.pending_minor
            assert total * offer.earn.amount_minor <= spent * offer.earn.points


@given(stories())
def test_a_payment_travels_as_json(story: list[CardMessage]) -> None:
    """What a worker stores is what it reads back."""
    payment = fold(story)

    assert msgspec.json.decode(msgspec.json.encode(payment), type=Payment) == payment
