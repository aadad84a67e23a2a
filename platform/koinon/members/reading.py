"""What members see of their account: the wallet and its history."""

from collections.abc import Iterable
from datetime import date, datetime
from fractions import Fraction
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec

from koinon import ids
from koinon.clock import business_date, business_now
from koinon.database import Connection
from koinon.fields import BrandName, JournalId, PartnerCode, PlaceName
from koinon.http.cursors import Page, page_of
from koinon.ledger.operations import history, pooled
from koinon.members.model import Holding, Pending, Wallet, wallet_of
from koinon.members.pending import PendingSource
from koinon.parties.operations import programme_facts
from koinon.parties.programmes import UNIT


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to an account.

    `points` is what it did to the free balance, `moved` what it moved in all; a hold is told while it is open, then its
    capture or release in its place, so that the points of all events sum to the balance; `reason` says why, `at` is the
    programme's time.
    """

    journal: JournalId
    kind: Annotated[str, msgspec.Meta(examples=["earn"])]
    at: datetime
    points: Annotated[int, msgspec.Meta(examples=[250])]
    moved: Annotated[int, msgspec.Meta(examples=[250])]
    partner: PartnerCode | None
    brand: BrandName | None
    place: PlaceName | None
    reason: str | None


async def read_wallet(
    connection: Connection,
    sources: Iterable[PendingSource],
    *,
    programme_id: int,
    account_id: int,
    member_id: int,
) -> Wallet:
    """Return a member's wallet, as of the programme's time."""
    programme = await programme_facts(connection, programme_id)
    rows = await pooled(connection, account_id, programme["unit_id"])
    pending: list[Pending] = []
    for source in sources:
        pending += await source(connection, account_id=account_id, member_id=member_id)
    return wallet_of(
        [_holding(row) for row in rows],
        pending,
        unit=UNIT,
        today=business_date(business_now(programme["clock_at"]), programme["time_zone"]),
        face_value=Fraction(programme["face_value_num"], programme["face_value_den"]),
        currency=programme["settlement_currency"],
    )


async def read_history(connection: Connection, account_id: int, after: UUID | None, limit: int) -> Page[Event]:
    """Return a page of an account's history, the newest first; the cursor is the last journal's id."""
    rows = await history(connection, account_id, after, limit + 1)

    def journal(row: asyncpg.Record) -> str:
        return ids.public_record("jnl", account_id, row["journal_id"])

    def event(row: asyncpg.Record) -> Event:
        return Event(
            journal=journal(row),
            kind=row["kind"],
            at=row["occurred_at"],
            points=row["points"],
            moved=row["moved"],
            partner=row["partner"],
            brand=row["brand"],
            place=row["place"],
            reason=row["reason"],
        )

    return page_of(rows, limit, event, journal)


def _holding(row: asyncpg.Record) -> Holding:
    # PostgreSQL's infinity, for points that never expire, reaches Python as the last day there is.
    expires_on = None if row["expires_on"] == date.max else row["expires_on"]
    return Holding(
        partner=row["code"],
        brand=row["brand"],
        expires_on=expires_on,
        available=row["available"],
        held=row["held"],
    )
