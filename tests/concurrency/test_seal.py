"""The seal's look at unlogged journals: a window that closes meanwhile is sealed when all of it has leaves."""

import asyncio
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest

from koinon import keyring
from koinon.audit.sequencer import sequence
from koinon.database import transaction
from koinon.ledger.operations import Ledger, close_flipped_windows, flip_window, post
from koinon.runtime import Runtime
from koinon.settings import Settings
from tests.concurrency.conftest import Open
from tests.concurrency.lockstep import aside, holding, passes, waits_for
from tests.kit.ledger import Coalition
from tests.kit.terms import NOW, TODAY

BARRIER = "SELECT barrier_xid IS NOT NULL FROM ledger.settlement_window WHERE window_no = 1"
STATE = "SELECT state FROM ledger.settlement_window WHERE window_no = 1"
SUBMISSIONS = "LOCK TABLE audit.submission"


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Give a runtime with keys of its own."""
    settings = Settings(folder=tmp_path)
    keyring.create(settings.keys_folder)
    return Runtime(settings, keyring.load(settings.keys_folder), [Ledger()])


async def test_a_journal_that_comes_after_the_look_is_waited_for(
    database: asyncpg.Pool, database_url: str, coalition: Coalition, session: Open, runtime: Runtime
) -> None:
    """The sequencer saw no journal without a leaf, then the window's last writer commits and the window is closed.

    The sequencer, stopped between the two looks at what was handed in to the log, must look again and leave the seal.
    """
    kit, writer, owner = coalition, await session(), await asyncpg.connect(database_url)
    late = writer.transaction()
    await late.start()
    await post(writer, kit.programme_id, [kit.earn(await kit.account(writer), 70)])
    assert await flip_window(kit.programme_id, TODAY + timedelta(days=1), NOW) == 1
    closing = aside(close_flipped_windows(kit.programme_id, NOW))
    while not await database.fetchval(BARRIER):  # noqa: ASYNC110  # the database has no event for it
        await asyncio.sleep(0)

    async with holding(owner, SUBMISSIONS):
        sequencing = aside(sequence(runtime))
        await waits_for(owner, sequencing, database)
        await late.commit()
        assert await closing == [1]
    assert not await sequencing
    await owner.close()

    assert await database.fetchval(STATE) == "CLOSED"
    assert await database.fetchval("SELECT count(*) FROM audit.seal") == 0
    while await sequence(runtime):
        pass
    assert await database.fetchval(STATE) == "SEALED"
    seal = msgspec.json.decode(
        await database.fetchval("SELECT content FROM audit.seal WHERE partner_id = $1", kit.grocer)
    )
    assert (seal["counter"], seal["issued"], seal["outstanding"]) == ("1", "70", "70")


async def test_a_second_sequencer_leaves_the_log_to_the_first(
    database: asyncpg.Pool, coalition: Coalition, runtime: Runtime
) -> None:
    """One process appends at a time; another finds nothing to do and does not stand in line."""
    kit = coalition
    async with transaction() as connection:
        await post(connection, kit.programme_id, [kit.earn(await kit.account(connection), 70)])

    async with transaction() as connection:
        assert await sequence(runtime)
        assert not await passes(connection, aside(sequence(runtime)), database)

    assert await database.fetchval("SELECT size FROM audit.log WHERE log_id = $1", kit.programme_id) == 1
    assert not await sequence(runtime)
