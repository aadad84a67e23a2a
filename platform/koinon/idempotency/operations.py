"""The request row of a write: claimed before the write, answered with it, and read again by a retry."""

from datetime import date

import asyncpg
import msgspec

from koinon.database import Connection, beside
from koinon.problems import AnswerNoLongerKept, IdempotencyKeyReused

statements = beside(__file__)

UNANSWERED = 0


class Answered(msgspec.Struct, frozen=True):
    """What a request was answered: the status and the JSON body."""

    status: int
    body: bytes


async def claim(
    connection: Connection, caller: str, key: str, content_hash: str, today: date, *, lasting: bool = False
) -> Answered | None:
    """Claim a caller's key in the caller's transaction, or return what it was answered for this content before.

    The answer's body is emptied some time after the day of its last use, `today` (koinon/idempotency/retention.py); a
    `lasting` one is ids and figures alone, and stays as long as the key.
    Waits for another transaction that claimed the key meanwhile. Raises IdempotencyKeyReused for another content,
    AnswerNoLongerKept, and asyncpg.SerializationError when the key was forgotten at this very moment.
    """
    used_on = None if lasting else today
    if await connection.fetchval(statements["claim"], caller, key, content_hash, UNANSWERED, used_on) is not None:
        return None
    known = await answered(connection, caller, key, content_hash, today)
    if known is None:
        # Not claimed and not known: whoever went on now would leave no trace of the key.
        raise asyncpg.SerializationError("the key was forgotten meanwhile")
    return known


async def answered(
    connection: Connection, caller: str, key: str, content_hash: str, today: date | None = None
) -> Answered | None:
    """Return what a caller was answered for a key and content, or None; with `today` that counts as a use.

    Raises IdempotencyKeyReused, AnswerNoLongerKept.
    """
    known = await connection.fetchrow(statements["known"], caller, key)
    if known is None:
        return None
    if known["content_hash"].hex() != content_hash:
        raise IdempotencyKeyReused
    if known["emptied"]:
        raise AnswerNoLongerKept(answered_status=known["status"], ids=msgspec.json.decode(known["answer"]))
    if today is not None and known["used_on"] is not None and known["used_on"] < today:
        await connection.execute(statements["used"], caller, key, today)
    return Answered(known["status"], known["answer"].encode())


async def answer(connection: Connection, caller: str, key: str, given: Answered) -> None:
    """Keep the answer of a request that this transaction claimed."""
    await connection.execute(statements["answer"], caller, key, given.body.decode(), given.status)
