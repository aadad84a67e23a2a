"""What becomes of a card payment: its life as steps, before anything is known of networks and messages."""

from collections.abc import Callable, Mapping
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from load_tests.distributions import (
    FUEL_CEILINGS_MINOR,
    REFUND_KINDS,
    TIP_PERCENT,
    clearing_lag_seconds,
    part_of,
)

CLEARED_KINDS = ("plain", "single", "tip", "partial", "several", "increment")
"""Kinds of payment that end with money taken, and may be refunded."""


class Step(Struct, frozen=True, kw_only=True):
    """One event of a payment: the type of its message, an amount, and the wait since the step before.

    `leg` of `legs` numbers several clearings; `tip_minor` is the part of the amount that was added after the
    authorisation; an orphan names no payment.
    """

    type: str
    amount_minor: int
    wait_seconds: int = 0
    leg: int = 0
    legs: int = 0
    tip_minor: int = 0
    preauthorised: bool = False
    orphan: bool = False


class Life(Struct, frozen=True, kw_only=True):
    """A payment's steps, with the amount that a till would have rung up for it."""

    kind: str
    till_amount_minor: int
    steps: tuple[Step, ...]

    def cleared_minor(self) -> int:
        """Return what was cleared and not reversed or refunded, in minor units."""
        signs = {"clearing": 1, "clearing_reversal": -1, "refund": -1}
        return sum(signs.get(step.type, 0) * step.amount_minor for step in self.steps if not step.orphan)


class Draw(Struct, frozen=True):
    """What the story of a payment is made from: chance, the shop's category and the basket's amount."""

    rng: Random
    category: str
    amount_minor: int

    def authorisation(self) -> Step:
        """Return the authorisation of the whole amount."""
        return Step(type="authorisation", amount_minor=self.amount_minor)

    def clearing(self, amount_minor: int | None = None) -> Step:
        """Return a clearing of the whole amount or another, after a drawn lag."""
        amount = self.amount_minor if amount_minor is None else amount_minor
        return Step(type="clearing", amount_minor=amount, wait_seconds=clearing_lag_seconds(self.rng))

    def reversal(self, kind: str, amount_minor: int | None = None) -> Step:
        """Return a reversal of the whole amount or a part, some minutes later."""
        amount = self.amount_minor if amount_minor is None else amount_minor
        return Step(type=kind, amount_minor=amount, wait_seconds=self.rng.randrange(30, 1_800))


def live(rng: Random, kind: str, category: str, amount_minor: int) -> Life:
    """Return the life of a payment of this kind over a basket's amount."""
    steps = STORIES[kind](Draw(rng, category, amount_minor))
    return Life(kind=kind, till_amount_minor=amount_minor, steps=tuple(steps))


def refunded(rng: Random, life: Life) -> Life:
    """Return the life with its refund: whole, in part, in two parts, or as an orphan."""
    kind = REFUND_KINDS.pick(rng)
    cleared = life.cleared_minor()
    first = cleared if kind == "full" or cleared < 3 else part_of(rng, cleared, 15, 60)
    amounts = [first] if kind != "twice" or first == cleared else [first, part_of(rng, cleared - first, 30, 100)]
    steps = [
        Step(type="refund", amount_minor=amount, wait_seconds=rng.randrange(600, 7_200), orphan=kind == "orphan")
        for amount in amounts
    ]
    return Life(kind=life.kind, till_amount_minor=life.till_amount_minor, steps=(*life.steps, *steps))


def _single(draw: Draw) -> list[Step]:
    """Clear without an authorisation, when the purchase is made."""
    return [Step(type="clearing", amount_minor=draw.amount_minor)]


def _tip(draw: Draw) -> list[Step]:
    """Clear with a tip, written on the slip after the authorisation."""
    tip = max(1, draw.amount_minor * TIP_PERCENT.pick(draw.rng) // 100)
    return [draw.authorisation(), replace(draw.clearing(draw.amount_minor + tip), tip_minor=tip)]


def _partial(draw: Draw) -> list[Step]:
    """Clear for less than authorised: under a pump's ceiling, or a basket with something missing."""
    if draw.category == "fuel":
        ceiling = max(FUEL_CEILINGS_MINOR.pick(draw.rng), draw.amount_minor)
        return [Step(type="authorisation", amount_minor=ceiling, preauthorised=True), draw.clearing()]
    return [draw.authorisation(), draw.clearing(part_of(draw.rng, draw.amount_minor, 40, 95))]


def _several(draw: Draw) -> list[Step]:
    """Clear in two or three legs that add up to the amount, or in three of ten cases to less."""
    rng, first = draw.rng, draw.clearing()
    legs = rng.randint(2, 3)
    rest = draw.amount_minor if rng.randrange(10) >= 3 else part_of(rng, draw.amount_minor, 60, 90)
    rest = max(rest, legs)
    steps = [draw.authorisation()]
    for leg in range(1, legs + 1):
        left = legs - leg
        amount = min(part_of(rng, rest, 25, 70), rest - left) if left else rest
        wait = first.wait_seconds if leg == 1 else rng.randrange(60, 3_600)
        steps.append(Step(type="clearing", amount_minor=amount, wait_seconds=wait, leg=leg, legs=legs))
        rest -= amount
    return steps


def _increment(draw: Draw) -> list[Step]:
    """Authorise a part and raise it once or twice to the amount, as hotels do."""
    first = part_of(draw.rng, draw.amount_minor, 40, 70)
    rest = draw.amount_minor - first
    raises = [rest] if rest < 2 or draw.rng.randrange(3) else [rest // 2, rest - rest // 2]
    return [
        Step(type="authorisation", amount_minor=first, preauthorised=True),
        *(Step(type="increment", amount_minor=part, wait_seconds=draw.rng.randrange(300, 3_600)) for part in raises),
        draw.clearing(),
    ]


def _part_reversed(draw: Draw) -> list[Step]:
    """Give back a part of the authorisation before the rest is cleared."""
    back = part_of(draw.rng, draw.amount_minor, 10, 60)
    rest = draw.clearing(draw.amount_minor - back)
    return [draw.authorisation(), draw.reversal("auth_reversal", back), rest]


STORIES: Mapping[str, Callable[[Draw], list[Step]]] = {
    "plain": lambda draw: [draw.authorisation(), draw.clearing()],
    "single": _single,
    "tip": _tip,
    "partial": _partial,
    "several": _several,
    "increment": _increment,
    "reversed": lambda draw: [draw.authorisation(), draw.reversal("auth_reversal")],
    "part-reversed": _part_reversed,
    "clearing-reversed": lambda draw: [draw.authorisation(), draw.clearing(), draw.reversal("clearing_reversal")],
    "open": lambda draw: [draw.authorisation()],
    "declined": lambda draw: [Step(type="decline", amount_minor=draw.amount_minor)],
}
"""Every kind of payment by name, as the steps it takes."""
