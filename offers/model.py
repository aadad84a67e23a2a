"""Offers, their versions and activations: what a partner promises for a purchase, written as rules.

A version never changes. A member who switches an offer on keeps the version that was switched on, whatever is published
later; an offer that needs no switching on is decided by the version of the purchase's own time.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from koinon.fields import LocalMoment, LocalTime, named
from koinon.money import EXPONENTS
from offers.feeds.faults import Fault
from offers.feeds.messages import Channel

POINTS_MAX = 10**12
"""The most points that one purchase can earn, whatever the rules say: sums stay far inside a bigint."""
DEFAULT_STACK_GROUP = "purchase"
"""The stack group of whatever names none: one reward for one purchase."""

Points = Annotated[int, Meta(ge=1, le=POINTS_MAX)]
AmountMinor = Annotated[int, Meta(ge=1, le=10**15)]
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$(?!\n)")]
CategoryCode = Annotated[str, Meta(pattern=r"^[0-9]{4}$(?!\n)")]
OfferId = Annotated[str, named("An offer", "off_096wyf3kcmgeq")]
OfferName = Annotated[str, Meta(description="The offer's name, for people.", examples=["Ten points a euro"])]
StartsAt = Annotated[LocalMoment, Meta(examples=["2026-03-01T00:00:00"])]
EndsAt = Annotated[LocalMoment, Meta(examples=["2026-04-01T00:00:00"])]
Terms = Annotated[
    str,
    Meta(
        description="The terms as members read them.",
        examples=[
            (
                "Get 10 points for every €1.00 at Corner Grocer when you spend at least €10.00, rounded down. "
                "From 1 March 2026, 00:00 until 1 April 2026, 00:00, local time at the shop."
            )
        ],
    ),
]
Weekday = Annotated[int, Meta(ge=1, le=7)]


class PointsPerAmount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="per_amount"):
    """Points in proportion to what was spent: the exact ratio `points` / `amount_minor`, rounded down."""

    points: Annotated[Points, Meta(examples=[10])]
    amount_minor: Annotated[AmountMinor, Meta(examples=[100])]


class FixedPoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="fixed"):
    """The same points for every purchase that qualifies."""

    points: Points


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A span of the place's clock, `until` not included; one that ends before it starts runs over midnight."""

    since: Annotated[LocalTime, Meta(examples=["08:00:00"])]
    until: Annotated[LocalTime, Meta(examples=["20:00:00"])]


class OfferVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One unchangeable version of what a partner promises.

    `partner` funds it. `places` are place ids; none means all of the partner's. Amounts are minor units of `currency`.
    `starts_at` and `ends_at` (not included) are local times in the zone of the place of the purchase; weekdays are ISO
    (Monday is 1) on the place's calendar. `stack_group`: of the offers of one group, the best rewards a purchase.
    """

    offer_id: int
    version_id: int
    partner: Slug
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    currency: str
    earn: PointsPerAmount | FixedPoints
    starts_at: datetime
    ends_at: datetime
    places: tuple[int, ...] = ()
    minimum_minor: Annotated[int, Meta(ge=0, le=10**15)] = 0
    cap_points_per_payment: Points | None = None
    budget_points: Points | None = None
    weekdays: tuple[Weekday, ...] = ()
    hours: tuple[Hours, ...] = ()
    channels: tuple[Channel, ...] = ()
    mcc_included: tuple[CategoryCode, ...] = ()
    mcc_excluded: tuple[CategoryCode, ...] = ()
    stack_group: Slug = DEFAULT_STACK_GROUP
    activation_required: bool = True


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """A member switched an offer on, in the version and with the terms of that moment (`activated_at` is aware)."""

    version_id: int
    activated_at: datetime


DETAILS = {
    "unknown-currency": "The currency is not in ISO 4217, or has no minor unit.",
    "ends-before-start": "The offer ends before it starts.",
    "unwanted-offset": "The times are the place's own, without an offset.",
    "empty-hours": "A span of hours needs two different times.",
    "listed-twice": "An entry stands twice.",
    "included-and-excluded": "A merchant category cannot be included and excluded.",
    "budget-below-reward": "The budget does not pay for one reward.",
}


def version_faults(version: OfferVersion) -> tuple[Fault, ...]:
    """Return what is wrong with a version whose fields all have their types, none when it can be published."""
    found: list[tuple[str, str]] = []
    if version.currency not in EXPONENTS:
        found.append(("/currency", "unknown-currency"))
    aware = [name for name in ("starts_at", "ends_at") if getattr(version, name).tzinfo is not None]
    found.extend((f"/{name}", "unwanted-offset") for name in aware)
    if not aware and version.ends_at <= version.starts_at:
        found.append(("/ends_at", "ends-before-start"))
    for place, hours in enumerate(version.hours):
        if hours.since.tzinfo is not None or hours.until.tzinfo is not None:
            found.append((f"/hours/{place}", "unwanted-offset"))
        elif hours.since == hours.until:
            found.append((f"/hours/{place}", "empty-hours"))
    lists = ("places", "weekdays", "channels", "mcc_included", "mcc_excluded")
    repeated = [name for name in lists if len(set(getattr(version, name))) != len(getattr(version, name))]
    found.extend((f"/{name}", "listed-twice") for name in repeated)
    if not set(version.mcc_included).isdisjoint(version.mcc_excluded):
        found.append(("/mcc_excluded", "included-and-excluded"))
    if version.budget_points is not None and version.budget_points < _least_reward(version):
        found.append(("/budget_points", "budget-below-reward"))
    return tuple(Fault(pointer, code, DETAILS[code]) for pointer, code in found)


def _least_reward(version: OfferVersion) -> int:
    """Return the points of the smallest purchase that earns any."""
    match version.earn:
        case FixedPoints(points=points):
            least = points
        case PointsPerAmount(points=points, amount_minor=amount):
            least = max(1, version.minimum_minor * points // amount)
    return min(least, version.cap_points_per_payment or least)
