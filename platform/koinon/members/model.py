"""What a member has: one balance pooled over all brands, split by brand and by expiry."""

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Annotated

import msgspec

from koinon.fields import BrandName, CurrencyText, PartnerCode


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """An account's points of one issuer with one expiry: free and held; `expires_on` None never expires."""

    partner: str
    brand: str
    expires_on: date | None
    available: int
    held: int


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one brand that a purchase will bring once it is settled; not spendable yet."""

    partner: str
    brand: str
    points: int


class BrandBalance(msgspec.Struct, frozen=True, kw_only=True):
    """A brand's part of the pooled balance; `partner` is its code."""

    partner: PartnerCode
    brand: BrandName
    available: Annotated[int, msgspec.Meta(examples=[1250])]
    held: Annotated[int, msgspec.Meta(examples=[0])]
    pending: Annotated[int, msgspec.Meta(examples=[0])]


class ExpiringPoints(msgspec.Struct, frozen=True, kw_only=True):
    """Free points by the first day on which they are no longer valid; null: they never expire."""

    expires_on: Annotated[date, msgspec.Meta(examples=["2028-03-02"])] | None
    points: Annotated[int, msgspec.Meta(examples=[1250])]


class NextExpiry(msgspec.Struct, frozen=True, kw_only=True):
    """The day on which the next points are lost, and how many."""

    date: Annotated[date, msgspec.Meta(examples=["2028-03-02"])]
    points: Annotated[int, msgspec.Meta(examples=[1250])]


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What the free points pay at a till, in minor units, rounded down."""

    amount_minor: Annotated[int, msgspec.Meta(examples=[625])]
    currency: CurrencyText


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """One balance over all brands: free points, points held for a till, and points on their way."""

    unit: Annotated[str, msgspec.Meta(examples=["points"])]
    available: Annotated[int, msgspec.Meta(examples=[1250])]
    held: Annotated[int, msgspec.Meta(examples=[0])]
    pending: Annotated[int, msgspec.Meta(examples=[0])]
    worth: Worth
    brands: list[BrandBalance]
    expiries: list[ExpiringPoints]
    next_expiry: NextExpiry | None


def wallet_of(
    holdings: Iterable[Holding],
    pending: Iterable[Pending],
    *,
    unit: str,
    today: date,
    face_value: Fraction,
    currency: str,
) -> Wallet:
    """Return the wallet that holdings and pending points make on a business date.

    Points that are due on `today` cannot be spent any more and do not count as available, also before the ledger has
    expired them. Brands are in the order of their codes, expiries of their days.
    """
    brands: dict[str, BrandBalance] = {}
    days: dict[date, int] = {}

    def add(partner: str, brand: str, available: int = 0, held: int = 0, coming: int = 0) -> None:
        known = brands.get(partner) or BrandBalance(partner=partner, brand=brand, available=0, held=0, pending=0)
        brands[partner] = BrandBalance(
            partner=partner,
            brand=brand,
            available=known.available + available,
            held=known.held + held,
            pending=known.pending + coming,
        )

    for holding in holdings:
        valid = holding.expires_on is None or holding.expires_on > today
        available = holding.available if valid else 0
        if available or holding.held:
            add(holding.partner, holding.brand, available, holding.held)
        if available:
            day = holding.expires_on or date.max
            days[day] = days.get(day, 0) + available
    for each in pending:
        if each.points:
            add(each.partner, each.brand, coming=each.points)
    parts = [brands[partner] for partner in sorted(brands)]
    free = sum(part.available for part in parts)
    first = min(days, default=date.max)
    return Wallet(
        unit=unit,
        available=free,
        held=sum(part.held for part in parts),
        pending=sum(part.pending for part in parts),
        worth=Worth(amount_minor=int(free * face_value), currency=currency),
        brands=parts,
        expiries=[
            ExpiringPoints(expires_on=None if day == date.max else day, points=days[day]) for day in sorted(days)
        ],
        next_expiry=None if first == date.max else NextExpiry(date=first, points=days[first]),
    )
