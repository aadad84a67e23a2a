"""What the worker does for the ledger, at the first instant at which it is due and not before."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from koinon.database import transaction
from koinon.ledger import jobs
from koinon.ledger.jobs import close_due_windows, expire_due_lots, release_due_holds
from koinon.ledger.operations import post_now
from tests.kit.league import RUNTIME
from tests.kit.ledger import Coalition, lots, wallet
from tests.kit.terms import TODAY

MIDNIGHT = datetime(2026, 3, 2, 22, 0, tzinfo=UTC)
"""When 3 March begins in Helsinki."""
INSTANT = timedelta(microseconds=1)


@pytest.fixture
async def kit(database: asyncpg.Pool) -> Coalition:
    """Give a programme of Helsinki in the process's pool's database."""
    async with database.acquire() as connection:
        made = await Coalition().found(connection)
    await database.execute("UPDATE parties.programme SET time_zone = 'Europe/Helsinki'")
    return made


async def at(database: asyncpg.Pool, moment: datetime) -> None:
    """Set the programme's clock."""
    await database.execute("UPDATE parties.programme SET clock_at = $1", moment)


async def account_of(kit: Coalition) -> int:
    """Open an account."""
    async with transaction() as connection:
        return await kit.account(connection)


async def test_lots_expire_when_their_day_begins(database: asyncpg.Pool, kit: Coalition) -> None:
    """On the programme's own midnight what is due goes, and nothing else; asked again there is nothing to do."""
    account = await account_of(kit)
    tomorrow = TODAY + timedelta(days=1)
    due, later = kit.earn(account, 10, tomorrow), kit.earn(account, 20, tomorrow + timedelta(days=1))
    await post_now(kit.programme_id, [due, later])

    await at(database, MIDNIGHT - INSTANT)
    assert not await expire_due_lots(RUNTIME)
    assert await wallet(database, account, kit.unit_id) == (30, 0)
    await at(database, MIDNIGHT)
    assert await expire_due_lots(RUNTIME)
    assert not await expire_due_lots(RUNTIME)

    assert await lots(database, account) == [(10, 0, 0), (20, 20, 0)]
    assert await wallet(database, account, kit.unit_id) == (20, 0)


async def test_what_is_given_back_into_a_due_lot_expires_too(database: asyncpg.Pool, kit: Coalition) -> None:
    """A hold keeps its points past the day; given back, they go on the same day, under a key of their own."""
    account = await account_of(kit)
    await post_now(kit.programme_id, [kit.earn(account, 10, TODAY + timedelta(days=1))])
    hold = kit.hold(account, 4, hold_expires_at=MIDNIGHT + INSTANT)
    await post_now(kit.programme_id, [hold])

    await at(database, MIDNIGHT)
    assert await expire_due_lots(RUNTIME)
    assert not await release_due_holds(RUNTIME)
    assert await lots(database, account) == [(10, 4, 4)]
    await at(database, MIDNIGHT + INSTANT)
    assert await release_due_holds(RUNTIME)
    assert await expire_due_lots(RUNTIME)

    assert await lots(database, account) == [(10, 0, 0)]
    assert await wallet(database, account, kit.unit_id) == (0, 0)


async def test_many_accounts_expire_slice_by_slice(
    database: asyncpg.Pool, kit: Coalition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No slice is larger than it may be, and all are done in the end."""
    monkeypatch.setattr(jobs, "SLICE", 2)
    accounts = [await account_of(kit) for _ in range(5)]
    await post_now(kit.programme_id, [kit.earn(each, 1, TODAY + timedelta(days=1)) for each in accounts])
    await at(database, MIDNIGHT)

    left = []
    while await expire_due_lots(RUNTIME):
        left.append(await database.fetchval("SELECT sum(available)::bigint FROM ledger.wallet"))

    assert left == [3, 1, 0]


async def test_a_window_closes_when_the_next_day_begins(database: asyncpg.Pool, kit: Coalition) -> None:
    """On the programme's own midnight the window of the day before closes, once."""
    windows = "SELECT window_no, business_date, state FROM ledger.settlement_window ORDER BY 1"
    await at(database, MIDNIGHT - INSTANT)
    assert not await close_due_windows(RUNTIME)
    await at(database, MIDNIGHT)
    assert await close_due_windows(RUNTIME)
    assert not await close_due_windows(RUNTIME)

    assert [tuple(row) for row in await database.fetch(windows)] == [
        (1, TODAY, "CLOSED"),
        (2, TODAY + timedelta(days=1), "OPEN"),
    ]
