"""What the tills report: earnings, some paid by a card that reports too, and redemptions within what is owned."""

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from load_tests.distributions import (
    BASKETS,
    BRAND_SHARE_QUARTERS,
    MEMBER_ACTIVITY_QUARTERS,
    PLACE_SHARE_QUARTERS,
    Weighted,
    permille,
    ranked,
    second_of_day,
)
from load_tests.simulator.messages import Clockwork, Payment
from load_tests.simulator.model import Coalition, Earning, Member, Partner, Place, Redemption, Tender

REDEMPTIONS_BEGIN = 81_600
REDEMPTIONS_END = 84_000
"""22:40 to 23:20: points are spent when all purchases are in, so that what is spent does not depend on timing."""

TENDER_PERCENT = 40
"""Assumption: two till earnings in five name the card that paid; its payment reports the same purchase."""

TENDER_KINDS = frozenset({"plain", "tip", "partial", "several", "increment", "open", "part-reversed"})

STATED_PERMILLE = 650
TENDER_STATED_PERMILLE = 250
"""Assumption: tills state points more often for cash than where a card-linked offer does the work."""

SAVER_EVERY = 2
"""Assumption: every second member saves and spends nothing on this day.

All that is disorderly happens to savers: messages out of order, purchases that a card and a till both report, late
refunds. A purchase may then get its points through the one or the other message, at the one or the other time; since
nobody spends them, no spending depends on which of them expires first.
"""

OUTCOMES: Weighted[str] = Weighted({"captured": 88, "released": 7, "reversed": 5})
"""Assumption: what becomes of a redemption: the till takes it, gives it up, or takes it and has it reversed."""

PROOFS: Weighted[str] = Weighted({"pay-code": 55, "card": 42, "staff": 3})
"""Assumption: how a member shows that the points are theirs."""

BY_AMOUNT_PERMILLE = 400
"""Assumption: two redemptions in five ask for an amount: at a face value of one cent, as many points as cents."""


class Market:
    """Who buys where: draws members, brands and places by the day's power laws."""

    def __init__(self, rng: Random, coalition: Coalition) -> None:
        """Shuffle who is most active, so that it is not the first to have enrolled."""
        self.rng = rng
        members = list(coalition.members)
        rng.shuffle(members)
        self.members = ranked(members, MEMBER_ACTIVITY_QUARTERS)
        self.partners = ranked(coalition.partners, BRAND_SHARE_QUARTERS)
        self.places = {partner.code: ranked(partner.places, PLACE_SHARE_QUARTERS) for partner in coalition.partners}

    def member(self) -> Member:
        """Draw a member by activity."""
        return self.members.pick(self.rng)

    def place(self) -> tuple[Partner, Place]:
        """Draw a brand by its share and one of its places."""
        partner = self.partners.pick(self.rng)
        return partner, self.places[partner.code].pick(self.rng)


def saves(member: Member) -> bool:
    """Tell whether the member spends no points on this day."""
    return int(member.key.removeprefix("member-")) % SAVER_EVERY == 0


def make_earnings(
    rng: Random, coalition: Coalition, payments: Sequence[Payment], clockwork: Clockwork, count: int
) -> list[Earning]:
    """Return the day's till earnings in the order of their time; fewer name a card when fewer payments allow it.

    Assumption: a purchase whose till names no card was paid in cash or by a card that nobody linked, so no card
    message tells of it; and who spends points is seen at tills more often than who saves them.
    """
    members = {member.key: member for member in coalition.members}
    partners = {partner.code: partner for partner in coalition.partners}
    eligible = [
        payment
        for payment in payments
        if payment.place.partner and payment.life.kind in TENDER_KINDS and _saved(payment, members)
    ]
    drafts: list[tuple[int, Member, Partner, Place, int, Payment | None]] = []
    for payment in rng.sample(eligible, min(len(eligible), count * TENDER_PERCENT // 100)):
        member, amount = members[payment.card.member], payment.life.till_amount_minor
        second = clockwork.take(member.key, payment.seconds[0] + rng.randint(-20, 20))
        drafts.append((second, member, partners[payment.place.partner], payment.place, amount, payment))
    market = Market(rng, coalition)
    while len(drafts) < count:
        member, (partner, place) = market.member(), market.place()
        if saves(member) and rng.randrange(2):
            continue
        second = clockwork.take(member.key, second_of_day(rng, place.category))
        drafts.append((second, member, partner, place, BASKETS[place.category].draw(rng), None))
    drafts.sort(key=lambda draft: (draft[0], draft[1].key))
    return [_earning(rng, number, draft, clockwork) for number, draft in enumerate(drafts, start=1)]


def _saved(payment: Payment, members: Mapping[str, Member]) -> bool:
    return payment.card.member in members and saves(members[payment.card.member])


def _earning(
    rng: Random,
    number: int,
    draft: tuple[int, Member, Partner, Place, int, Payment | None],
    clockwork: Clockwork,
) -> Earning:
    second, member, partner, place, amount, payment = draft
    activated = {offer.key for offer in partner.offers} & set(member.activations)
    stated = permille(rng, TENDER_STATED_PERMILLE if payment else STATED_PERMILLE) or not activated
    return Earning(
        key=f"earning-{number:05}",
        partner=partner.code,
        place=place.key,
        member=member.key,
        amount_minor=amount,
        currency="EUR",
        receipt=f"{partner.code}-e{number:05}",
        occurred_at=clockwork.at(second, place.zone).isoformat(),
        points=max(1, amount * partner.stated_points_per_unit // 100) if stated else None,
        tender=Tender(card_token=payment.card.token, auth_code=payment.auth_code) if payment else None,
    )


def sure_points(earnings: Sequence[Earning]) -> Counter[str]:
    """Return the points per member that nothing else of the day can take back: stated, and seen by no card."""
    sure: Counter[str] = Counter()
    for earning in earnings:
        if earning.points is not None and earning.tender is None:
            sure[earning.member] += earning.points
    return sure


def make_redemptions(
    rng: Random, coalition: Coalition, sure: Mapping[str, int], clockwork: Clockwork, count: int
) -> list[Redemption]:
    """Return the day's redemptions in the order of their time, each member's within what they surely own.

    What a release or a reversal gives back is not counted on, so none is refused whatever becomes of the others.
    Raises ValueError when the members own fewer points than there are redemptions.
    """
    shares = _shares(rng, coalition, sure, count)
    seconds = sorted(rng.randrange(REDEMPTIONS_BEGIN, REDEMPTIONS_END) for _ in range(count))
    market = Market(rng, coalition)
    drafts = [
        (clockwork.take(member.key, second), member, points)
        for second, (member, points) in zip(seconds, shares, strict=True)
    ]
    drafts.sort(key=lambda draft: (draft[0], draft[1].key))
    return [_redemption(rng, number, draft, market, clockwork) for number, draft in enumerate(drafts, start=1)]


def _shares(rng: Random, coalition: Coalition, sure: Mapping[str, int], count: int) -> list[tuple[Member, int]]:
    """Return who redeems how much: each of a member's redemptions takes half to all of an equal part."""
    spenders = [member for member in coalition.members if not saves(member) and sure.get(member.key, 0)]
    if sum(sure[member.key] for member in spenders) < count:
        raise ValueError(f"the members own too few points for {count} redemptions: more earnings are needed")
    weighted = Weighted({member: sure[member.key] for member in spenders})
    times: Counter[Member] = Counter()
    while times.total() < count:
        member = weighted.pick(rng)
        if times[member] < sure[member.key]:
            times[member] += 1
    shares: list[tuple[Member, int]] = []
    for member in spenders:
        part = sure[member.key] // max(1, times[member])
        shares.extend((member, rng.randint((part + 1) // 2, part)) for _ in range(times[member]))
    rng.shuffle(shares)
    return shares


def _redemption(
    rng: Random, number: int, draft: tuple[int, Member, int], market: Market, clockwork: Clockwork
) -> Redemption:
    second, member, points = draft
    partner, place = market.place()
    proof = PROOFS.pick(rng)
    return Redemption(
        key=f"redemption-{number:05}",
        partner=partner.code,
        place=place.key,
        member=member.key,
        points=points,
        amount_minor=points if permille(rng, BY_AMOUNT_PERMILLE) else None,
        proof=proof,
        card_token=rng.choice(member.cards).token if proof == "card" else None,
        receipt=f"{partner.code}-r{number:05}",
        occurred_at=clockwork.at(second, place.zone).isoformat(),
        outcome=OUTCOMES.pick(rng),
    )
