"""The request row of a write: claimed before the write, answered with it, and read again by a retry."""

import msgspec

from koinon.database import Connection, beside
from koinon.problems import IdempotencyKeyReused

statements = beside(__file__)

UNANSWERED = 0


class Answered(msgspec.Struct, frozen=True):
    """What a request was answered: the status and the JSON body."""

    status: int
    body: bytes


async def claim(connection: Connection, caller: str, key: str, content_hash: str) -> Answered | None:
    """Claim a caller's key in the caller's transaction, or return what it was answered for this content before.

    Waits for another transaction that claimed the key meanwhile. Raises IdempotencyKeyReused for another content.
    """
    if await connection.fetchval(statements["claim"], caller, key, content_hash, UNANSWERED) is not None:
        return None
    return await answered(connection, caller, key, content_hash)


async def answered(connection: Connection, caller: str, key: str, content_hash: str) -> Answered | None:
    """Return what a caller was answered for a key and content, or None; raises IdempotencyKeyReused."""
    known = await connection.fetchrow(statements["known"], caller, key)
    if known is None:
        return None
    if known["content_hash"].hex() != content_hash:
        raise IdempotencyKeyReused
    return Answered(known["status"], known["answer"].encode())


async def answer(connection: Connection, caller: str, key: str, given: Answered) -> None:
    """Keep the answer of a request that this transaction claimed."""
    await connection.execute(statements["answer"], caller, key, given.body.decode(), given.status)
