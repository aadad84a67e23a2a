"""Considered: the offers that are decided about purchases, as their accounts switched them on or as they stood.

Whoever switched an offer on keeps that version, also after it has ended: a later version that counts for everybody does
not come in its place.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from koinon.database import Connection, beside
from offers.model import Activation, OfferVersion
from offers.rewarding.candidates import Index, Listing, concerns, earliest_local
from offers.rewarding.decisions import PurchaseFacts
from offers.rewarding.known_offers import KNOWN, Known

statements = beside(__file__)

PurchaseKey = tuple[int, UUID]
"""(account, purchase)"""
Considered = tuple[OfferVersion, int, Activation | None]
"""(version, funding partner's id, activation): an offer that is to be decided"""
SwitchedOn = dict[tuple[int, int], Activation]
"""Activations by (account, offer)"""


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase whose offers are looked for; `given` are the offers that have given points for it already."""

    key: PurchaseKey
    programme_id: int
    sightings: tuple[PurchaseFacts, ...]
    given: frozenset[int]


async def considered(connection: Connection, bought: Sequence[Bought]) -> dict[PurchaseKey, tuple[Considered, ...]]:
    """Return the offers that concern each purchase; see offers/rewarding/candidates.py for what concerns one.

    An offer that was switched on and has given points concerns it in any case: what is taken back has a reason too.
    """
    indexes = await KNOWN.indexes(connection, {each.programme_id for each in bought})
    automatic = {each.key: indexes[each.programme_id].candidates(each.sightings) for each in bought}
    on = await _switched_on(connection, bought)
    on |= await _frozen(connection, bought, automatic, indexes, on)
    offers_on: dict[int, list[tuple[int, Activation]]] = {}
    for (account_id, offer_id), activation in sorted(on.items(), key=lambda item: item[0]):
        offers_on.setdefault(account_id, []).append((offer_id, activation))
    wanted = {activation.version_id for activation in on.values()}
    wanted |= {listing.version_id for listings in automatic.values() for listing in listings}
    versions = await KNOWN.versions(connection, wanted)
    return {
        each.key: (
            *_own(each, offers_on.get(each.key[0], ()), versions),
            *(
                (*versions[listing.version_id], None)
                for listing in automatic[each.key]
                if (each.key[0], listing.offer_id) not in on
            ),
        )
        for each in bought
    }


def _own(
    bought: Bought, offers_on: Iterable[tuple[int, Activation]], versions: Mapping[int, Known]
) -> Iterable[Considered]:
    for offer_id, activation in offers_on:
        version, partner_id = versions[activation.version_id]
        if offer_id in bought.given or concerns(version, bought.sightings):
            yield version, partner_id, activation


async def _switched_on(connection: Connection, bought: Sequence[Bought]) -> SwitchedOn:
    """Return the activations of accounts that had not ended when the first of their purchases was made."""
    since: dict[int, datetime] = {}
    for each in bought:
        if each.sightings:
            moment = earliest_local(each.sightings)
            since[each.key[0]] = min(moment, since.get(each.key[0], moment))
    if not since:
        return {}
    return _activations(await connection.fetch(statements["activations_since"], list(since), list(since.values())))


async def _frozen(
    connection: Connection,
    bought: Sequence[Bought],
    automatic: Mapping[PurchaseKey, Sequence[Listing]],
    indexes: Mapping[int, Index],
    on: SwitchedOn,
) -> SwitchedOn:
    """Return the activations that ended before their purchases and still matter: asked for by offer, and seldom any.

    They matter where an offer counts for everybody by now, and where it has given points.
    """
    asked = {
        (each.key[0], offer_id)
        for each in bought
        for offer_id in each.given.union(listing.offer_id for listing in automatic[each.key])
        if indexes[each.programme_id].switchable(offer_id)
    } - on.keys()
    if not asked:
        return {}
    accounts, offers = zip(*sorted(asked), strict=True)
    return _activations(await connection.fetch(statements["activations_of"], accounts, offers))


def _activations(rows: Sequence[asyncpg.Record]) -> SwitchedOn:
    return {
        (row["account_id"], row["offer_id"]): Activation(version_id=row["version_id"], activated_at=row["activated_at"])
        for row in rows
    }
