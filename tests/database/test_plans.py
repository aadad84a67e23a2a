"""Nothing takes longer, the more there has been: on years of history statements find their rows by an index."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import msgspec
import pytest

from koinon.database.statements import read
from tests.conftest import Databases
from tests.database.history import ACTIVE, PARTNERS, fill
from tests.database.plans import FEW, Sizes, long_reads, planned, sizes
from tests.test_tidy_sql import STATEMENT_FILES

# What may be NULL for all is planned with what is asked for, each time: here are a slice of the auditor's accounts, as
# small a part of these as its 500 are of a large programme's, and a programme.
SOME_ACCOUNTS = (f"'{{{','.join(map(str, range(1_000, 1_050)))}}}'", "100")
ONE_PROGRAMME = ("'{1}'", "100")

# Statements that read many rows, by their folder and name, and why they may.
LONG = {
    "ledger.accounts_due": "reads what is unspent, in the order of accounts, every half minute: as long as there are"
    " points, and no longer with what was; an index by expiry would cost every earn an entry",
    "ledger.i7_calendar": "a calendar has no holes when all of it is looked at: a programme has one window a night",
    "ledger.i8_answers": "a request is keyed by its caller and names no account: an index of answers would cost every"
    " write an entry, for the auditor alone",
    "members.keys_under_older": "counts the keys of all members, when an operator has made a new master key",
    "offers.figures": "sums up all that a programme has come to, when an operator asks for it",
    "settlement.i6_carried": "sums up all lines of a programme, at the end of the auditor's round",
    "settlement.i6_pool": "sums up all runs of a programme, at the end of the auditor's round",
    "settlement.i6_zero": "sums up all runs of a programme, at the end of the auditor's round",
    "settlement.outstanding": "sums up all unspent points of a programme, once a night",
    "settlement.unsettled_windows": "looks at all windows of a programme, when an operator settles by hand",
}

# One call of each database function, on rows that there are: account 7 of programme 3 has ten open things, one under
# each of these numbers, with what belongs to them.
OPEN_THINGS = [7 + ACTIVE * number for number in range(10)]
PURCHASE = "lpad(to_hex({}), 32, '0')::uuid"
CALLS = {
    "koinon.forget_requests": "SELECT koinon.forget_requests('{x7}', '{x7}', 'infinity')",
    "ledger.post": "SELECT status FROM ledger.post(3, $1::jsonb)",
    "ledger.lock_wallets": "SELECT ledger.lock_wallets('{7}', '{3}')",
    "ledger.mark_logged": f"SELECT ledger.mark_logged('{{7}}', ARRAY[{PURCHASE.format(7)}], '{{1}}')",
    "ledger.flip_window": "SELECT ledger.flip_window(3, 'infinity', now())",
    "ledger.seal_window": "SELECT ledger.seal_window(3, 49999)",
    "offers.lock_lanes": "SELECT offers.lock_lanes('{7}')",
    "offers.take_messages": "SELECT offers.take_messages('{7}', '{7}', '{x7}', 10)",
    "offers.take_purchases": f"SELECT offers.take_purchases('{{7}}', ARRAY[{PURCHASE.format(7)}], 10)",
    "offers.take_budgets": "SELECT offers.take_budgets('{7}', 'infinity')",
    "offers.set_budget_shares": "SELECT offers.set_budget_shares($1::jsonb, false)",
    "offers.ended": "SELECT offers.ended(now(), '2020-01-01', '{}', 7, 'UTC') WHERE true",
}
# These read nothing: they say what was wrong, or cut a body to its ids.
SILENT = {"koinon.ids_of", "ledger.claimed", "ledger.lost_race", "ledger.refused"}
LOOKED_AT = """
SELECT schemaname || '.' || relname, seq_tup_read + coalesce(idx_tup_fetch, 0)
FROM pg_stat_xact_user_tables WHERE schemaname <> 'public'
"""
CALLED = "SELECT schemaname || '.' || funcname AS name FROM pg_stat_xact_user_functions"
FUNCTIONS = """
SELECT n.nspname || '.' || p.proname AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^(pg_|information_schema$|public$)'
"""
# So many rows of a table a call on a few rows may look at.
CALL_ROWS = 200


def command(position: int, kind: str, number: int, **fields: Any) -> dict[str, Any]:
    """Return a command of the ledger about one of the open things, as JSON has it."""
    return {
        "position": position, "kind": kind, "caller": "plans", "key": f"{position}", "content_hash": "00",
        "account_id": 7, "unit_id": 3, "partner_id": number % PARTNERS, "version": 1, "today": "2019-12-01",
        "occurred_at": "2019-12-01T00:00:00Z",
    } | fields  # fmt: skip


def commands() -> list[dict[str, Any]]:
    """Return a command of every kind, each of which is posted."""
    ids = [f"{number:032x}" for number in OPEN_THINGS]
    return [
        command(1, "earn", OPEN_THINGS[0], points=5, purchase_id=ids[0]),
        command(2, "hold", OPEN_THINGS[0], points=5, proof_kind="card", proof_ref="p", hold_expires_at="infinity"),
        command(3, "capture", OPEN_THINGS[1], hold_id=ids[1]),
        command(4, "release", OPEN_THINGS[2], hold_id=ids[2]),
        command(5, "reverse_earn", OPEN_THINGS[3], purchase_id=ids[3], points=5),
        command(6, "reverse_earn", OPEN_THINGS[4], reverses=ids[4], shortfall="clip"),
        command(7, "reverse_burn", OPEN_THINGS[5], reverses=ids[5]),
        command(8, "expire", OPEN_THINGS[6], today="2030-01-01"),
    ]


ARGUMENTS: Mapping[str, Any] = {
    "ledger.post": commands(),
    "offers.set_budget_shares": [
        {"offer_id": 7, "purchase_id": f"{7:032x}", "account_id": 7, "revision": 1, "spent": 5, "reserved": 5}
    ],
}


async def test_a_long_read_is_seen(database: asyncpg.Pool) -> None:
    """A table read from end to end is found, and an index under no condition, one on a later column, or a vague one."""
    async with database.acquire() as connection:
        known = await sizes(connection)
        long = Sizes(dict.fromkeys(known.rows, FEW + 1), known.first_columns)

        async def read_by(sql: str, *given: str) -> list[str]:
            return long_reads(await planned(connection, sql, given), long)

        assert await read_by("SELECT reason FROM ledger.journal WHERE reason = $1") == ["Seq Scan of ledger.journal"]
        await connection.execute(
            "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off"
        )
        by_key = "SELECT amount FROM ledger.movement WHERE account_id = $1"
        assert await read_by(by_key) == []
        assert await read_by("SELECT amount FROM ledger.movement WHERE lot_id = $1") == [
            "Index Scan of ledger.movement_lot"
        ]
        assert await read_by("SELECT amount FROM ledger.movement ORDER BY account_id, lot_id LIMIT 1") == [
            "Index Scan of ledger.movement_lot"
        ]
        vague = await planned(connection, by_key)
        vague["Plan Rows"] = FEW + 1
        assert len(long_reads(vague, long)) == 1
        assert long_reads({"Node Type": "Limit", "Plans": [vague]}, long) == []
        assert len(long_reads({"Node Type": "Limit", "Plans": [{"Node Type": "Sort", "Plans": [vague]}]}, long)) == 1


@pytest.fixture
async def grown(databases: Databases) -> AsyncIterator[asyncpg.Connection]:
    """Give the owner's connection to a database with a history, which no other test gets."""
    name = await databases.take()
    connection = await asyncpg.connect(databases.url_of(name))
    await fill(connection)
    yield connection
    await connection.close()
    await databases.drop(name)


async def test_history_is_not_read(grown: asyncpg.Connection) -> None:
    """No statement and no function reads many rows of what grows, but for those that say why, and each of them does."""
    found = await long_statements(grown)

    assert {name: reads for name, reads in found.items() if name not in LONG} == {}
    assert LONG.keys() - found.keys() == set(), "these read few rows by now"
    assert await long_calls(grown) == {}


async def long_statements(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """Return what of the named statements reads many rows."""
    known = await sizes(connection)
    found = {}
    names = set()
    for path in STATEMENT_FILES:
        for statement in read(path):
            name = f"{path.parent.name}.{statement.name}"
            assert name not in names, f"two statements are called {name}"
            names.add(name)
            given = (
                ()
                if path.name != "invariants.sql"
                else ONE_PROGRAMME
                if path.parent.name == "settlement"
                else SOME_ACCOUNTS
            )
            if reads := long_reads(await planned(connection, statement.sql, given), known):
                found[name] = reads
    return found


async def long_calls(connection: asyncpg.Connection) -> dict[str, dict[str, int]]:
    """Return the functions that look at many rows, and how many of which tables; each is called, and undone."""
    await connection.execute("SET track_functions = 'all'")
    called: set[str] = set()
    found = {}
    for name, call in CALLS.items():
        arguments = [msgspec.json.encode(ARGUMENTS[name]).decode()] if name in ARGUMENTS else []
        transaction = connection.transaction()
        await transaction.start()
        before = Counter(dict(await connection.fetch(LOOKED_AT)))
        answers = await connection.fetch(call, *arguments)
        looked_at = Counter(dict(await connection.fetch(LOOKED_AT))) - before
        called |= {row["name"] for row in await connection.fetch(CALLED)}
        await transaction.rollback()
        if many := {table: rows for table, rows in looked_at.items() if rows > CALL_ROWS}:
            found[name] = many
        assert answers, name
        assert {row.get("status", "posted") for row in answers} == {"posted"}, (name, answers)

    functions = {row["name"] for row in await connection.fetch(FUNCTIONS)}
    assert functions - called == SILENT
    return found
