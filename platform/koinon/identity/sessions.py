"""Sessions: browsers that signed in, known by a cookie."""

import hashlib
import secrets
from datetime import datetime, timedelta

from koinon.callers.model import MEMBER_SCOPES, Caller, scopes_of
from koinon.clock import machine_now
from koinon.database import Connection, beside, pool
from koinon.identity.model import SessionKind
from koinon.ids import public
from koinon.members.directory import account_of

COOKIE = "koinon_session"
TOKEN_BYTES = 32
MEMBER_LIFE = timedelta(days=30)
STAFF_LIFE = timedelta(hours=12)
STAFF_IDLE = timedelta(hours=2)
SEEN_EVERY = timedelta(minutes=1)

statements = beside(__file__)


async def open_session(
    connection: Connection,
    *,
    kind: SessionKind,
    member_id: int | None = None,
    programme_id: int | None = None,
    staff_id: int | None = None,
    partner_id: int | None = None,
) -> str:
    """Make a session in the caller's transaction and return the cookie's value, which only the browser keeps.

    A member's names the member alone: programme and account are looked up when it is used.
    A member's ends after 30 days; one of staff after 12 hours, or two without a request.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = machine_now()
    life = MEMBER_LIFE if kind == "member" else STAFF_LIFE
    await connection.execute(
        statements["open_session"],
        session_hash(token),
        kind,
        programme_id,
        member_id,
        staff_id,
        partner_id,
        now,
        now + life,
    )
    return token


async def session_caller(token: str, now: datetime) -> Caller | None:
    """Return who is signed in with a cookie, or None; the database is asked, so that an ended session ends at once."""
    digest = session_hash(token)
    row = await pool().fetchrow(statements["session"], digest, now, now - STAFF_IDLE)
    if row is None:
        return None
    if now - row["last_seen_at"] >= SEEN_EVERY:
        await pool().execute(statements["see_session"], digest, now)
    if row["kind"] == "member":
        # Not by a join: in a database of several nodes, sessions and members stand on different ones.
        known = await account_of(pool(), row["member_id"])
        if known is None:
            return None
        programme_id, account_id = known
        return Caller(
            kind="member",
            name=public("mem", row["member_id"]),
            scopes=MEMBER_SCOPES,
            programme_id=programme_id,
            member_id=row["member_id"],
            account_id=account_id,
            session_id=digest.hex(),
        )
    if not row["roles"]:
        return None
    # Staff of a brand act as the brand, so that its retries by key and by page meet.
    return Caller(
        kind="operator" if row["partner_id"] is None else "partner",
        name=public("stf", row["staff_id"]) if row["partner_id"] is None else public("par", row["partner_id"]),
        scopes=scopes_of(row["roles"]),
        programme_id=row["programme_id"],
        partner_id=row["partner_id"],
        staff_id=row["staff_id"],
        session_id=digest.hex(),
    )


async def end_session(connection: Connection, session_id: str) -> None:
    """Sign one browser out; a second time changes nothing."""
    await connection.execute(statements["end_session"], bytes.fromhex(session_id), machine_now())


async def end_member_sessions(connection: Connection, member_id: int) -> None:
    """Sign a member out of every browser."""
    await connection.execute(statements["end_member_sessions"], member_id, machine_now())


async def end_staff_sessions(connection: Connection, staff_id: int, partner_id: int | None) -> None:
    """Sign a member of staff out of every browser in which they act for a partner, or without one as the operator."""
    await connection.execute(statements["end_staff_sessions"], staff_id, partner_id, machine_now())


def session_hash(token: str) -> bytes:
    """Return what the database knows of a cookie's value; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).digest()
