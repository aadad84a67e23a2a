"""Activations: members see what they can switch on, and keep the version and the words of the moment they did."""

from datetime import datetime
from typing import Annotated

import asyncpg
import msgspec

from koinon import ids
from koinon.database import Connection
from koinon.fields import BrandName, Digest, PartnerCode
from koinon.http.cursors import Page, page_of
from koinon.parties.operations import programme_now
from koinon.problems import Refused
from offers.catalogue.operations import UnknownOffer, place_names, shown_terms, statements, versions_of
from offers.model import EndsAt, OfferId, OfferName, OfferVersion, StartsAt, Terms
from offers.terms import terms_hash


class OfferEnded(Refused):
    """The offer's last day has passed at every place."""

    code = "offer-ended"
    title = "The offer has ended"


class ActivationNotNeeded(Refused):
    """The offer counts for everybody."""

    code = "activation-not-needed"
    title = "The offer counts without being switched on"


class MemberOffer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer as a member sees it: the version that was switched on, else the current one.

    `starts_at` and `ends_at` are the shops' local times. `activated_at` null: not switched on, or not needed.
    `points` is what it earned so far, `pending_points` what is expected on top.
    """

    offer: OfferId
    name: OfferName
    partner: PartnerCode
    brand: BrandName
    terms: Terms
    starts_at: StartsAt
    ends_at: EndsAt
    activation_required: bool
    activated_at: Annotated[datetime, msgspec.Meta(examples=["2026-03-01T18:20:00Z"])] | None
    points: Annotated[int, msgspec.Meta(examples=[250])]
    pending_points: Annotated[int, msgspec.Meta(examples=[0])]


class NewActivation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The offer that a member switches on."""

    offer: OfferId


TERMS_SHA256 = "2cc13db89f5cc269e048489f6ec6606fc49a74466d89033325db818f26a92bda"


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """An offer that is switched on, in the version and with the words of that moment; `new`: just now.

    `terms_sha256` is the SHA-256 of the terms in UTF-8, in hexadecimal.
    """

    offer: OfferId
    version: Annotated[int, msgspec.Meta(examples=[1])]
    name: OfferName
    brand: BrandName
    activated_at: datetime
    terms: Terms
    terms_sha256: Annotated[Digest, msgspec.Meta(examples=[TERMS_SHA256])]
    new: bool


async def member_offers(
    connection: Connection, *, programme_id: int, account_id: int, after: int | None, limit: int
) -> Page[MemberOffer]:
    """Return a page of the offers that are on or can be switched on, the newest first; those that ended are left out.

    An offer ends when its last moment has passed on the clock of every place that it counts at.
    """
    now = await programme_now(connection, programme_id)
    rows = await connection.fetch(statements["member_offers"], account_id, programme_id, now, None, after, limit + 1)
    versions = await versions_of(connection, rows)
    places = await place_names(connection, [versions[row["version_id"]] for row in rows if row["terms"] is None])
    earned = {
        row["offer_id"]: (row["posted"], row["pending"])
        for row in await connection.fetch(statements["earned"], account_id, [row["offer_id"] for row in rows])
    }

    def shown(row: asyncpg.Record) -> MemberOffer:
        version = versions[row["version_id"]]
        points, pending_points = earned.get(row["offer_id"], (0, 0))
        return MemberOffer(
            offer=ids.public("off", row["offer_id"]),
            name=version.name,
            partner=row["code"],
            brand=row["brand"],
            terms=row["terms"] or shown_terms(version, row["brand"], places),
            starts_at=version.starts_at,
            ends_at=version.ends_at,
            activation_required=version.activation_required,
            activated_at=row["activated_at"],
            points=points,
            pending_points=pending_points,
        )

    return page_of(rows, limit, shown, lambda row: ids.public("off", row["offer_id"]))


async def activate(
    connection: Connection, *, programme_id: int, account_id: int, member_id: int, asked: NewActivation
) -> Activation:
    """Switch an offer on as of the programme's now, in the caller's transaction; one that is on stays as it is.

    Raises UnknownOffer, OfferEnded, ActivationNotNeeded.
    """
    try:
        offer_id = ids.private("off", asked.offer)
    except ValueError:
        raise UnknownOffer from None
    now = await programme_now(connection, programme_id)
    row = await _member_offer(connection, programme_id, account_id, now, offer_id)
    version = (await versions_of(connection, [row]))[row["version_id"]]
    if row["activated_at"] is not None:
        return _activation(row, version, new=False)
    if row["ended"]:
        raise OfferEnded(ends_at=version.ends_at.isoformat())
    if not version.activation_required:
        raise ActivationNotNeeded
    text = shown_terms(version, row["brand"], await place_names(connection, [version]))
    done = await connection.execute(
        statements["activate"],
        account_id,
        offer_id,
        version.version_id,
        member_id,
        now,
        version.ends_at,
        text,
        bytes.fromhex(terms_hash(text)),
    )
    # Somebody of the same account may have switched it on meanwhile: theirs stands.
    row = await _member_offer(connection, programme_id, account_id, now, offer_id)
    version = (await versions_of(connection, [row]))[row["version_id"]]
    return _activation(row, version, new=done == "INSERT 0 1")


async def _member_offer(
    connection: Connection, programme_id: int, account_id: int, now: datetime, offer_id: int
) -> asyncpg.Record:
    row = await connection.fetchrow(statements["member_offers"], account_id, programme_id, now, offer_id, None, 1)
    if row is None:
        raise UnknownOffer
    return row


def _activation(row: asyncpg.Record, version: OfferVersion, *, new: bool) -> Activation:
    return Activation(
        offer=ids.public("off", row["offer_id"]),
        version=row["version_no"],
        name=version.name,
        brand=row["brand"],
        activated_at=row["activated_at"],
        terms=row["terms"],
        terms_sha256=row["terms_sha256"].hex(),
        new=new,
    )
