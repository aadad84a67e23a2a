"""Candidates: what the index finds is what looking through every offer would find, and nothing that earns is missed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from koinon.places.model import Resolution
from offers.model import OfferVersion
from offers.payments.fold import Payment, fold
from offers.rewarding.candidates import Index, Listing, concerns, earliest_local
from offers.rewarding.decisions import (
    Decision,
    PlaceFacts,
    PurchaseFacts,
    PurchaseSeen,
    Truth,
    card_facts,
    decide,
    till_facts,
)
from tests.unit.offers.samples import LINKED_AT, activation, message, version

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLACES = (
    PlaceFacts(1, "grocer", "Pacific/Kiritimati"),
    PlaceFacts(2, "grocer", "Etc/GMT+12"),
    PlaceFacts(3, "grocer", "Europe/Helsinki"),
    PlaceFacts(4, "fuel", "Europe/Helsinki"),
    PlaceFacts(5, "fuel", "America/St_Johns"),
)
HOURS = st.integers(-30, 30)
Published = tuple[OfferVersion, datetime]


def listing_of(version: OfferVersion, published_at: datetime) -> Listing:
    """Return what the index knows of a version that was published at an instant."""
    return Listing(
        offer_id=version.offer_id,
        version_id=version.version_id,
        partner=version.partner,
        places=version.places,
        activation_required=version.activation_required,
        starts_at=version.starts_at,
        ends_at=version.ends_at,
        published_at=published_at,
    )


@st.composite
def catalogues(draw: st.DrawFn) -> list[Published]:
    """Draw offers of two brands, each replaced some times, in the order in which they were published.

    Some versions are for listed places, some must be switched on, some are replaced in the instant of their publishing,
    and a clock may have been put back between two.
    """
    published: list[Published] = []
    at = NOON - timedelta(hours=48)
    offers: dict[int, str] = {}
    for number in range(draw(st.integers(1, 12))):
        offer_id = draw(st.integers(1, 4))
        partner = offers.setdefault(offer_id, draw(st.sampled_from(["grocer", "fuel"])))
        own = [place.place_id for place in PLACES if place.partner == partner]
        starts_at = NOON.replace(tzinfo=None) + timedelta(hours=draw(HOURS))
        at += timedelta(hours=draw(st.sampled_from([-3, 0, 0, 1, 12, 24])))
        made = version(
            offer_id=offer_id,
            version_id=100 + number,
            partner=partner,
            places=tuple(draw(st.sampled_from([[], [], own[:1], own[-1:], own]))),
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=draw(st.integers(1, 40))),
            activation_required=draw(st.sampled_from([False, False, False, True])),
        )
        published.append((made, at))
    return published


@st.composite
def purchases(draw: st.DrawFn) -> tuple[PurchaseFacts, ...]:
    """Draw a purchase as a card, a till or both saw it: at places whose clocks differ by a day, or at none known."""
    sightings: list[PurchaseFacts] = []
    place = draw(st.sampled_from(PLACES))
    sides = draw(st.sampled_from([["card"], ["till"], ["card", "till"]]))
    if "card" in sides:
        at = NOON + timedelta(hours=draw(HOURS))
        paid = fold([message("clearing", 5000, occurred_at=at.strftime("%Y-%m-%dT%H:%M:%SZ"))])
        sightings.append(_by_card(paid, draw(st.sampled_from([place, place, None]))))
    if "till" in sides:
        at = NOON + timedelta(hours=draw(HOURS))
        sightings.append(till_facts(amount_minor=5000, currency="EUR", occurred_at=at, place=place))
    return tuple(sightings)


def _by_card(paid: Payment, place: PlaceFacts | None) -> PurchaseFacts:
    known = Resolution(place.place_id) if place else Resolution(None, None, "unknown-place")
    return card_facts(paid, known, place, LINKED_AT)


def scanned(published: Sequence[Published], sightings: Sequence[PurchaseFacts]) -> list[int]:
    """Return the versions that a look at every offer finds, by the decisions' own rules about place and time."""
    latest: dict[int, OfferVersion] = {}
    for made, at in published:
        if at <= sightings[0].occurred_at:
            latest[made.offer_id] = made
    return [
        made.version_id
        for _, made in sorted(latest.items())
        if not made.activation_required and any(held(decide(facts, None, made)) for facts in sightings)
    ]


def held(decision: Decision) -> bool:
    """Return whether the rules about place and time held."""
    return all(rule.truth is Truth.TRUE for rule in decision.rules if rule.rule in {"place", "window"})


@given(catalogues(), purchases())
def test_the_index_finds_what_a_full_scan_finds(
    published: list[Published], sightings: tuple[PurchaseFacts, ...]
) -> None:
    """The same versions, whatever was replaced when, ends on which clock, lists which places or needs activation."""
    index = Index(listing_of(made, at) for made, at in published)

    assert [each.version_id for each in index.candidates(sightings)] == scanned(published, sightings)


@given(catalogues(), purchases())
def test_what_does_not_concern_a_purchase_earns_nothing(
    published: list[Published], sightings: tuple[PurchaseFacts, ...]
) -> None:
    """An offer that was switched on and is left out would have decided every sighting to nothing, by place or time.

    What is kept has not ended before the earliest moment at which the purchase may have been: accounts are asked for
    what ends later.
    """
    for made, _ in published:
        decisions = [decide(facts, activation(made), made) for facts in sightings]
        if concerns(made, sightings):
            assert made.ends_at > earliest_local(sightings)
        else:
            assert [each.confirmed_points + each.pending_points for each in decisions] == [0] * len(sightings)
            assert not any(held(each) for each in decisions)


@example(NOON - timedelta(hours=1))
@example(NOON)
@given(st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 3), timezones=st.just(UTC)))  # noqa: DTZ001  # made aware by Hypothesis
def test_a_version_counts_until_the_instant_of_the_next_one(at: datetime) -> None:
    """Of the purchases at noon sharp the next version decides."""
    first = version(activation_required=False)
    second = version(version_id=12, activation_required=False, ends_at=NOON.replace(month=4, tzinfo=None))
    index = Index([listing_of(first, LINKED_AT), listing_of(second, NOON)])
    bought = till_facts(amount_minor=100, currency="EUR", occurred_at=at, place=PLACES[2])

    assert [each.version_id for each in index.candidates([bought])] == [12 if at >= NOON else 11]


def test_the_version_that_was_published_last_counts_though_a_clock_was_put_back() -> None:
    """The third version has an earlier time than the second: from then on neither of the others is found."""
    made = [
        version(version_id=number, activation_required=False, ends_at=NOON.replace(month=12 - number, tzinfo=None))
        for number in (1, 2, 3)
    ]
    times = [NOON - timedelta(hours=hours) for hours in (9, 1, 5)]
    index = Index(map(listing_of, made, times))

    def found(hours: int) -> list[int]:
        at = NOON - timedelta(hours=hours)
        bought = till_facts(amount_minor=100, currency="EUR", occurred_at=at, place=PLACES[2])
        return [each.version_id for each in index.candidates([bought])]

    assert [found(hours) for hours in (9, 6, 5, 3, 0)] == [[1], [1], [3], [3], [3]]


def test_an_offer_ends_on_each_places_own_clock() -> None:
    """At one instant the offer runs at a place where it is still Sunday, and has ended where it is Tuesday."""
    monday = datetime(2026, 3, 3)  # noqa: DTZ001  # the places' own midnight
    index = Index([listing_of(version(activation_required=False, ends_at=monday), LINKED_AT)])

    def found(place: PlaceFacts) -> int:
        bought = till_facts(amount_minor=100, currency="EUR", occurred_at=NOON, place=place)
        return len(index.candidates([bought]))

    assert [found(place) for place in PLACES] == [0, 1, 1, 0, 0]


def test_what_was_switched_on_concerns_the_brands_other_places_and_unknown_ones() -> None:
    """The member is told that the place is not in the offer, or that nobody knows it; other brands say nothing."""
    made = version(places=(1,))
    known = [till_facts(amount_minor=100, currency="EUR", occurred_at=NOON, place=place) for place in PLACES]
    unknown = msgspec.structs.replace(
        known[0], seen=PurchaseSeen.CARD, place_id=None, place_partner=None, local_at=None
    )

    assert [concerns(made, [each]) for each in known] == [True, True, True, False, False]
    assert concerns(made, [unknown])
    assert not Index([listing_of(msgspec.structs.replace(made, activation_required=False), LINKED_AT)]).candidates(
        [unknown]
    )


def test_at_an_unknown_place_an_offer_concerns_a_purchase_while_it_runs_anywhere() -> None:
    """From 14 hours before it starts in UTC until 12 hours after it has ended there, not included."""
    made = version(starts_at=datetime(2026, 3, 2, 12), ends_at=datetime(2026, 3, 2, 13))  # noqa: DTZ001  # the place's own time
    moments = [timedelta(hours=-14), timedelta(hours=-14, seconds=-1), timedelta(hours=13), timedelta(hours=12)]
    paid = [fold([message("clearing", occurred_at=f"{NOON + each:%Y-%m-%dT%H:%M:%SZ}")]) for each in moments]

    assert [concerns(made, [_by_card(each, None)]) for each in paid] == [True, False, False, True]
