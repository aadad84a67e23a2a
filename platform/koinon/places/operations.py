"""Places and what the networks call them: added one at a time in a programme, and never two places under one name."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from koinon import ids
from koinon.clock import rfc3339
from koinon.database import Connection, add, on
from koinon.fields import (
    IdentityId,
    Instant,
    Line,
    PartnerId,
    PlaceId,
    PlaceName,
    ProgrammeId,
    TimeZone,
    within_calendar,
)
from koinon.http.cursors import Page, page_of
from koinon.parties.operations import partner_row, programme_row
from koinon.parties.programmes import check_time_zone
from koinon.places import model, tables
from koinon.places.model import registered_keys, unpadded
from koinon.places.tables import NetworkIdentity
from koinon.problems import Conflict, NotFound, invalid_field
from koinon.references import id_in_field

IDENTITIES_MAXIMUM = 500


class UnknownPlace(NotFound):
    """No place has this id."""

    code = "unknown-place"
    title = "There is no such place"


class IdentityTaken(Conflict):
    """The name is another place's at some of that time; whose, is not told."""

    code = "identity-taken"
    title = "This network identity names a place already at some of that time"


class UnknownIdentity(NotFound):
    """No network identity of the place has this id."""

    code = "unknown-identity"
    title = "The place has no such network identity"


class IdentityEnds(Conflict):
    """An identity is told its end once."""

    code = "identity-ends"
    title = "This network identity has its end already"


class NewIdentity(model.NetworkIdentity, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A network's name of a place from `valid_from` up to, and not including, `valid_until` (null: until told)."""

    valid_from: Instant
    valid_until: Instant | None = None


class NewEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The moment from which a network's name is this place's no longer; it may be another's from then on."""

    at: Instant


class NewPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a partner takes cards, with its own time zone and what the networks call it."""

    partner: PartnerId
    name: Annotated[Line, msgspec.Meta(examples=["Corner Grocer, Market Square"])]
    time_zone: Annotated[str, msgspec.Meta(max_length=64, examples=["Europe/Helsinki"])]
    identities: Annotated[list[NewIdentity], msgspec.Meta(max_length=IDENTITIES_MAXIMUM)] = []


class PlaceIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A key that a card message's merchant is looked up by, and when it is this place's (null: until told)."""

    identity: IdentityId
    key: Annotated[str, msgspec.Meta(examples=["acquirer:visa:400123:000000012345678"])]
    valid_from: datetime
    valid_until: datetime | None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A place with its identities, by key and time."""

    place: PlaceId
    partner: PartnerId
    programme: ProgrammeId
    name: PlaceName
    time_zone: TimeZone
    identities: list[PlaceIdentity]


class _Named(msgspec.Struct, frozen=True):
    key: str
    valid_from: datetime
    valid_until: datetime | None

    @property
    def alone(self) -> bool:
        """Tell whether the key names one place: a descriptor is a chain's, a key without its left zeros is a guess."""
        level = self.key.partition(":")[0]
        return not level.endswith("~") and not level.startswith("descriptor")


async def create_place(connection: Connection, asked: NewPlace) -> Place:
    """Make a place with its identities in the caller's transaction.

    Raises InvalidInput, UnknownTimeZone, UnknownPartner, IdentityTaken.
    """
    partner_id = id_in_field("par", asked.partner, "/partner")
    check_time_zone("/time_zone", asked.time_zone)
    named = _named(asked.identities, "/identities/{}")
    partner = await partner_row(connection, partner_id)
    added = tables.Place(
        place_id=ids.new_id(),
        partner_id=partner_id,
        programme_id=partner.programme_id,
        name=asked.name,
        time_zone=asked.time_zone,
    )
    row = await add(connection, added)
    await _name_place(connection, row, named)
    return (await _with_identities(connection, [row]))[0]


async def add_identity(connection: Connection, place_id: int, asked: NewIdentity) -> Place:
    """Name a place in the caller's transaction; raises UnknownPlace, InvalidInput, IdentityTaken."""
    named = _named([asked], "")
    row = await _place_row(connection, place_id)
    await _name_place(connection, row, named)
    return (await _with_identities(connection, [row]))[0]


async def end_identity(connection: Connection, place_id: int, identity_id: int, asked: NewEnd) -> Place:
    """End a name of a place at a moment, in the caller's transaction; another place may have the name from then on.

    Raises UnknownPlace, UnknownIdentity, IdentityEnds, InvalidInput.
    """
    row = await _place_row(connection, place_id)
    # The lock: whoever names a place by this key at the same moment sees its end, or waits for it.
    await programme_row(connection, row.programme_id, locked=True)
    asked_for = (NetworkIdentity.place_id == place_id) & (NetworkIdentity.identity_id == identity_id)
    found = await on(connection, NetworkIdentity.objects().where(asked_for).first())
    if found is None or not _was_given(found.identity_key):
        raise UnknownIdentity
    if found.valid_until:
        raise IdentityEnds(valid_until=rfc3339(found.valid_until))
    if asked.at <= found.valid_from:
        raise invalid_field("/at", "an identity ends after it begins")
    if not within_calendar(asked.at):
        raise invalid_field("/at", "between the years 2000 and 2199")
    ended = NetworkIdentity.identity_id.is_in([identity_id, *await _beside(connection, found)])
    await on(connection, NetworkIdentity.update({NetworkIdentity.valid_until: asked.at}).where(ended))
    return (await _with_identities(connection, [row]))[0]


async def place(connection: Connection, place_id: int) -> Place:
    """Return a place; raises UnknownPlace."""
    return (await _with_identities(connection, [await _place_row(connection, place_id)]))[0]


async def places(connection: Connection, partner_id: int | None, after: int, limit: int) -> Page[Place]:
    """Return a page of places, of a partner or of all; the cursor is the last one's id."""
    query = tables.Place.objects().where(tables.Place.place_id > after)
    if partner_id is not None:
        query = query.where(tables.Place.partner_id == partner_id)
    rows = await on(connection, query.order_by(tables.Place.place_id).limit(limit + 1))
    found = {made.place: made for made in await _with_identities(connection, rows)}
    return page_of(rows, limit, lambda row: found[_public(row)], _public)


async def _name_place(connection: Connection, row: tables.Place, named: Sequence[_Named]) -> None:
    if not named:
        return
    # The lock: of two that name one key at once, the second to come sees the first.
    await programme_row(connection, row.programme_id, locked=True)
    known = NetworkIdentity.select(
        NetworkIdentity.identity_key,
        NetworkIdentity.valid_from,
        NetworkIdentity.valid_until,
        NetworkIdentity.place_id.partner_id.as_alias("partner_id"),
    ).where(
        NetworkIdentity.programme_id == row.programme_id,
        NetworkIdentity.identity_key.is_in([each.key for each in named]),
        NetworkIdentity.valid_until.is_null() | (NetworkIdentity.valid_until > min(each.valid_from for each in named)),
    )
    _check_free(named, row, await on(connection, known))
    identities = [
        NetworkIdentity(
            identity_id=ids.new_id(),
            programme_id=row.programme_id,
            place_id=row.place_id,
            identity_key=each.key,
            valid_from=each.valid_from,
            valid_until=each.valid_until,
        )
        for each in named
    ]
    await on(connection, NetworkIdentity.insert(*identities))


async def _beside(connection: Connection, found: NetworkIdentity) -> list[int]:
    """Return the row that stands beside an identity's own, so that it is found without its left zeros.

    Two ids of a place that differ in these zeros alone have one each; they say the same, so any of them is right.
    """
    query = NetworkIdentity.select(NetworkIdentity.identity_id).where(
        NetworkIdentity.place_id == found.place_id,
        NetworkIdentity.identity_key == unpadded(found.identity_key),
        NetworkIdentity.valid_from == found.valid_from,
        NetworkIdentity.valid_until.is_null(),
    )
    rows = await on(connection, query.order_by(NetworkIdentity.identity_id).limit(1))
    return [row["identity_id"] for row in rows]


def _check_free(named: Sequence[_Named], row: tables.Place, known: Iterable[Mapping[str, Any]]) -> None:
    """Raise IdentityTaken unless every key is free for its span.

    A key that names one place alone has one place at a time. A descriptor, or an id without its left zeros, may be
    shared by places of one partner, which further keys tell apart, and never by two partners.
    """
    taken: dict[str, list[tuple[datetime, datetime | None, bool]]] = {}
    for other in known:
        foreign = other["partner_id"] != row.partner_id
        taken.setdefault(other["identity_key"], []).append((other["valid_from"], other["valid_until"], foreign))
    for each in named:
        for valid_from, valid_until, foreign in taken.get(each.key, []):
            begins_before_end = valid_until is None or each.valid_from < valid_until
            ends_after_begin = each.valid_until is None or valid_from < each.valid_until
            if begins_before_end and ends_after_begin and (foreign or each.alone):
                raise IdentityTaken(identity_key=each.key)
        taken.setdefault(each.key, []).append((each.valid_from, each.valid_until, False))


def _named(asked: Sequence[NewIdentity], pointer: str) -> list[_Named]:
    named = []
    for position, identity in enumerate(asked):
        at = pointer.format(position)
        for field in ("valid_from", "valid_until"):
            instant: datetime | None = getattr(identity, field)
            if instant is not None and not within_calendar(instant):
                raise invalid_field(f"{at}/{field}", "between the years 2000 and 2199")
        if identity.valid_until is not None and identity.valid_until <= identity.valid_from:
            raise invalid_field(f"{at}/valid_until", "an identity ends after it begins")
        try:
            keys = registered_keys(identity)
        except ValueError as error:
            raise invalid_field(at, str(error), "identity-incomplete") from None
        named += [_Named(key, identity.valid_from, identity.valid_until) for key in keys]
    return named


async def _place_row(connection: Connection, place_id: int) -> tables.Place:
    row = await on(connection, tables.Place.objects().where(tables.Place.place_id == place_id).first())
    if row is None:
        raise UnknownPlace
    return row


async def _with_identities(connection: Connection, rows: Sequence[tables.Place]) -> list[Place]:
    if not rows:
        return []
    identities: dict[int, list[PlaceIdentity]] = {row.place_id: [] for row in rows}
    query = NetworkIdentity.objects().where(NetworkIdentity.place_id.is_in(list(identities)))
    for found in await on(connection, query.order_by(NetworkIdentity.identity_key, NetworkIdentity.valid_from)):
        if _was_given(found.identity_key):
            identities[found.place_id].append(
                PlaceIdentity(
                    identity=ids.public("nid", found.identity_id),
                    key=found.identity_key,
                    valid_from=found.valid_from,
                    valid_until=found.valid_until,
                )
            )
    return [
        Place(
            place=_public(row),
            partner=ids.public("par", row.partner_id),
            programme=ids.public("pro", row.programme_id),
            name=row.name,
            time_zone=row.time_zone,
            identities=identities[row.place_id],
        )
        for row in rows
    ]


def _was_given(key: str) -> bool:
    """Tell whether somebody gave the key: what is stored beside it to find it without its left zeros nobody did."""
    return "~" not in key.partition(":")[0]


def _public(row: tables.Place) -> str:
    return ids.public("pla", row.place_id)
