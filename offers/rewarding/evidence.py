"""Evidence: everything that deciding about some purchases needs, read set by set."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import asyncpg
import msgspec

from koinon.database import Connection, beside
from offers.model import OfferVersion
from offers.payments.fold import Payment
from offers.payments.places import known_places
from offers.rewarding.considered import Bought, Considered, PurchaseKey, considered
from offers.rewarding.decisions import Decision, PlaceFacts, PurchaseFacts, card_facts, decide, till_facts

statements = beside(__file__)
decode_payment = msgspec.json.Decoder(Payment).decode

WHOLE = Fraction(1)


class Posted(msgspec.Struct, frozen=True):
    """What a purchase has earned so far from one offer (0: what the till stated).

    `terms` are (funder's contract version, expiry) that the posted points have.
    """

    partner_id: int
    posted_points: int
    terms: tuple[int | None, date | None]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one purchase, and which offers are to be decided about it.

    `kept` is the part of the purchase that was not returned, as far as its card tells: what a till saw counts for no
    more. `carried`: points by offer that stand in the ledger for purchases that this one turned out to be.
    """

    key: PurchaseKey
    row: Mapping[str, Any]
    sightings: tuple[PurchaseFacts, ...]
    kept: Fraction
    place_id: int | None
    offers: tuple[Considered, ...]
    rewards: Mapping[int, Posted]
    carried: Mapping[int, int]

    @property
    def stated_points(self) -> int:
        """The points that the till stated, less the part that was returned."""
        return int((self.row["stated_points"] or 0) * self.kept)

    @property
    def occurred_at(self) -> datetime:
        """When the purchase happened, by the one who saw it best: the card before the till."""
        return self.sightings[0].occurred_at if self.sightings else self.row["occurred_at"]

    def decisions(self) -> list[tuple[Decision, OfferVersion, int]]:
        """Decide every offer on every sighting; returns (decision, version, funding partner's id)."""
        return [
            (decide(facts, activation, version), version, partner_id)
            for version, partner_id, activation in self.offers
            for facts in self.sightings
        ]


class Contracts:
    """Partners' contract versions by time: which one holds for a purchase."""

    def __init__(self, rows: Sequence[asyncpg.Record]) -> None:
        self._versions: dict[int, tuple[list[datetime], list[int]]] = {}
        for row in rows:
            starts, versions = self._versions.setdefault(row["partner_id"], ([], []))
            starts.append(row["effective_from"])
            versions.append(row["version"])

    def at(self, partner_id: int, instant: datetime) -> int | None:
        """Return the version in force at an instant, or None before the first."""
        starts, versions = self._versions.get(partner_id, ([], []))
        place = bisect_right(starts, instant)
        return versions[place - 1] if place else None


async def contracts_of(connection: Connection, partners: Sequence[int]) -> Contracts:
    """Read the contract versions of partners."""
    return Contracts(await connection.fetch(statements["contract_versions"], partners))


async def read_evidence(connection: Connection, keys: Sequence[PurchaseKey]) -> list[Evidence]:
    """Read what is known about purchases, in the order of their keys."""
    columns = [account for account, _ in keys], [purchase for _, purchase in keys]
    rows = await connection.fetch(statements["purchase_facts"], *columns)
    paid = [
        ((row["account_id"], row["purchase_id"]), decode_payment(row["fold"]), row["linked_at"])
        for row in await connection.fetch(statements["payments_at"], *columns)
    ]
    rewards: dict[PurchaseKey, dict[int, Posted]] = {}
    for row in await connection.fetch(statements["rewards_of"], *columns):
        rewards.setdefault((row["account_id"], row["purchase_id"]), {})[row["offer_id"]] = Posted(
            row["partner_id"], row["posted_points"], (row["issuer_version"], row["expires_on"])
        )
    carried: dict[PurchaseKey, dict[int, int]] = {}
    for row in await connection.fetch(statements["carried_to"], *columns):
        carried.setdefault((row["account_id"], row["purchase_id"]), {})[row["offer_id"]] = row["points"]
    return await evidence_of(connection, rows, paid, rewards, carried)


async def evidence_of(
    connection: Connection,
    rows: Sequence[Mapping[str, Any]],
    paid: Sequence[tuple[PurchaseKey, Payment, datetime | None]] = (),
    rewards: Mapping[PurchaseKey, dict[int, Posted]] = MappingProxyType({}),
    carried: Mapping[PurchaseKey, dict[int, int]] = MappingProxyType({}),
) -> list[Evidence]:
    """Return the evidence of purchases with the offers that are to be decided; `rows` are as of `purchase_facts`.

    Of a purchase that a till reports just now, nothing else than its row is known anywhere.
    """
    kept = {key: _kept(payment) for key, payment, _ in paid}
    seen = await _card_sightings(connection, rows, paid)
    bought = [
        Bought(
            key=(key := (row["account_id"], row["purchase_id"])),
            programme_id=row["programme_id"],
            sightings=(*seen.get(key, []), *_till_sighting(row, kept.get(key, WHOLE))),
            given=frozenset(rewards.get(key, {}).keys() | carried.get(key, {}).keys()),
        )
        for row in rows
    ]
    offers = await considered(connection, bought)
    return [
        Evidence(
            key=each.key,
            row=row,
            sightings=each.sightings,
            kept=kept.get(each.key, WHOLE),
            place_id=next((facts.place_id for facts in each.sightings if facts.place_id is not None), None),
            offers=offers[each.key],
            rewards=rewards.get(each.key, {}),
            carried=carried.get(each.key, {}),
        )
        for row, each in zip(rows, bought, strict=True)
    ]


def _kept(payment: Payment) -> Fraction:
    """Return the part of a payment that was neither refunded nor charged back."""
    bought = payment.cleared_minor + payment.open_minor or payment.authorised_minor or 1
    return max(Fraction(0), 1 - Fraction(payment.refunded_minor + payment.charged_back_minor, bought))


def _till_sighting(row: Mapping[str, Any], kept: Fraction) -> list[PurchaseFacts]:
    if row["till_partner_id"] is None:
        return []
    place = PlaceFacts(row["till_place_id"], row["till_partner"], row["till_zone"])
    return [
        till_facts(
            amount_minor=int(row["amount_minor"] * kept),
            currency=row["currency"],
            occurred_at=row["till_occurred_at"],
            place=place,
        )
    ]


async def _card_sightings(
    connection: Connection,
    rows: Sequence[Mapping[str, Any]],
    paid: Sequence[tuple[PurchaseKey, Payment, datetime | None]],
) -> dict[PurchaseKey, list[PurchaseFacts]]:
    if not paid:
        return {}
    programmes = {(row["account_id"], row["purchase_id"]): row["programme_id"] for row in rows}
    known = await known_places(connection, [(programmes[key], payment) for key, payment, _ in paid])
    resolved = [known.resolve(programmes[key], payment) for key, payment, _ in paid]
    places = {
        row["place_id"]: PlaceFacts(row["place_id"], row["code"], row["time_zone"])
        for row in await connection.fetch(
            statements["place_facts"], sorted({each.place_id for each in resolved if each.place_id is not None})
        )
    }
    seen: dict[PurchaseKey, list[PurchaseFacts]] = {}
    for (key, payment, linked_at), resolution in zip(paid, resolved, strict=True):
        place = places.get(resolution.place_id) if resolution.place_id is not None else None
        seen.setdefault(key, []).append(card_facts(payment, resolution, place, linked_at))
    return seen
