"""What is carried over nights: written when it changed, read a row a cell, and the same when a run is made again."""

import json
from collections import Counter
from typing import Any

import asyncpg
import msgspec
import pytest

from koinon.database import pool, transaction
from settlement.books import read_books, statements
from settlement.calculation import carrying_cells
from settlement.model import Cell, Leg
from settlement.operations import calculate_run, locked_run, move_run
from settlement.states import RunState
from tests.database.settlement.test_nights import CONTRACTS, Days
from tests.kit.settlement import Coalition, nets, statement_bytes

NIGHTS = 30
BRANDS = tuple(CONTRACTS)


@pytest.fixture
async def league(bare: Coalition) -> Coalition:
    """Give three brands at part rates, after a first night in which each honoured every other's points."""
    for code, contract in CONTRACTS.items():
        await bare.brand(code, **contract)
    for issuer in BRANDS:
        for acceptor in BRANDS:
            await bare.earn(issuer, 1_000)
            await bare.burn(acceptor, 1_000)
    await quiet_night(bare)
    return bare


async def quiet_night(coalition: Coalition) -> None:
    """Close the day and calculate its run; bundles are another matter."""
    await coalition.close()
    await coalition.seal()
    window: int = await pool().fetchval("SELECT max(window_no) FROM ledger.settlement_window WHERE state = 'SEALED'")
    await calculate_run(coalition.programme_id, window)


async def lines_of(window: int) -> list[tuple[str, str]]:
    """Return the leg and partner of every line that was written for a window's run that stands."""
    rows = await pool().fetch(
        "SELECT l.leg, l.partner FROM settlement.line l JOIN settlement.run r USING (run_id)"
        " WHERE r.window_no = $1 AND r.state <> 'ABORTED' ORDER BY l.leg, l.partner, l.counterparty",
        window,
    )
    return [tuple(row) for row in rows]


async def rows_read(statement: str, *arguments: object) -> Counter[str]:
    """Return how many rows of each table a statement touches when it goes by the indexes."""
    async with transaction() as connection:
        for path in ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin", "material", "memoize"):
            await connection.execute(f"SET LOCAL enable_{path} = off")
        (plan,) = json.loads(
            await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + statements[statement], *arguments)
        )
    rows: Counter[str] = Counter()
    waiting = [plan["Plan"]]
    while waiting:
        node: dict[str, Any] = waiting.pop()
        waiting += node.get("Plans", [])
        if "Relation Name" in node:
            given = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            rows[node["Relation Name"]] += round(given * node["Actual Loops"])
    return rows


def columns(cells: list[Cell]) -> list[list[Any]]:
    """Return cells as the statement takes them."""
    names = ("leg", "partner", "version", "counterparty", "counterparty_version")
    return [[getattr(cell, name) for cell in cells] for name in names]


async def test_a_night_writes_and_reads_what_moved(league: Coalition) -> None:
    """Nights in which one brand issues write its two lines and no margin, and read a row a cell each time."""
    assert len([each for each in await lines_of(1) if each[0] == Leg.MARGIN]) == 9
    reads = []
    for night in range(2, NIGHTS + 2):
        await league.earn(BRANDS[0], 1)
        await quiet_night(league)

        assert await lines_of(night) == [("fee", BRANDS[0]), ("issue_funding", BRANDS[0])]
        books = await read_books(league.programme_id, night)
        cells = carrying_cells(books.contracts, books.positions)
        assert len(books.carried) == 3 * 4, "a fee, two fundings and a reimbursement a brand, and no margin"
        reads.append(await rows_read("carried", league.programme_id, night, *columns(cells)))

    assert reads == [{"line": 12, "run": 12}] * NIGHTS, "each cell's newest line, and the run that it is of"
    for brand in BRANDS:
        shown = msgspec.json.decode((await statement_bytes(NIGHTS + 1))[brand])["lines"]
        assert [line["leg"] for line in shown] == ["fee", "honour_funding", "issue_funding", "reimbursement"]
    allowed = await pool().fetch("SELECT DISTINCT pool_allowed, part_rate_margins FROM settlement.run")
    assert [tuple(row) for row in allowed] == [("15/2", 8)], "7 cells of brands and 8 margins are rounded every night"


async def test_the_pool_is_held_against_lots_and_what_moved_since(league: Coalition, database_url: str) -> None:
    """Of all movements, only those of accounts that moved after the window are read, however many nights went by."""
    for _ in range(8):
        await league.account()
        for _ in range(3):
            await league.earn(BRANDS[0], 10)
        await quiet_night(league)
    await league.close()
    await league.earn(BRANDS[1], 5)
    await league.seal()
    owner = await asyncpg.connect(database_url)
    await owner.execute("ANALYZE")
    await owner.close()

    rows = await rows_read("outstanding", league.programme_id, 10)

    assert await pool().fetchval("SELECT count(*) FROM ledger.movement") > 40
    assert rows["movement"] == 4, "three of the account's earlier nights, and the one since"
    # A few pages of lots are read whole or by the index of those that hold any, as the planner likes.
    every_lot, unspent = await pool().fetchrow("SELECT count(*), count(*) FILTER (WHERE remaining > 0) FROM ledger.lot")
    assert rows["lot"] in {every_lot, unspent}
    assert await calculate_run(league.programme_id, 10)
    assert await pool().fetchval("SELECT outstanding_points FROM settlement.run WHERE window_no = 10") == 240


async def test_a_margin_that_moves_again_goes_on(league: Coalition) -> None:
    """After nights of rest a margin's line starts from its last one, and those that rest go on counting."""
    await league.earn(BRANDS[0], 7)
    await quiet_night(league)
    await league.burn(BRANDS[1], 7)
    await quiet_night(league)

    (line,) = await pool().fetch("SELECT * FROM settlement.line WHERE leg = 'margin' AND window_no = 3")
    (first,) = await pool().fetch(
        "SELECT * FROM settlement.line WHERE leg = 'margin' AND window_no = 1 AND (partner, counterparty) = ($1, $2)",
        BRANDS[0], BRANDS[1],
    )  # fmt: skip
    assert (line["partner"], line["counterparty"]) == (BRANDS[0], BRANDS[1])
    assert (line["points_before"], line["billed_before"]) == (first["points"], first["amount"])
    assert await pool().fetchval("SELECT part_rate_margins FROM settlement.run WHERE window_no = 3") == 8


async def test_a_margin_that_was_undone_counts_no_more(bare: Coalition) -> None:
    """A margin whose points were all reversed carries nothing, and the pool's tolerance counts it no more."""
    for code in BRANDS[:2]:
        await bare.brand(code, **CONTRACTS[code])
    await bare.earn(BRANDS[0], 101)
    burnt = await bare.burn(BRANDS[1], 101)
    await quiet_night(bare)
    await bare.reverse_burn(BRANDS[1], burnt)
    await quiet_night(bare)
    await quiet_night(bare)
    await bare.burn(BRANDS[1], 1)
    await quiet_night(bare)

    runs = await pool().fetch("SELECT part_rate_margins, pool_allowed FROM settlement.run ORDER BY window_no")
    # Half a unit each for the first brand's funding and the second's reimbursement, and for the margin while it moves.
    assert [tuple(run) for run in runs] == [(1, "3/2"), (0, "3/2"), (0, "1/2"), (1, "3/2")]
    lines = await pool().fetch(
        "SELECT points_before, points FROM settlement.line WHERE leg = 'margin' ORDER BY window_no"
    )
    assert [tuple(line) for line in lines] == [(0, 101), (101, -101), (0, 1)]


async def given_up(window: int, state: RunState) -> None:
    """Give the run of a window up."""
    run_id = await pool().fetchval(
        "SELECT run_id FROM settlement.run WHERE window_no = $1 AND state NOT IN ('ABORTED', 'SUPERSEDED')", window
    )
    async with transaction() as connection:
        assert await locked_run(connection, run_id) is not None
        await move_run(connection, run_id, state, None)


async def said(window: int) -> tuple[dict[str, bytes], dict[str, int], list[asyncpg.Record]]:
    """Return what the standing run of a window says: statements, nets, lines."""
    run_id = await pool().fetchval(
        "SELECT run_id FROM settlement.run WHERE window_no = $1 AND state NOT IN ('ABORTED', 'SUPERSEDED')", window
    )
    contents = await pool().fetch("SELECT partner_id, content FROM settlement.statement WHERE run_id = $1", run_id)
    net = await pool().fetch("SELECT party, receives - pays AS net FROM settlement.net WHERE run_id = $1", run_id)
    lines = await pool().fetch(
        "SELECT leg, partner, version, counterparty, counterparty_version, debtor, creditor, rate, points_before,"
        " billed_before, points, amount FROM settlement.line WHERE run_id = $1 ORDER BY 1, 2, 3, 4, 5", run_id,
    )  # fmt: skip
    return (
        {row["partner_id"]: row["content"] for row in contents},
        {row["party"]: row["net"] for row in net},
        lines,
    )


@pytest.mark.parametrize("state", [RunState.ABORTED, RunState.SUPERSEDED])
async def test_a_run_made_again_is_the_same_bytes(bare: Coalition, state: RunState) -> None:
    """Any window's run, given up and made again after later nights, says the same: these are no part of it."""
    for code, contract in CONTRACTS.items():
        await bare.brand(code, **contract)
    days = Days(bare, 11)
    for _ in range(5):
        await days.live()
        await quiet_night(bare)

    for window in (5, 3, 1):
        before = await said(window)
        figures = await figures_of(window)
        await given_up(window, state)
        await calculate_run(bare.programme_id, window)

        assert await said(window) == before
        assert await figures_of(window) == figures | {"version": figures["version"] + 1}
    # The next night goes on from the runs that stand.
    await days.live()
    await quiet_night(bare)
    assert await pool().fetchval(
        "SELECT count(*) FROM settlement.run WHERE state NOT IN ('ABORTED', 'SUPERSEDED')"
    ) == 6  # fmt: skip
    assert sum((await nets(6)).values()) == 0


async def figures_of(window: int) -> dict[str, Any]:
    """Return the figures of a window's standing run."""
    row = await pool().fetchrow(
        "SELECT version, currency, pool_before, pool_balance, pool_worth, pool_apart, pool_allowed, outstanding_points,"
        " part_rate_margins, explanation FROM settlement.run"
        " WHERE window_no = $1 AND state NOT IN ('ABORTED', 'SUPERSEDED')",
        window,
    )
    return dict(row)
