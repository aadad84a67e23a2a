"""Sightings: what tills say of purchases, and how it is written: each row once, whole, when all of it is known."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta

from koinon.database import Connection, beside
from koinon.fields import (
    FIRST_YEAR,
    LAST_YEAR,
    CurrencyText,
    Instant,
    MemberId,
    PlaceId,
    SourceId,
    TillReceipt,
    Token,
    within_calendar,
)
from koinon.http.requests import Write
from koinon.ids import new_record_id
from koinon.keyring import MasterKeys
from koinon.members.vault import sealed_text
from koinon.money import EXPONENTS
from koinon.places.model import identifier
from koinon.problems import invalid_field
from koinon.references import id_in_field
from offers.model import POINTS_MAX
from offers.rewarding.considered import PurchaseKey
from offers.rewarding.evidence import Evidence, read_evidence
from offers.rewarding.operations import note_rewarded, reopen

statements = beside(__file__, "earnings.sql")

TENDER = {"source": "src_2de18rfzfcjcq", "token": "tok_Yk8sQ2mVwZ", "auth_code": "A1B2C3"}


class Tender(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How a purchase was paid by card: the source's token and the authorisation code, so that it is rewarded once."""

    source: SourceId
    token: Token
    auth_code: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,32}$(?!\n)", examples=["A1B2C3"])]


class NewEarning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A purchase as a till saw it; `points` are stated by the brand, or left to its offers."""

    member: MemberId
    place: PlaceId
    amount_minor: Annotated[int, Meta(ge=1, le=10**15, examples=[2500])]
    currency: CurrencyText
    occurred_at: Instant
    receipt: TillReceipt | None = None
    points: Annotated[int, Meta(ge=1, le=POINTS_MAX, examples=[250])] | None = None
    tender: Annotated[Tender, Meta(examples=[TENDER])] | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A till's call with its ids read."""

    write: Write
    earning: NewEarning
    partner_id: int
    member_id: int
    place_id: int
    source_id: int | None


class Fresh(msgspec.Struct, frozen=True, kw_only=True):
    """A till's call that is to be recorded: on a new purchase, or on one that its card has `shown`."""

    asked: Asked
    facts: asyncpg.Record
    purchase_id: UUID
    sighting_id: UUID
    shown: bool
    sealed_receipt: bytes | None

    @property
    def key(self) -> PurchaseKey:
        """The purchase's key."""
        return self.facts["account_id"], self.purchase_id


def read_ids(write: Write, earning: NewEarning) -> Asked:
    """Return a till's call with its ids read; raises InvalidInput naming the field."""
    partner_id = write.caller.partner_id
    assert partner_id is not None, "earnings are reported by partners"  # noqa: S101  # the guard saw to it
    if earning.currency not in EXPONENTS:
        raise invalid_field("/currency", "not a currency of ISO 4217", "unknown-currency")
    if earning.tender is not None and not identifier(earning.tender.auth_code):
        raise invalid_field("/tender/auth_code", "this says nothing; a tender is known by its authorisation code")
    if not within_calendar(earning.occurred_at):
        raise invalid_field("/occurred_at", f"the year must be {FIRST_YEAR} to {LAST_YEAR}")
    return Asked(
        write=write,
        earning=earning,
        partner_id=partner_id,
        member_id=id_in_field("mem", earning.member, "/member"),
        place_id=id_in_field("pla", earning.place, "/place"),
        source_id=id_in_field("src", earning.tender.source, "/tender/source") if earning.tender else None,
    )


def fresh_of(masters: MasterKeys, asked: Asked, facts: asyncpg.Record, seen: asyncpg.Record | None) -> Fresh:
    """Return a call with the ids of its purchase and its sighting; `seen` is the purchase that its card has shown.

    `masters` open the member's key, which the till's receipt is sealed under.
    """
    purchase_id = new_record_id() if seen is None else seen["purchase_id"]
    # A sighting has its purchase's id, but when it is rung up again after an earlier one was taken back.
    sighting_id = new_record_id() if seen is not None and seen["at_till"] else purchase_id
    return Fresh(
        asked=asked,
        facts=facts,
        purchase_id=purchase_id,
        sighting_id=sighting_id,
        shown=seen is not None,
        sealed_receipt=sealed_text(masters, asked.member_id, facts, "earning receipt", asked.earning.receipt),
    )


def row_of(each: Fresh) -> dict[str, Any]:
    """Return what `purchase_facts` will say of a new purchase once it is recorded."""
    earning, facts = each.asked.earning, each.facts
    return {
        "account_id": facts["account_id"],
        "purchase_id": each.purchase_id,
        "programme_id": facts["programme_id"],
        "member_id": each.asked.member_id,
        "occurred_at": earning.occurred_at,
        "revision": 1,
        "merged_into": None,
        "time_zone": facts["time_zone"],
        "expiry_months": facts["expiry_months"],
        "unit_id": facts["unit_id"],
        "till_partner_id": each.asked.partner_id,
        "till_place_id": each.asked.place_id,
        "amount_minor": earning.amount_minor,
        "currency": earning.currency,
        "stated_points": earning.points,
        "till_occurred_at": earning.occurred_at,
        "till_partner": facts["partner"],
        "till_zone": facts["place_zone"],
    }


async def put_to_shown(connection: Connection, shown: Sequence[Fresh]) -> list[Evidence]:
    """Put sightings to the purchases that cards have shown already; returns what is known of these then."""
    keys = [each.key for each in shown]
    await reopen(connection, keys)
    purchases = [each.purchase_id for each in shown]
    await connection.execute(
        statements["add_sightings"],
        [each.facts["account_id"] for each in shown],
        [each.sighting_id for each in shown],
        purchases,
        *_told(shown),
        [each.asked.earning.occurred_at for each in shown],
    )
    evidence = await read_evidence(connection, keys)
    await note_rewarded(connection, evidence)
    return evidence


def _told(fresh: Sequence[Fresh]) -> list[list[Any]]:
    """Return the columns of what tills said: partner, place, receipt, amount, currency, points, token, source, code."""
    earnings = [each.asked.earning for each in fresh]
    return [
        [each.asked.partner_id for each in fresh],
        [each.asked.place_id for each in fresh],
        [each.sealed_receipt for each in fresh],
        [each.amount_minor for each in earnings],
        [each.currency for each in earnings],
        [each.points for each in earnings],
        [each.tender.token if each.tender else None for each in earnings],
        [each.asked.source_id for each in fresh],
        [identifier(each.tender.auth_code) if each.tender else None for each in earnings],
    ]


async def record(connection: Connection, new: Sequence[Fresh], fresh: Sequence[Fresh], bodies: Sequence[bytes]) -> None:
    """Write new purchases, what tills said of them, and all answers; raises asyncpg.SerializationError."""
    recorded = await connection.fetchval(
        statements["record_earnings"],
        [each.facts["account_id"] for each in new],
        [each.purchase_id for each in new],
        [each.facts["programme_id"] for each in new],
        [each.asked.member_id for each in new],
        [each.asked.earning.occurred_at for each in new],
        *_told(new),
        [each.asked.write.caller.name for each in fresh],
        [each.asked.write.key for each in fresh],
        [each.asked.write.content_hash for each in fresh],
        [body.decode() for body in bodies],
    )
    if recorded != len(fresh):
        message = "another process recorded one of the keys meanwhile"
        raise asyncpg.SerializationError(message)
