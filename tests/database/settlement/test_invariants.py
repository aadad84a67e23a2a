"""What runs recorded agrees with itself after many nights, and each of settlement's invariants is seen to break."""

import asyncpg
import pytest

import settlement
from koinon.database import beside
from koinon.ledger import invariants
from tests.database.settlement.test_carried import quiet_night
from tests.database.settlement.test_nights import CONTRACTS, Days
from tests.kit.settlement import Coalition

STATEMENTS = beside(settlement.__file__, "invariants.sql")

BREAKS = [
    ("i6_zero", "UPDATE settlement.net SET pays = pays + 1 WHERE party = 'operator'"),
    ("i6_zero", "DELETE FROM settlement.net WHERE party = 'split'"),
    ("i6_zero", "UPDATE settlement.line SET creditor = 'operator' WHERE leg = 'margin'"),
    ("i6_carried", "UPDATE settlement.line SET points_before = points_before + 1 WHERE window_no = 3"),
    ("i6_carried", "UPDATE settlement.line SET amount = amount + 1 WHERE window_no = 1"),
    ("i6_carried", "DELETE FROM settlement.line WHERE window_no = 2 AND leg = 'fee'"),
    ("i6_pool", "UPDATE settlement.run SET pool_before = pool_before + 1 WHERE window_no = 2"),
    ("i6_pool", "UPDATE settlement.run SET pool_balance = pool_balance + 1 WHERE window_no = 1"),
    ("i6_pool", "DELETE FROM settlement.net WHERE party = 'pool'"),
]


@pytest.fixture
async def league(bare: Coalition) -> Coalition:
    """Give three nights of any business."""
    for code, contract in CONTRACTS.items():
        await bare.brand(code, **contract)
    days = Days(bare, 5)
    for _ in range(3):
        await days.live()
        await quiet_night(bare)
    return bare


async def test_all_hold(league: Coalition, database: asyncpg.Pool) -> None:
    """After nights of any business nothing is found, over all programmes or over one."""
    async with database.acquire() as connection:
        assert await invariants.check(connection, None, STATEMENTS) == []
        assert await invariants.check(connection, [league.programme_id], STATEMENTS) == []
        assert await invariants.check(connection) == []


@pytest.mark.parametrize(
    ("name", "change"), [pytest.param(*each, id=f"{each[0]}-{i}") for i, each in enumerate(BREAKS)]
)
async def test_each_is_seen_to_break(league: Coalition, database_url: str, name: str, change: str) -> None:
    """Whoever changes what a run recorded is found, under the name of what it breaks, and in that programme alone."""
    owner = await asyncpg.connect(database_url)
    await owner.execute(change)

    found = await invariants.check(owner, None, STATEMENTS)

    assert name in {finding.partition(":")[0] for finding in found}
    assert sorted(await invariants.check(owner, [league.programme_id], STATEMENTS)) == sorted(found)
    assert await invariants.check(owner, [league.programme_id + 1], STATEMENTS) == []
    await owner.close()


def test_every_invariant_has_its_break() -> None:
    """No check stands without a test that it can fail."""
    assert {name for name, _ in BREAKS} == set(STATEMENTS)
