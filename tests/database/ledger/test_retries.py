"""Idempotency of every kind of command: same key and content, same answer; other content, conflict."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from koinon.database import Connection
from koinon.ledger.model import AnyCommand
from koinon.ledger.operations import post, statements
from tests.kit.ledger import Coalition, books, hashed, statuses
from tests.kit.terms import TODAY

CLAIM = "INSERT INTO koinon.request (caller, key, content_hash, status) VALUES ($1, $2, decode($3, 'hex'), 201)"
Make = Callable[[Connection, Coalition, int], Awaitable[AnyCommand]]
TOMORROW = TODAY + timedelta(days=1)


async def an_earn(connection: Connection, kit: Coalition, account: int) -> AnyCommand:
    """Return an earn."""
    return kit.earn(account, 10)


async def a_hold(connection: Connection, kit: Coalition, account: int) -> AnyCommand:
    """Return a hold with a pay code, which would be refused if its proof were looked at again."""
    return kit.hold(account, 10, proof_kind="pay_code", proof_ref="code")


async def a_capture(connection: Connection, kit: Coalition, account: int) -> AnyCommand:
    """Return a capture, which would be refused if its hold were looked at again."""
    return kit.capture(account, await kit.one(connection, kit.hold(account, 10)))


async def a_release(connection: Connection, kit: Coalition, account: int) -> AnyCommand:
    """Return a release."""
    return kit.release(account, await kit.one(connection, kit.hold(account, 10)))


async def a_reversed_earn(connection: Connection, kit: Coalition, account: int) -> AnyCommand:
    """Return the reversal of an earn."""
    return kit.reverse_earn(account, await kit.one(connection, kit.earn(account, 10)))


async def a_reversed_burn(connection: Connection, kit: Coalition, account: int) -> AnyCommand:
    """Return the reversal of a capture."""
    return kit.reverse_burn(account, await kit.one(connection, await a_capture(connection, kit, account)))


async def an_expiry(connection: Connection, kit: Coalition, account: int) -> AnyCommand:
    """Return an expiry."""
    return kit.expire(account, TOMORROW)


KINDS = [
    pytest.param(make, id=make.__name__.partition("_")[2])
    for make in (an_earn, a_hold, a_capture, a_release, a_reversed_earn, a_reversed_burn, an_expiry)
]


@pytest.mark.parametrize("make", KINDS)
async def test_a_replay(connection: Connection, coalition: Coalition, account: int, make: Make) -> None:
    """Whatever the command, asking again gives the identical answer, after other business too, and writes nothing."""
    await coalition.one(connection, coalition.earn(account, 100, TOMORROW))
    command = await make(connection, coalition, account)
    first, at_once = await coalition.post(connection, command, command)
    await coalition.one(connection, coalition.earn(account, 1, TOMORROW))
    before = await books(connection)

    (later,) = await coalition.post(connection, command)

    assert (first.status, at_once.status, later.status) == ("posted", "replayed", "replayed")
    assert first.answer == at_once.answer == later.answer
    assert await books(connection) == before


@pytest.mark.parametrize("make", KINDS)
async def test_another_content(connection: Connection, coalition: Coalition, account: int, make: Make) -> None:
    """Whatever the command, its key for another content is a conflict, for another member too; nothing is written."""
    other = await coalition.account(connection)
    for to in (account, other):
        await coalition.one(connection, coalition.earn(to, 100, TOMORROW))
    command = await make(connection, coalition, account)
    await coalition.one(connection, command)
    before = await books(connection)

    outcomes = await coalition.post(
        connection,
        hashed(msgspec.structs.replace(command, account_id=other)),
        hashed(msgspec.structs.replace(command, reason="another")),
        coalition.earn(account, 5, key=command.key, caller=command.caller),
        coalition.hold(account, 5, key=command.key, caller=command.caller),
    )

    assert [(outcome.status, outcome.answer) for outcome in outcomes] == [
        ("conflict", {"code": "idempotency-key-reused"})
    ] * 4
    assert await books(connection) == before


async def test_a_refusal_leaves_no_key(connection: Connection, coalition: Coalition, account: int) -> None:
    """What was refused may be asked again under the same key, once it can be done."""
    hold = coalition.hold(account, 10)
    assert statuses(await coalition.post(connection, hold)) == ["insufficient-balance"]

    outcomes = await coalition.post(connection, coalition.earn(account, 10), hold)

    assert statuses(outcomes) == ["posted", "posted"]


@pytest.mark.parametrize("make", [an_earn, a_hold])
async def test_a_key_that_a_write_has_claimed(
    connection: Connection, coalition: Coalition, account: int, make: Make
) -> None:
    """A command under the very key that its own transaction claimed fails aloud: it must not pass for posted."""
    await coalition.one(connection, coalition.earn(account, 100))
    command = await make(connection, coalition, account)
    before = await books(connection)

    async def claim_and_post() -> list[Any]:
        async with connection.transaction():
            await connection.execute(
                CLAIM,
                command.caller,
                command.key,
                command.content_hash,
            )
            return await post(connection, coalition.programme_id, [command])

    with pytest.raises(asyncpg.InvalidParameterValueError, match="was claimed by the write"):
        await claim_and_post()
    assert await books(connection) == before


async def test_stricter_isolation_is_refused(connection: Connection, coalition: Coalition, account: int) -> None:
    """Under REPEATABLE READ and above the window could be read too early: the function refuses and posts nothing."""
    before = await books(connection)

    for isolation in ("repeatable_read", "serializable"):
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED"):
            async with connection.transaction(isolation=isolation):
                await post(connection, coalition.programme_id, [coalition.earn(account, 10)])

    assert await books(connection) == before


async def test_a_programme_without_an_open_window(connection: Connection, coalition: Coalition, account: int) -> None:
    """Nothing is posted where no window is open."""
    with pytest.raises(asyncpg.NoDataFoundError, match="has no open window"):
        await connection.fetch(statements["post"], 5, "[]")
