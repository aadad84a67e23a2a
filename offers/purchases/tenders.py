"""Tenders: a till names the card that a purchase was paid with, so that the card's own messages are not rewarded again.

TenderOfAnotherMember    422  the card is linked to somebody else
PurchaseAlreadyReported  409  a till has reported this very payment, and it was not taken back
"""

from collections.abc import Mapping
from uuid import UUID

import asyncpg
import msgspec

from koinon import ids
from koinon.database import Connection, beside
from koinon.identity.sources import UnknownSource
from koinon.places.model import identifier
from koinon.problems import Conflict, Problem, Refused
from offers.feeds.messages import card_key
from offers.payments.fold import Payment
from offers.payments.places import known_places
from offers.purchases.intake import statements as intake_statements
from offers.rewarding.rewards import TENDER_SPAN, TillSighting, is_same_purchase

statements = beside(__file__, "earnings.sql")

decode_payment = msgspec.json.Decoder(Payment).decode


SamePayment = tuple[int, str | None, str | None, str, int, int]
"""(account, source, token, code, place, minor units): what two reports of one payment share; their times are near."""


class TenderOfAnotherMember(Refused):
    """A card payment is its own member's: rewarded for two, one purchase would be paid for twice."""

    code = "tender-of-another-member"
    title = "This card is linked to another member, who earns what is paid with it"


class PurchaseAlreadyReported(Conflict):
    """A till has reported the same payment before, under another key, and did not take it back."""

    code = "purchase-already-reported"
    title = "This payment was reported before; reverse that earning to report it again"


class Tendered(msgspec.Struct, frozen=True, kw_only=True):
    """A till's sighting that names a tender, and the account and member that it is to earn for."""

    sighting: TillSighting
    account_id: int
    member_id: int
    programme_id: int
    source_id: int
    known_source: bool

    @property
    def same_payment(self) -> SamePayment:
        """What another report of the same payment would say too."""
        each = self.sighting
        code = identifier(each.auth_code)
        return self.account_id, each.source_id, each.card_token, code, each.place_id, each.amount_minor


async def of_another_member(connection: Connection, tendered: Mapping[int, Tendered]) -> dict[int, Problem]:
    """Return, by position, why tenders are not their member's: of no source of theirs, or another member's card."""
    found: dict[int, Problem] = {
        position: UnknownSource() for position, each in tendered.items() if not each.known_source
    }
    keys = {
        position: card_key(each.programme_id, each.source_id, each.sighting.card_token or "")
        for position, each in tendered.items()
    }
    rows = await connection.fetch(statements["card_owners"], sorted(set(keys.values()))) if keys else []
    owners = {row["card_key"]: row["member_id"] for row in rows}
    for position, each in tendered.items():
        if owners.get(keys[position], each.member_id) != each.member_id:
            found.setdefault(position, TenderOfAnotherMember())
    return found


async def reported(connection: Connection, tendered: Mapping[int, Tendered]) -> dict[int, Problem]:
    """Return, by position, which payments tills have reported before; the caller holds the accounts' lanes."""
    if not tendered:
        return {}
    reports = await connection.fetch(
        statements["unreversed_tenders"],
        [each.account_id for each in tendered.values()],
        [identifier(each.sighting.auth_code) for each in tendered.values()],
    )
    found: dict[int, Problem] = {}
    first: dict[SamePayment, int] = {}
    for position, each in tendered.items():
        for row in reports:
            if _standing_key(row) == each.same_payment and _is_near(row, each.sighting):
                earning = ids.public_record("ern", row["account_id"], row["sighting_id"])
                found.setdefault(position, PurchaseAlreadyReported(earning=earning))
        if position not in found and first.setdefault(each.same_payment, position) != position:
            found[position] = PurchaseAlreadyReported()
    return found


def _standing_key(row: asyncpg.Record) -> SamePayment:
    return (
        row["account_id"],
        str(row["source_id"]),
        row["card_token"],
        row["auth_code"],
        row["place_id"],
        row["amount_minor"],
    )


def _is_near(row: asyncpg.Record, sighting: TillSighting) -> bool:
    return bool(abs(row["occurred_at"] - sighting.occurred_at) <= TENDER_SPAN)


async def seen_by_card(connection: Connection, tendered: Mapping[int, Tendered]) -> dict[int, asyncpg.Record]:
    """Return, by position, the payments that card messages have shown before; each is given once."""
    if not tendered:
        return {}
    rows = await connection.fetch(
        intake_statements["free_payments"],
        [each.account_id for each in tendered.values()],
        [identifier(each.sighting.auth_code) for each in tendered.values()],
    )
    payments = [(row, decode_payment(row["fold"])) for row in rows]
    places = await known_places(connection, [(row["programme_id"], payment) for row, payment in payments])
    seen: dict[int, asyncpg.Record] = {}
    taken: set[UUID] = set()
    for position, each in tendered.items():
        for row, payment in payments:
            if row["account_id"] != each.account_id or row["purchase_id"] in taken:
                continue
            if is_same_purchase(each.sighting, payment, places.resolve(row["programme_id"], payment).place_id):
                seen[position] = row
                taken.add(row["purchase_id"])
                break
    return seen
