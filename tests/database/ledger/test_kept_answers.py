"""Retries of what was posted long ago: answered as long as the key is known, and never posted again after that."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from koinon.clock import machine_now
from koinon.database import Connection, transaction
from koinon.idempotency.operations import Answered, answer, claim
from koinon.idempotency.retention import empty_bodies, forget_requests
from koinon.ledger import invariants
from koinon.ledger.model import AnyCommand
from tests.database.ledger.test_invariants import business
from tests.kit.league import RUNTIME
from tests.kit.ledger import Coalition, books, statuses, wallet

REQUEST_OF = """
DELETE FROM koinon.request WHERE answer ->> 'journal_id' =
    (SELECT journal_id::text FROM ledger.journal WHERE account_id = $1 AND kind = 'expire')
"""


@pytest.fixture
async def connection(database: asyncpg.Pool) -> AsyncIterator[Connection]:
    """Give a connection to a database of the test's own: what is forgotten there is forgotten for all."""
    async with database.acquire() as taken:
        yield taken


@pytest.fixture
async def owner(database: asyncpg.Pool, database_url: str) -> AsyncIterator[Connection]:
    """Give a connection that may do what no application may."""
    made = await asyncpg.connect(database_url)
    yield made
    await made.close()


async def later(days: int) -> None:
    """Let the worker do all that is due after days."""
    now = machine_now() + timedelta(days=days)
    while await empty_bodies(RUNTIME, now) or await forget_requests(RUNTIME, now):
        pass


async def test_a_posting_is_answered_for_four_hundred_days(
    connection: Connection, coalition: Coalition, account: int
) -> None:
    """Ids and figures are all that it holds, so nothing of it is emptied: on day 399 it is replayed, word for word."""
    earn = coalition.earn(account, 100)
    first = await coalition.one(connection, earn)
    hold = coalition.hold(account, 40)
    held = await coalition.one(connection, hold)
    before = await books(connection)

    for days in (31, 399):
        await later(days)
        again = await coalition.post(connection, earn, hold)
        assert [(each.status, each.answer) for each in again] == [("replayed", first.answer), ("replayed", held.answer)]
    assert await books(connection) == before


async def test_a_key_whose_answer_was_emptied(connection: Connection, coalition: Coalition, account: int) -> None:
    """A posting under the key of another write is a conflict, when that one's answer is gone too."""
    await coalition.one(connection, coalition.earn(account, 100))
    key: dict[str, Any] = {"key": "k", "caller": coalition.caller}
    async with transaction() as own:
        assert await claim(own, coalition.caller, "k", "00", machine_now().date()) is None
        await answer(own, coalition.caller, "k", Answered(201, b'{"name":"High Street"}'))
    await later(31)
    before = await books(connection)

    for command in (coalition.earn(account, 5, **key), coalition.hold(account, 5, **key)):
        assert statuses(await coalition.post(connection, command)) == ["idempotency-key-reused"]

    assert await books(connection) == before


async def test_a_forgotten_end_is_not_done_again(connection: Connection, coalition: Coalition, account: int) -> None:
    """When the keys are gone the books refuse: what was captured, released, reversed or expired is so once."""
    earned = await coalition.one(connection, coalition.earn(account, 100))
    lost = await coalition.one(connection, coalition.earn(account, 9))
    first, second = [await coalition.one(connection, coalition.hold(account, points)) for points in (30, 20)]
    ends: list[AnyCommand] = [
        coalition.capture(account, first),
        coalition.release(account, second),
        coalition.reverse_earn(account, lost),
    ]
    captured, *_ = [await coalition.one(connection, each) for each in ends]
    ends.append(coalition.reverse_burn(account, captured))
    await coalition.one(connection, ends[-1])
    await later(401)
    assert await connection.fetchval("SELECT count(*) FROM koinon.request") == 0
    before = await books(connection)

    assert statuses(await coalition.post(connection, *ends)) == [
        "redemption-not-open",
        "redemption-not-open",
        "already-reversed",
        "already-reversed",
    ]
    assert await books(connection) == before
    assert await wallet(connection, account, coalition.unit_id) == (100, 0)
    assert earned.answer["points"] == 100


async def test_invariants_know_what_was_forgotten(
    connection: Connection, owner: Connection, coalition: Coalition
) -> None:
    """Journals older than requests are kept need none; one that is younger, or has two, is found."""
    account = await business(coalition, connection)
    await later(399)
    assert await invariants.check(connection) == []
    await later(401)
    assert await connection.fetchval("SELECT count(*) FROM koinon.request") == 0
    assert await invariants.check(connection) == []
    assert await invariants.check(connection, [account]) == []

    # What was recorded after that instant must have its request: an hour later a missing one is a break again.
    kept_since = await connection.fetchval("SELECT kept_since FROM koinon.kept_requests")
    for apart, found in ((timedelta(minutes=59), 0), (timedelta(minutes=61), 1)):
        await owner.execute(
            "UPDATE ledger.journal SET recorded_at = $2 WHERE account_id = $1 AND kind = 'expire'",
            account,
            kept_since + apart,
        )
        breaks = await invariants.check(connection, [account])
        assert [each.partition(":")[0] for each in breaks] == ["i8_answers"] * found


async def test_an_old_journal_has_one_request_at_most(
    connection: Connection, owner: Connection, coalition: Coalition
) -> None:
    """That some requests are gone excuses no second one."""
    account = await business(coalition, connection)
    await owner.execute("INSERT INTO koinon.forgetting (kept_since) VALUES (clock_timestamp() + interval '1 day')")
    assert await invariants.check(connection) == []
    await owner.execute(
        "INSERT INTO koinon.request SELECT caller, key || 'again', content_hash, status, answer FROM koinon.request"
        " WHERE answer ->> 'journal_id' = (SELECT journal_id::text FROM ledger.journal"
        " WHERE account_id = $1 AND kind = 'expire')",
        account,
    )

    assert [each.partition(":")[0] for each in await invariants.check(connection)] == ["i8_answers"]


async def test_a_missing_request_of_today(connection: Connection, owner: Connection, coalition: Coalition) -> None:
    """Requests that went by their age hide none that went otherwise."""
    account = await business(coalition, connection)
    await owner.execute("INSERT INTO koinon.forgetting (kept_since) VALUES (clock_timestamp() - interval '2 hours')")
    assert await invariants.check(connection) == []

    await owner.execute(REQUEST_OF, account)

    assert [each.partition(":")[0] for each in await invariants.check(connection)] == ["i8_answers"]
