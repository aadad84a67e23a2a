"""What a closed window left outstanding is the same figure whenever it is asked, with writers at work or at rest."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from koinon.database import Connection
from koinon.ledger.model import Capture
from koinon.ledger.operations import close_flipped_windows, flip_window
from settlement.books import statements
from tests.kit.ledger import Coalition
from tests.kit.terms import NOW, TODAY

Open = Callable[[], Awaitable[Connection]]
Figures = dict[tuple[str, int], int]

WRITERS = 8
WINDOWS = 4

# By the movements alone, all of them: another way to the same points, at rest.
TRUTH = """
SELECT p.code, m.issuer_version, sum(m.amount * (
    CASE WHEN m.credit_kind IN ('wallet', 'held') THEN 1 ELSE 0 END
    - CASE WHEN m.debit_kind IN ('wallet', 'held') THEN 1 ELSE 0 END))::bigint AS points
FROM ledger.movement m JOIN parties.partner p ON p.partner_id = m.issuer_id
WHERE m.window_no <= $1 GROUP BY p.code, m.issuer_version
"""


async def outstanding(connection: Connection, kit: Coalition, window: int) -> Figures:
    """Return the outstanding points by issuer and version at a window's end, as a run reads them."""
    rows = await connection.fetch(statements["outstanding"], kit.programme_id, window)
    return {(row["partner"], row["version"]): row["points"] for row in rows}


class Town:
    """Writers that earn, hold, capture, release and undo, each on an account of its own, until they are stopped."""

    def __init__(self, kit: Coalition, session: Open) -> None:
        self.kit, self.session = kit, session
        self.stop = asyncio.Event()
        self.posted = 0

    async def write(self, seed: int) -> None:
        """Post one thing after another; a transaction in six waits before it commits."""
        dice, connection, kit = random.Random(seed), await self.session(), self.kit  # noqa: S311  # a load is no secret
        account = await kit.account(connection)
        issuers = [(kit.grocer, 1), (kit.fuel, 2)]
        while not self.stop.is_set():
            partner, version = dice.choice(issuers)
            async with connection.transaction():
                rows = await self._deed(connection, account, dice, partner, version)
                if dice.random() < 1 / 6:
                    await asyncio.sleep(dice.random() * 0.03)
            self.posted += rows

    async def _deed(self, connection: Connection, account: int, dice: random.Random, partner: int, version: int) -> int:
        kit = self.kit
        earned = await kit.post(connection, kit.earn(account, dice.randint(1, 50), partner_id=partner, version=version))
        held = await kit.one(connection, kit.hold(account, dice.randint(1, earned[0].answer["balance"])))
        end = kit.capture(account, held) if dice.random() < 0.7 else kit.release(account, held)
        ended = await kit.one(connection, end)
        if isinstance(end, Capture) and dice.random() < 0.3:
            await kit.one(connection, kit.reverse_burn(account, ended))
        return 3


async def test_a_closed_window_is_read_alike_under_writers(coalition: Coalition, session: Open) -> None:
    """Read again and again while 8 writers post into later windows, no figure of a closed window ever differs."""
    observer, closer = await session(), await session()
    town = Town(coalition, session)
    writers = [asyncio.create_task(town.write(seed)) for seed in range(WRITERS)]
    seen: dict[int, list[Figures]] = {}
    for day in range(1, WINDOWS + 1):
        before = town.posted
        while town.posted < before + 5 * WRITERS:  # noqa: ASYNC110  # eight writers have no event in common
            await asyncio.sleep(0.005)
        await flip_window(coalition.programme_id, TODAY + timedelta(days=day), NOW)
        for closed in await close_flipped_windows(coalition.programme_id, NOW):
            seen[closed] = []
        for window in seen:
            seen[window] += [await outstanding(each, coalition, window) for each in (observer, closer) * 4]
    town.stop.set()
    await asyncio.gather(*writers)

    reads = 0
    for window, figures in seen.items():
        truth = {(row["code"], row["issuer_version"]): row["points"] for row in await observer.fetch(TRUTH, window)}
        assert truth == await outstanding(observer, coalition, window)
        assert figures == [truth] * len(figures)
        reads += len(figures)
    print(f"{reads} reads of {len(seen)} windows under {town.posted} postings")
    assert len({tuple(sorted(figures[0].items())) for figures in seen.values()}) == WINDOWS


async def test_two_snapshots_are_seen(coalition: Coalition, session: Open) -> None:
    """Lots in one statement and movements in another are wrong by whatever was posted between: one is needed."""
    kit, observer, writer = coalition, await session(), await session()
    account = await kit.account(writer)
    await kit.post(writer, kit.earn(account, 100))
    await flip_window(kit.programme_id, TODAY + timedelta(days=1), NOW)
    await close_flipped_windows(kit.programme_id, NOW)
    lots = await observer.fetchval("SELECT sum(remaining) FROM ledger.lot")
    await kit.post(writer, kit.earn(account, 30))
    moved = await observer.fetchval("SELECT sum(amount) FROM ledger.movement WHERE window_no > 1")

    assert lots - moved == 70
    assert await outstanding(observer, kit, 1) == {("grocer", 1): 100}
    assert await outstanding(observer, kit, 2) == {("grocer", 1): 130}


@pytest.mark.parametrize("late", [1, 2])
async def test_a_wallet_never_forgets_a_later_window(coalition: Coalition, session: Open, late: int) -> None:
    """Who read the old window and waited for one who read the new leaves the wallet's mark at the new one."""
    kit, slow, fast, observer = coalition, await session(), await session(), await session()
    account = await kit.account(slow)
    waiting = fast.transaction()
    await waiting.start()
    await fast.execute("SELECT FROM ledger.wallet WHERE account_id = $1 FOR UPDATE", account)
    # Stamped with window 1, and then it waits.
    posting = [asyncio.create_task(kit.post(slow, *(kit.earn(account, 5) for _ in range(late))))]
    while not await observer.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110  # the database knows
        await asyncio.sleep(0.005)
    await flip_window(kit.programme_id, TODAY + timedelta(days=1), NOW)
    await kit.post(fast, kit.earn(account, 7))  # stamped with window 2, while it holds the wallet
    await waiting.commit()
    await asyncio.gather(*posting)
    await close_flipped_windows(kit.programme_id, NOW)

    assert await observer.fetchval("SELECT window_no FROM ledger.wallet WHERE account_id = $1", account) == 2
    assert await outstanding(observer, kit, 1) == {("grocer", 1): 5 * late}
