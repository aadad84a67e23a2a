"""The catalogue: partners publish offers and versions, which never change, and see what their budgets gave."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated

import asyncpg
import msgspec
from msgspec import Meta

from koinon import ids
from koinon.database import Connection, beside
from koinon.fields import PartnerId
from koinon.http.cursors import Page, page_of
from koinon.members.model import Pending
from koinon.parties.operations import TermsInForce, terms_in_force
from koinon.places.operations import UnknownPlace
from koinon.problems import NotFound, Refused, field_error
from offers.feeds.messages import Channel
from offers.model import (
    DEFAULT_STACK_GROUP,
    CategoryCode,
    EndsAt,
    FixedPoints,
    Hours,
    OfferId,
    OfferVersion,
    Points,
    PointsPerAmount,
    Slug,
    StartsAt,
    Terms,
    Weekday,
    version_faults,
)
from offers.rewarding.known_offers import KNOWN
from offers.terms import terms

statements = beside(__file__)

PLACES_MAXIMUM = 1000
LIST_MAXIMUM = 100

Name = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{0,119}[^\x00-\x20\x7f]$(?!\n)", max_length=120)]
Categories = Annotated[tuple[CategoryCode, ...], Meta(max_length=LIST_MAXIMUM)]


class UnknownOffer(NotFound):
    """No offer that the caller may see has this id."""

    code = "unknown-offer"
    title = "There is no such offer"


class OfferInvalid(Refused):
    """The rules of the version contradict each other; `errors` names each fault."""

    code = "offer-invalid"
    title = "The offer cannot be published as it is"


class BudgetBelowUsed(Refused):
    """Purchases have more of the budget than the new one holds."""

    code = "budget-below-used"
    title = "The budget cannot be lower than what is reserved and spent of it"


class NewOffer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a partner promises for a purchase, at all of its places or at those in `places`.

    `earn` gives points in proportion to the amount, rounded down, or fixed points. `starts_at` and `ends_at` (not
    included), weekdays (Monday is 1) and hours are the place's own, without an offset. Amounts are minor units of
    `currency`. Of the offers of one `stack_group`, the best rewards a purchase.
    """

    name: Annotated[Name, Meta(examples=["Ten points a euro"])]
    currency: Annotated[str, Meta(max_length=8, examples=["EUR"])]
    earn: PointsPerAmount | FixedPoints
    starts_at: StartsAt
    ends_at: EndsAt
    places: Annotated[tuple[str, ...], Meta(max_length=PLACES_MAXIMUM)] = ()
    minimum_minor: Annotated[int, Meta(ge=0, le=10**15, examples=[1000])] = 0
    cap_points_per_payment: Annotated[Points, Meta(examples=[1000])] | None = None
    budget_points: Annotated[Points, Meta(examples=[500_000])] | None = None
    weekdays: Annotated[tuple[Weekday, ...], Meta(max_length=LIST_MAXIMUM)] = ()
    hours: Annotated[tuple[Hours, ...], Meta(max_length=LIST_MAXIMUM)] = ()
    channels: Annotated[tuple[Channel, ...], Meta(max_length=LIST_MAXIMUM)] = ()
    mcc_included: Categories = ()
    mcc_excluded: Categories = ()
    stack_group: Slug = DEFAULT_STACK_GROUP
    activation_required: bool = True


class PublishedVersion(NewOffer, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version as it was published, with the terms that members read."""

    version: Annotated[int, Meta(examples=[1])]
    published_at: datetime
    terms: Terms


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The points that an offer may give: reserved for payments that are not settled, spent, and left."""

    cap_points: Annotated[int, Meta(examples=[500000])]
    reserved_points: Annotated[int, Meta(examples=[31000])]
    spent_points: Annotated[int, Meta(examples=[250000])]
    left_points: Annotated[int, Meta(examples=[219000])]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer with its current version; purchases since then, and new activations, follow that one."""

    offer: OfferId
    partner: PartnerId
    created_at: datetime
    current: PublishedVersion
    budget: Budget | None


class OfferHistory(Offer, frozen=True, kw_only=True):
    """An offer with all of its versions, the newest first."""

    versions: list[PublishedVersion]


async def create_offer(connection: Connection, partner_id: int, asked: NewOffer) -> Offer:
    """Publish a new offer of a partner, in the caller's transaction. Raises OfferInvalid, UnknownPlace."""
    found = await terms_in_force(connection, partner_id)
    version = await _checked(connection, found, asked, ids.new_id())
    revision = await connection.fetchval(statements["next_revision"], found.programme_id)
    await connection.execute(
        statements["add_offer"], version.offer_id, found.programme_id, partner_id, version.version_id, found.now
    )
    return await _publish(connection, found, version, 1, revision)


async def add_version(connection: Connection, partner_id: int, offer_id: int, asked: NewOffer) -> Offer:
    """Publish the next version of a partner's offer, in the caller's transaction; who switched it on keeps theirs.

    A budget may be raised, and lowered down to what is used of it. Raises OfferInvalid, UnknownPlace, UnknownOffer,
    BudgetBelowUsed.
    """
    found = await terms_in_force(connection, partner_id)
    version = await _checked(connection, found, asked, offer_id)
    revision = await connection.fetchval(statements["next_revision"], found.programme_id)
    number = await connection.fetchval(statements["next_version"], offer_id, partner_id, version.version_id)
    if number is None:
        raise UnknownOffer
    return await _publish(connection, found, version, number, revision)


async def offers(connection: Connection, partner_id: int | None, after: int | None, limit: int) -> Page[Offer]:
    """Return a page of a partner's offers, or of everybody's, the newest first; the cursor is the last offer's id."""
    rows = await connection.fetch(statements["offers"], partner_id, after, limit + 1)
    versions = await versions_of(connection, rows)
    places = await place_names(connection, versions.values())
    return page_of(
        rows, limit, lambda row: _offer(row, versions, places), lambda row: ids.public("off", row["offer_id"])
    )


async def offer(connection: Connection, partner_id: int | None, offer_id: int) -> OfferHistory:
    """Return an offer, of a partner when one is given, with its versions; raises UnknownOffer."""
    row = await connection.fetchrow(statements["offer"], offer_id, partner_id)
    if row is None:
        raise UnknownOffer
    rows = await connection.fetch(statements["versions"], offer_id)
    versions = await versions_of(connection, rows)
    places = await place_names(connection, versions.values())
    current = _offer(row, versions, places)
    published = [_version(each, versions, row["brand"], places) for each in rows]
    return OfferHistory(**msgspec.structs.asdict(current), versions=published)


async def pending_points(connection: Connection, *, account_id: int, member_id: int) -> Sequence[Pending]:  # noqa: ARG001  # asked by the wallet, which knows both
    """Return the points that an account's purchases are expected to bring, by brand."""
    rows = await connection.fetch(statements["pending_points"], account_id)
    return [Pending(partner=row["code"], brand=row["brand"], points=row["points"]) for row in rows]


async def versions_of(connection: Connection, rows: Iterable[asyncpg.Record]) -> Mapping[int, OfferVersion]:
    """Return the versions that rows name by their `version_id`."""
    known = await KNOWN.versions(connection, (row["version_id"] for row in rows))
    return {version_id: each.version for version_id, each in known.items()}


async def place_names(connection: Connection, versions: Iterable[OfferVersion]) -> Mapping[int, str]:
    """Return the names of the places that versions list."""
    listed = sorted({place for version in versions for place in version.places})
    if not listed:
        return {}
    return {row["place_id"]: row["name"] for row in await connection.fetch(statements["place_names"], listed)}


async def _checked(connection: Connection, found: TermsInForce, asked: NewOffer, offer_id: int) -> OfferVersion:
    """Return the version that is asked for, with an id of its own."""
    places = [_place_id(text) for text in asked.places]
    version = OfferVersion(
        offer_id=offer_id,
        version_id=ids.new_id(),
        partner=found.partner,
        **(msgspec.structs.asdict(asked) | {"places": tuple(places)}),
    )
    faults = version_faults(version)
    if faults:
        raise OfferInvalid(errors=[field_error(fault.pointer, fault.detail, fault.code) for fault in faults])
    own = {
        row["place_id"]
        for row in (await connection.fetch(statements["own_places"], places, found.partner_id) if places else ())
    }
    strange = [field_error(f"/places/{at}", UnknownPlace.title) for at, place in enumerate(places) if place not in own]
    if strange:
        raise UnknownPlace(errors=strange)
    return version


BUDGET_KEPT = "this offer has a budget, and a version without one would pay without end: state it, or make a new offer"


def _place_id(text: str) -> int:
    """Return the id of a place, or one that no place has for what is no place's id."""
    try:
        return ids.private("pla", text)
    except ValueError:
        return -ids.new_id()


async def _publish(
    connection: Connection, found: TermsInForce, version: OfferVersion, number: int, revision: int
) -> Offer:
    await connection.execute(
        statements["add_version"],
        version.version_id,
        version.offer_id,
        number,
        found.programme_id,
        found.partner_id,
        version.activation_required,
        version.starts_at,
        version.ends_at,
        version.places,
        msgspec.json.encode(version).decode(),
        found.now,
        revision,
    )
    if version.budget_points is None:
        if await connection.fetchval(statements["budget_used"], version.offer_id) is not None:
            raise OfferInvalid(errors=[field_error("/budget_points", BUDGET_KEPT, "budget-missing")])
    else:
        changed = await connection.fetchval(statements["put_budget"], version.offer_id, version.budget_points)
        if changed is None:
            used = await connection.fetchval(statements["budget_used"], version.offer_id)
            raise BudgetBelowUsed(used_points=used, budget_points=version.budget_points)
    row = await connection.fetchrow(statements["offer"], version.offer_id, found.partner_id)
    return _offer(row, {version.version_id: version}, await place_names(connection, [version]))


def _offer(row: asyncpg.Record, versions: Mapping[int, OfferVersion], places: Mapping[int, str]) -> Offer:
    budget = None
    if row["cap_points"] is not None:
        budget = Budget(
            cap_points=row["cap_points"],
            reserved_points=row["reserved_points"],
            spent_points=row["spent_points"],
            left_points=row["cap_points"] - row["reserved_points"] - row["spent_points"],
        )
    return Offer(
        offer=ids.public("off", row["offer_id"]),
        partner=ids.public("par", row["partner_id"]),
        created_at=row["created_at"],
        current=_version(row, versions, row["brand"], places),
        budget=budget,
    )


def _version(
    row: asyncpg.Record, versions: Mapping[int, OfferVersion], brand: str, places: Mapping[int, str]
) -> PublishedVersion:
    version = versions[row["version_id"]]
    said = {name: getattr(version, name) for name in NewOffer.__struct_fields__}
    said["places"] = tuple(ids.public("pla", place) for place in version.places)
    return PublishedVersion(
        version=row["version_no"],
        published_at=row["published_at"],
        terms=shown_terms(version, brand, places),
        **said,
    )


def shown_terms(version: OfferVersion, brand: str, places: Mapping[int, str]) -> str:
    """Return a version's terms as members read them; `places` names those that it lists."""
    return terms(version, brand=brand, places=[places[place] for place in version.places])
