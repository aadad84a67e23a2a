"""A coalition's day by seed: every call that brands and processors make, in phases whose result no timing changes.

Assumptions that make the result of the day a function of the seed alone:

- Purchases, with all their card messages and till earnings, come first and in any order; only when they are worked
  off do members spend, each member's redemptions one after another.
- Half of the members spend nothing. What may get its points in more than one way (messages out of order, a purchase
  that a till and a card report) and what takes points back late happens to them, so no spending depends on it.
- All clearings arrive on the day itself, late ones some hours late: the night closes this one day.
- No two events of a member share a second, so that what expires first is never a matter of who was recorded first.
- Offers have more budget than a day can use, so that purchases compete for nothing.
- A message that changes a body comes after the one it contradicts was worked off.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from load_tests.distributions import (
    BASKETS,
    LATE_SECONDS,
    PAYMENT_KINDS,
    REFUND_PERMILLE,
    part_of,
    permille,
    second_of_day,
    seeded,
)
from load_tests.simulator.faults import FAULTS, again, changed, numbered, posted, spoilt
from load_tests.simulator.lives import CLEARED_KINDS, live, refunded
from load_tests.simulator.messages import Clockwork, Desk, Payment
from load_tests.simulator.model import CardMessage, Coalition, Earning, Phase, Plan, Redemption, Scale
from load_tests.simulator.till import Market, make_earnings, make_redemptions, saves, sure_points

UNLINKED_PERMILLE = 40
OUTSIDE_PERMILLE = 40
"""Assumption: one card message in 25 is of a card nobody linked, and one in 25 of a shop outside the coalition."""

PURCHASES_CLOCK = 81_000
REDEMPTIONS_CLOCK = 84_300
LATE_REFUNDS_BEGIN = 84_360
LATE_CLOCK = 85_500
"""22:30, 23:25, 23:26 and 23:45, in seconds since midnight: what happens in a phase lies before its clock."""

CLOSE_AFTER = timedelta(days=1, minutes=30)


class Quotas(msgspec.Struct, frozen=True):
    """How a day's card messages divide: 2 % duplicates, 5 % out of order, 1 % bad, one in 500 a late refund."""

    payments: int
    duplicates: int
    late_duplicates: int
    delayed: int
    refused: int
    conflicts: int
    late_refunds: int


def quotas(total: int) -> Quotas:
    """Return the division of a day of `total` card messages; its parts add up to it."""
    duplicates = (total * 2 + 50) // 100
    bad = (total + 50) // 100
    conflicts = min(bad, max(1, bad // 10))
    late_refunds = max(1, total // 500)
    return Quotas(
        payments=total - duplicates - bad - late_refunds,
        duplicates=duplicates,
        late_duplicates=duplicates // 5,
        delayed=(total * 5 + 50) // 100,
        refused=bad - conflicts,
        conflicts=conflicts,
        late_refunds=late_refunds,
    )


def make_day(coalition: Coalition, seed: int, scale: Scale | None = None) -> Plan:
    """Return the day of this seed for this coalition, in phases, with the counts of everything in it.

    Raises ValueError when the scale leaves too little to refund or to redeem.
    """
    scale = scale or Scale(members=len(coalition.members))
    midnight = datetime.combine(date.fromisoformat(coalition.business_date), time(), ZoneInfo(coalition.zone))
    clockwork = Clockwork(midnight)
    parts = quotas(scale.card_messages)
    desk = Desk(seeded("desk", seed), clockwork, coalition.sources)
    payments = _payments(seeded("payments", seed), coalition, desk, parts.payments)
    earnings = make_earnings(seeded("earnings", seed), coalition, payments, clockwork, scale.earnings)
    sure = sure_points(earnings)
    redemptions = make_redemptions(seeded("redemptions", seed), coalition, sure, clockwork, scale.redemptions)
    feed, late = _feeds(seeded("feeds", seed), coalition, desk, payments, parts)

    def clock(second: int) -> str:
        return clockwork.at(second, coalition.zone).isoformat()

    return Plan(
        seed=seed,
        business_date=coalition.business_date,
        phases=(
            Phase(
                name="purchases",
                clock_at=clock(PURCHASES_CLOCK),
                card_messages=tuple(feed),
                earnings=tuple(earnings),
            ),
            Phase(name="redemptions", clock_at=clock(REDEMPTIONS_CLOCK), redemptions=tuple(redemptions)),
            Phase(name="late", clock_at=clock(LATE_CLOCK), card_messages=tuple(late)),
        ),
        close_at=(midnight + CLOSE_AFTER).isoformat(),
        counts=_counts(payments, [*feed, *late], earnings, redemptions),
    )


def encode(value: Coalition | Plan) -> bytes:
    """Return a coalition or a plan as JSON bytes: the same for the same seed, in any process."""
    return msgspec.json.encode(value)


def batches(messages: Iterable[CardMessage], size: int = 500) -> list[tuple[str, tuple[CardMessage, ...]]]:
    """Return (source, messages) per post to a feed: each source's messages in their order, at most `size` at once."""
    waiting: dict[str, list[CardMessage]] = {}
    full: list[tuple[str, tuple[CardMessage, ...]]] = []
    for message in messages:
        batch = waiting.setdefault(message.source, [])
        batch.append(message)
        if len(batch) == size:
            full.append((message.source, tuple(batch)))
            batch.clear()
    return full + [(source, tuple(batch)) for source, batch in waiting.items() if batch]


def lanes(redemptions: Iterable[Redemption]) -> dict[str, tuple[Redemption, ...]]:
    """Return the redemptions per member: lanes may run side by side, what is in a lane runs in its order."""
    members: dict[str, list[Redemption]] = {}
    for redemption in redemptions:
        members.setdefault(redemption.member, []).append(redemption)
    return {member: tuple(lane) for member, lane in members.items()}


def _payments(rng: Random, coalition: Coalition, desk: Desk, messages: int) -> list[Payment]:
    """Return payments whose messages number exactly `messages`; the last ones are kept short to fit."""
    market = Market(rng, coalition)
    payments: list[Payment] = []
    while messages:
        card = rng.choice(market.member().cards)
        if permille(rng, UNLINKED_PERMILLE):
            card = rng.choice(coalition.unlinked_cards)
        _, place = market.place()
        if permille(rng, OUTSIDE_PERMILLE):
            place = rng.choice(coalition.outside_places)
        amount = BASKETS[place.category].draw(rng)
        life = live(rng, PAYMENT_KINDS[place.category].pick(rng), place.category, amount)
        if life.kind in CLEARED_KINDS and permille(rng, REFUND_PERMILLE):
            life = refunded(rng, life)
        if len(life.steps) > messages:
            life = live(rng, "plain" if messages > 1 else "single", place.category, amount)
        payments.append(desk.write(card, place, life, second_of_day(rng, place.category)))
        messages -= len(life.steps)
    return payments


def _feeds(
    rng: Random, coalition: Coalition, desk: Desk, payments: Sequence[Payment], parts: Quotas
) -> tuple[list[CardMessage], list[CardMessage]]:
    """Return what the processors post during the purchases, and what they post late."""
    timed = [
        (second, message)
        for payment in payments
        for second, message in zip(payment.seconds, payment.messages, strict=True)
    ]
    names = list(FAULTS)
    whole = [entry for entry in timed if entry[1].kind in {"authorisation", "clearing"}]
    for number, (second, message) in enumerate(rng.sample(whole, parts.refused)):
        fault = spoilt(names[number % len(names)], message, desk.message_id(message.source))
        timed.append((second, fault))
    timed.sort(key=lambda entry: (entry[0], entry[1].payment, entry[1].fault))
    ordered = numbered([message for _, message in timed], {})
    good = [message for message in ordered if message.expected == "accepted"]
    now = parts.duplicates - parts.late_duplicates
    savers = {member.key for member in coalition.members if saves(member)}
    steady = {payment.key for payment in payments if payment.card.member and payment.card.member not in savers}
    feed = posted(rng, ordered, steady=steady, delayed=parts.delayed, duplicates=now)
    refunds = _late_refunds(rng, desk, [each for each in payments if each.card.member in savers], parts.late_refunds)
    replayed = rng.sample(good, parts.late_duplicates + parts.conflicts)
    late = numbered(refunds, Counter(message.source for message in ordered))
    late += [again(message) for message in replayed[: parts.late_duplicates]]
    late += [changed(message) for message in replayed[parts.late_duplicates :]]
    rng.shuffle(late)
    return feed, late


def _late_refunds(rng: Random, desk: Desk, payments: Sequence[Payment], count: int) -> list[CardMessage]:
    """Return refunds, whole or in part, of payments at brands that were cleared and not refunded."""
    eligible = [payment for payment in payments if payment.place.partner and _refundable(payment)]
    if len(eligible) < count:
        raise ValueError(f"{count} late refunds need as many payments of savers, there are {len(eligible)}")
    refunds: list[CardMessage] = []
    for payment in rng.sample(eligible, count):
        cleared = payment.life.cleared_minor()
        amount = cleared if rng.randrange(2) else part_of(rng, cleared, 20, 80)
        refunds.append(desk.refund(payment, amount, LATE_REFUNDS_BEGIN + rng.randrange(900)))
    return refunds


def _refundable(payment: Payment) -> bool:
    return payment.life.kind in CLEARED_KINDS and all(step.type != "refund" for step in payment.life.steps)


def _counts(
    payments: Sequence[Payment],
    messages: Sequence[CardMessage],
    earnings: Sequence[Earning],
    redemptions: Sequence[Redemption],
) -> dict[str, int]:
    """Return how many of each kind the day has, by names that say what is counted."""
    counts: Counter[str] = Counter(
        {
            "card-messages": len(messages),
            "delayed": sum(message.delayed for message in messages),
            "payments": len(payments),
            "late-clearings": sum(_late_clearings(payment) for payment in payments),
            "earnings": len(earnings),
            "earnings-stated": sum(earning.points is not None for earning in earnings),
            "earnings-by-offer": sum(earning.points is None for earning in earnings),
            "earnings-with-tender": sum(earning.tender is not None for earning in earnings),
            "redemptions": len(redemptions),
        }
    )
    counts.update(f"verdict-{message.expected}" for message in messages)
    counts.update(f"type-{message.kind}" for message in messages if message.expected == "accepted")
    counts.update(f"fault-{message.fault}" for message in messages if message.fault)
    counts.update(f"payment-{payment.life.kind}" for payment in payments)
    counts.update("payments-unlinked" for payment in payments if not payment.card.member)
    counts.update("payments-outside" for payment in payments if not payment.place.partner)
    counts.update(f"redemption-{redemption.outcome}" for redemption in redemptions)
    counts.update(f"proof-{redemption.proof}" for redemption in redemptions)
    return dict(sorted(counts.items()))


def _late_clearings(payment: Payment) -> int:
    begin = payment.seconds[0]
    return sum(
        step.type == "clearing" and second - begin >= LATE_SECONDS
        for step, second in zip(payment.life.steps, payment.seconds, strict=True)
    )
