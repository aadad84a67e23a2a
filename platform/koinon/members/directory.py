"""The directory: which member a contact belongs to, and which account holds a member's points.

Whatever else is kept about members (sessions, cards) names the member alone and asks here for the account when it is
used, so that joining a household, or two members who turn out to be one, changes one row.
"""

import hmac
from collections.abc import Sequence
from typing import Literal

import asyncpg

from koinon.database import Connection, beside
from koinon.keyring import derived

statements = beside(__file__)

ContactKind = Literal["email", "phone"]


def contact_hash(secret: bytes, programme_id: int, kind: ContactKind, value: str) -> bytes:
    """Return the keyed hash by which the database knows a contact in the form that is stored.

    `secret` is the installation's. Programmes do not know each other's members: in each it is another hash.
    """
    text = f"{programme_id}\n{kind}\n{value}"
    return hmac.digest(derived(secret, b"contacts"), text.encode(), "sha256")


async def member_by_contact(
    connection: Connection, secret: bytes, programme_id: int, kind: ContactKind, value: str
) -> int | None:
    """Return the member of a programme whom a contact belongs to, or None; the value is in the form that is stored."""
    digest = contact_hash(secret, programme_id, kind, value)
    member_id: int | None = await connection.fetchval(statements["member_by_contact"], digest, programme_id)
    return member_id


async def account_of(connection: Connection | asyncpg.Pool, member_id: int) -> tuple[int, int] | None:
    """Return (programme, account) of a member, or None for nobody."""
    row = await connection.fetchrow(statements["account_of"], member_id)
    return None if row is None else (row["programme_id"], row["account_id"])


async def accounts_of(connection: Connection, member_ids: Sequence[int]) -> dict[int, int]:
    """Return members' accounts, in one query."""
    rows = await connection.fetch(statements["accounts_of"], member_ids)
    return {row["member_id"]: row["account_id"] for row in rows}
