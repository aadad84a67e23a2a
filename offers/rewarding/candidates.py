"""Candidates: which offers concern a purchase, found by its place and time and not by looking through all of them.

An offer concerns a purchase when its place and its dates hold for it, or could hold as far as anybody knows. What does
not concern it is not decided and leaves no receipt: an ended offer, another brand's, or one for other places. There
are two kinds of offers, and two sides from which "its place" is meant.

An offer that counts for everybody concerns the purchases at the places that it lists, or at all of its brand's when it
lists none. There may be thousands of them, so nothing but the index below finds them, and a purchase whose place nobody
knows concerns none: it says itself that nobody knows the shop.

An offer that the member switched on concerns their purchases at all of its brand's places, whatever it lists, and those
at a place that nobody knows: it is the one that they ask about. These are as many as the member switched on and as have
not ended, and come by the account. Whether the currency, the weekday, the amount or any other rule holds is for the
decision to say, with its reason.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import msgspec

from offers.model import OfferVersion
from offers.rewarding.decisions import PurchaseFacts

WESTERNMOST, EASTERNMOST = timedelta(hours=-12), timedelta(hours=14)
"""How far a place's clock may be from UTC."""

Key = int | str
"""What an offer is found by: a place that it lists, or its brand when it lists none."""
_end = attrgetter("ends_at")


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What the index knows of one version of an offer: where it counts, on the places' own clocks, and since when."""

    offer_id: int
    version_id: int
    partner: str
    places: tuple[int, ...]
    activation_required: bool
    starts_at: datetime
    ends_at: datetime
    published_at: datetime


class Index:
    """The offers of one programme that count for everybody, by place and time.

    Under each place and each brand stand the versions in the order of their ends: what has ended before the purchase is
    never looked at, however long the programme runs.
    """

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        """Take versions in the order in which they were published."""
        self._found_by: dict[Key, list[Listing]] = {}
        self._versions: dict[int, list[Listing]] = {}
        self._replaced: dict[int, datetime] = {}
        self._switchable: set[int] = set()
        for listing in listings:
            self.add(listing)

    def add(self, listing: Listing) -> None:
        """Add the next version of an offer, which replaces those before it for purchases since it was published."""
        versions = self._versions.setdefault(listing.offer_id, [])
        for earlier in versions:
            known = self._replaced.get(earlier.version_id, listing.published_at)
            self._replaced[earlier.version_id] = min(known, listing.published_at)
        versions.append(listing)
        if listing.activation_required:
            self._switchable.add(listing.offer_id)
            return
        for key in listing.places or (listing.partner,):
            insort(self._found_by.setdefault(key, []), listing, key=_end)

    def candidates(self, sightings: Sequence[PurchaseFacts]) -> list[Listing]:
        """Return the versions that counted for everybody where and when a purchase was made, by offer.

        Of each offer it is the version of the purchase's own time, as the one who saw it best tells it.
        """
        found = {
            listing.offer_id: listing
            for facts in sightings
            if facts.place_id is not None and facts.local_at is not None
            for key in (facts.place_id, facts.place_partner)
            for listing in self._open(key, facts.local_at)
            if self._in_force(listing, sightings[0].occurred_at)
        }
        return [found[offer_id] for offer_id in sorted(found)]

    def switchable(self, offer_id: int) -> bool:
        """Return whether the offer had a version that must be switched on: somebody may have, and keeps that one."""
        return offer_id in self._switchable

    def _open(self, key: Key | None, local_at: datetime) -> list[Listing]:
        listings = self._found_by.get(key, []) if key is not None else []
        ending = listings[bisect_right(listings, local_at, key=_end) :]
        return [listing for listing in ending if listing.starts_at <= local_at]

    def _in_force(self, listing: Listing, at: datetime) -> bool:
        replaced = self._replaced.get(listing.version_id)
        return listing.published_at <= at and (replaced is None or at < replaced)


def earliest_local(sightings: Sequence[PurchaseFacts]) -> datetime:
    """Return the earliest moment, on its place's clock, at which a purchase may have been made."""
    return min(_span(facts)[0] for facts in sightings)


def concerns(version: OfferVersion, sightings: Sequence[PurchaseFacts]) -> bool:
    """Return whether an offer that the member switched on concerns a purchase, as any side saw it."""
    return any(_concerns(version, facts) for facts in sightings)


def _concerns(version: OfferVersion, facts: PurchaseFacts) -> bool:
    first, last = _span(facts)
    if first >= version.ends_at or last < version.starts_at:
        return False
    return facts.place_id is None or facts.place_partner == version.partner or facts.place_id in version.places


def _span(facts: PurchaseFacts) -> tuple[datetime, datetime]:
    """Return the earliest and the latest moment that the place's clock may have shown."""
    if facts.local_at is not None:
        return facts.local_at, facts.local_at
    moment = facts.occurred_at.astimezone(UTC).replace(tzinfo=None)
    return moment + WESTERNMOST, moment + EASTERNMOST
