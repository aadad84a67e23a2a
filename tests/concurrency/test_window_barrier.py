"""A closed window never grows: while writers post, sleep and commit, and windows are flipped and closed under them.

The two ways to get it wrong are kept as controls: each must show rows in a closed window, so the test can fail. They
are the posting function's own text with its first two statements in the other order, and both in one statement. The
pauses stand where a scheduler may stop any writer for any time.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from koinon.database import Connection
from koinon.ledger import invariants, operations
from koinon.ledger.model import encode
from koinon.ledger.operations import close_flipped_windows, flip_window, statements
from tests.kit.ledger import Coalition
from tests.kit.terms import NOW, TODAY

Open = Callable[[], Awaitable[Connection]]

WRITERS = 16
TAKE_ID = "    stamp.transaction_id := pg_current_xact_id();\n"
READ_WINDOW = re.compile(r"    SELECT w\.window_no INTO stamp\.window_no\n.*?;\n", re.DOTALL)
PAUSE = "    PERFORM control.pause();\n"
HEAD = re.compile(r"CREATE OR REPLACE FUNCTION ledger\.post\(.*?\n\$\$;\n", re.DOTALL)

# A writer stops here while the gate is shut, or for a random while; neither takes a transaction id.
CONTROL = """
CREATE SCHEMA control;
CREATE FUNCTION control.pause() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('control.pause_seconds', true) <> '' THEN
        PERFORM pg_sleep(random() * current_setting('control.pause_seconds')::float8);
    ELSE
        PERFORM pg_advisory_lock_shared(1);
        PERFORM pg_advisory_unlock_shared(1);
    END IF;
END
$$;
GRANT USAGE ON SCHEMA control TO koinon_app;
"""

SINGLE_STATEMENT = """
CREATE FUNCTION control.single_statement(p_programme bigint, p_commands jsonb)
RETURNS SETOF ledger.outcome LANGUAGE sql VOLATILE AS $$
    WITH paused AS MATERIALIZED (SELECT control.pause()), stamp AS MATERIALIZED (
        SELECT (w.programme_id, pg_current_xact_id(), w.window_no)::ledger.stamp AS stamp
        FROM paused, ledger.settlement_window w WHERE w.programme_id = p_programme AND w.state = 'OPEN'
    )
    SELECT posted.* FROM stamp, ledger.post_earns(stamp.stamp, ARRAY(
        SELECT c FROM jsonb_populate_recordset(NULL::ledger.command, p_commands) c)) posted
$$;
"""

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
GROWN = """
SELECT count(*) FROM ledger.journal j JOIN ledger.settlement_window w USING (programme_id, window_no)
WHERE j.programme_id = $1 AND w.state = 'CLOSED'
"""


def posting_text() -> str:
    """Return the text of the posting function."""
    text = Path(operations.__file__).with_name("functions.sql").read_text(encoding="utf-8")
    (found,) = HEAD.findall(text)
    return str(found)


def control_text(name: str, order: list[str]) -> str:
    """Return the posting function under another name, with its first two statements replaced by these."""
    text = posting_text()
    (read_window,) = READ_WINDOW.findall(text)
    assert TAKE_ID + read_window in text
    parts = {"id": TAKE_ID, "window": read_window, "pause": PAUSE}
    replaced = text.replace(TAKE_ID + read_window, "".join(parts[part] for part in order))
    return replaced.replace("FUNCTION ledger.post(", f"FUNCTION control.{name}(")


@pytest.fixture
async def controls(database_url: str) -> AsyncIterator[Connection]:
    """Make the controls, beside the posting function with pauses wherever it may be stopped; give their owner."""
    owner = await asyncpg.connect(database_url)
    await owner.execute(CONTROL)
    await owner.execute(control_text("in_order", ["pause", "id", "pause", "window", "pause"]))
    await owner.execute(control_text("reversed", ["window", "pause", "id"]))
    await owner.execute(SINGLE_STATEMENT)
    yield owner
    await owner.execute("DROP SCHEMA control CASCADE")
    await owner.close()


def call_of(function: str) -> str:
    """Return the statement that posts through a function."""
    return f"SELECT * FROM {function}($1::bigint, $2::jsonb)"  # noqa: S608  # names of ours


async def flip_and_close(kit: Coalition, day: int) -> list[int]:
    """Flip the open window to another day, close what was flipped, and return what was closed."""
    await flip_window(kit.programme_id, TODAY + timedelta(days=day), NOW)
    return await close_flipped_windows(kit.programme_id, NOW)


@asynccontextmanager
async def gate(owner: Connection) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Shut the gate for the block; it yields a function that waits until a writer stands before it."""
    await owner.execute("SELECT pg_advisory_lock(1)")

    async def reached() -> None:
        while not await owner.fetchval(WAITING):  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.005)

    try:
        yield reached
    finally:
        await owner.execute("SELECT pg_advisory_unlock(1)")


async def stopped_writer(kit: Coalition, session: Open, owner: Connection, function: str) -> list[int]:
    """Stop a writer at its pause, flip and close its window if that can be done, let it go; return what was closed."""
    writer = await session()
    account = await kit.account(writer)
    async with gate(owner) as reached:
        posting = asyncio.create_task(writer.fetch(call_of(function), kit.programme_id, encode([kit.earn(account, 1)])))
        await reached()
        closed = await flip_and_close(kit, 1)
    (row,) = await posting
    assert row["status"] == "posted"
    return closed


class Load:
    """WRITERS sessions post through a function while windows are closed one after another.

    `pause_seconds` is the longest pause at `control.pause`; one transaction in eight sleeps before it commits.
    """

    def __init__(self, kit: Coalition, session: Open, function: str, pause_seconds: float = 0) -> None:
        self._kit, self._session, self._statement = kit, session, call_of(function)
        self._pause_seconds = pause_seconds
        self._stop = asyncio.Event()
        self._counts: dict[int, int] = {}

    async def run(self, windows: int, *, until_grown: bool = False) -> list[int]:
        """Run for some windows, or until one has grown; return by how much each grew after its close."""
        observer = await self._session()
        closing = self._close(observer, windows, until_grown=until_grown)
        await asyncio.gather(closing, *map(self._write, range(WRITERS)))
        print(f"{len(self._counts)} windows closed under {sum(self._counts.values())} postings")
        assert until_grown or sum(self._counts.values()) > 0
        return await self._grown(observer)

    async def _write(self, seed: int) -> None:
        dice, connection = random.Random(seed), await self._session()  # noqa: S311  # a load is no secret
        account = await self._kit.account(connection)
        if self._pause_seconds:
            await connection.execute(f"SET control.pause_seconds = '{self._pause_seconds}'")
        while not self._stop.is_set():
            async with connection.transaction():
                earn = encode([self._kit.earn(account, 1)])
                await connection.fetch(self._statement, self._kit.programme_id, earn)
                if dice.random() < 1 / 8:
                    await asyncio.sleep(dice.random() * 0.05)

    async def _close(self, observer: Connection, windows: int, *, until_grown: bool) -> None:
        day = 0
        while len(self._counts) < windows:
            day += 1
            for window_no in await flip_and_close(self._kit, day):
                self._counts[window_no] = await counted(observer, self._kit, window_no)
            if until_grown and any(await self._grown(observer)):
                break
        self._stop.set()

    async def _grown(self, observer: Connection) -> list[int]:
        return [await counted(observer, self._kit, number) - count for number, count in self._counts.items()]


async def counted(connection: Connection, kit: Coalition, window_no: int) -> int:
    """Return the number of journals of a window."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM ledger.journal WHERE programme_id = $1 AND window_no = $2", kit.programme_id, window_no
    )
    return count


async def test_a_closed_window_never_grows(coalition: Coalition, session: Open) -> None:
    """Under 16 writers, some of which sleep before they commit, no row enters a window after its close."""
    grown = await Load(coalition, session, "ledger.post").run(windows=25)

    assert grown == [0] * len(grown)
    assert await invariants.check(await session()) == []


async def test_the_close_waits_for_a_writer(coalition: Coalition, session: Open) -> None:
    """A writer that has posted and not committed holds up the close, and the next writers not at all."""
    kit, writer, next_writer, observer = coalition, await session(), await session(), await session()
    account, other = await kit.account(writer), await kit.account(writer)
    late = writer.transaction()
    await late.start()
    (row,) = await writer.fetch(statements["post"], kit.programme_id, encode([kit.earn(account, 1)]))
    assert '"window_no": 1' in row["answer"]

    await flip_window(kit.programme_id, TODAY + timedelta(days=1), NOW)
    closing = asyncio.create_task(close_flipped_windows(kit.programme_id, NOW))
    barrier = None
    while barrier is None:
        barrier = await observer.fetchval(
            "SELECT barrier_xid::text FROM ledger.settlement_window WHERE programme_id = $1 AND window_no = 1",
            kit.programme_id,
        )
    (outcome,) = await kit.post(next_writer, kit.earn(other, 1))

    assert outcome.answer["window_no"] == 2
    assert not await observer.fetchval(statements["barrier_passed"], barrier)
    assert not closing.done()
    await late.commit()
    assert await closing == [1]
    assert await counted(observer, kit, 1) == 1
    assert await invariants.check(observer) == []


async def test_the_order_holds_wherever_a_writer_is_stopped(
    coalition: Coalition, session: Open, controls: Connection
) -> None:
    """Id first, window second: stopped before, between or after them for any time, 0 rows enter a closed window."""
    grown = await Load(coalition, session, "control.in_order", pause_seconds=0.05).run(windows=12)

    assert grown == [0] * len(grown)
    assert await invariants.check(await session()) == []


@pytest.mark.parametrize("function", ["control.reversed", "control.single_statement"])
async def test_the_wrong_order_is_seen(
    coalition: Coalition, session: Open, controls: Connection, function: str
) -> None:
    """Window first, or both in one statement: a writer stopped between them enters the window after its close."""
    closed = await stopped_writer(coalition, session, controls, function)

    assert closed == [1]
    assert await controls.fetchval(GROWN, coalition.programme_id) == 1
    (finding,) = await invariants.check(controls)
    assert finding.startswith("i7_barrier: ")
    assert finding.endswith("after its close")


@pytest.mark.parametrize("function", ["control.reversed", "control.single_statement"])
async def test_the_wrong_order_is_seen_under_load(
    coalition: Coalition, session: Open, controls: Connection, function: str
) -> None:
    """The same under 16 writers: windows grow after their close."""
    grown = await Load(coalition, session, function, pause_seconds=1).run(windows=1_000, until_grown=True)

    assert sum(grown) > 0
    assert {finding.partition(":")[0] for finding in await invariants.check(controls)} == {"i7_barrier"}
