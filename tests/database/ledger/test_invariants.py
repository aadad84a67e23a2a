"""The invariants hold after every kind of business, and each of them is seen to break."""

from collections.abc import AsyncIterator
from datetime import date, timedelta

import asyncpg
import pytest

from koinon.database import Connection
from koinon.ids import new_record_id
from koinon.ledger import invariants
from koinon.ledger.operations import statements
from tests.kit.ledger import Coalition
from tests.kit.terms import NOW, TODAY


@pytest.fixture
async def owner(ledger_url: str) -> AsyncIterator[Connection]:
    """Give a connection that may do what no application may; what it does is rolled back."""
    connection = await asyncpg.connect(ledger_url, server_settings={"timezone": "UTC"})
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def business(kit: Coalition, connection: Connection) -> int:
    """Do one of everything with an account, over two windows of which one is closed; return the account."""
    account = await kit.account(connection)
    purchase = new_record_id()
    first, *_ = await kit.post(
        connection,
        kit.earn(account, 10),
        kit.earn(account, 100, date(2026, 4, 1), partner_id=kit.fuel, version=2),
        kit.earn(account, 50, TODAY + timedelta(days=1)),
        kit.earn(account, 7, purchase_id=purchase),
    )
    await kit.one(connection, kit.reverse_earn(account, first))
    await kit.one(connection, kit.reverse_earn(account, purchase_id=purchase, points=3))
    captured, released, undone = [await kit.one(connection, kit.hold(account, points)) for points in (20, 40, 5)]
    await kit.one(connection, kit.hold(account, 1))
    await kit.one(connection, kit.capture(account, captured))
    await kit.one(connection, kit.release(account, released))
    capture = await kit.one(connection, kit.capture(account, undone))
    await kit.one(connection, kit.reverse_burn(account, capture))
    await connection.execute(statements["flip_window"], kit.programme_id, TODAY + timedelta(days=1), NOW)
    await connection.execute(
        statements["set_barrier"], kit.programme_id, 1, await connection.fetchval(statements["transaction_id"])
    )
    await connection.execute(statements["close_window"], kit.programme_id, 1, NOW)
    await kit.one(connection, kit.expire(account, TODAY + timedelta(days=1)))
    return account


async def test_all_hold(connection: Connection, coalition: Coalition) -> None:
    """After one of everything nothing is found, in the account or in the whole ledger."""
    account = await business(coalition, connection)

    assert await invariants.check(connection, [account]) == []
    assert await invariants.check(connection) == []


BREAKS = [
    ("i1_kinds", "UPDATE ledger.movement SET credit_kind = 'adjusted' WHERE account_id = $1 AND debit_kind = 'issued'"),
    ("i1_kinds", "DELETE FROM ledger.movement WHERE account_id = $1 AND credit_kind = 'expired'"),
    ("i2_wallets", "UPDATE ledger.wallet SET available = available + 1 WHERE account_id = $1"),
    ("i2_wallets", "DELETE FROM ledger.wallet WHERE account_id = $1"),
    ("i3_lots", "UPDATE ledger.movement SET amount = amount + 1 WHERE account_id = $1 AND credit_kind = 'honoured'"),
    ("i3_lots", "UPDATE ledger.movement SET issuer_version = 9 WHERE account_id = $1 AND credit_kind = 'expired'"),
    ("i3_lots", "UPDATE ledger.lot SET issuer_id = 1 WHERE account_id = $1 AND quantity = 100"),
    ("i3_orphans", "DELETE FROM ledger.journal WHERE account_id = $1 AND kind = 'expire'"),
    ("i3_orphans", "DELETE FROM ledger.outbox WHERE account_id = $1"),
    ("i3_orphans", "DELETE FROM ledger.lot WHERE account_id = $1 AND quantity = 100"),
    # What foreign keys would have refused, were there any.
    (
        "i3_orphans",
        (
            "INSERT INTO ledger.outbox (account_id, journal_id, programme_id, window_no)"
            " SELECT account_id, gen_random_uuid(), programme_id, 1 FROM ledger.account WHERE account_id = $1"
        ),
    ),
    (
        "i3_orphans",
        "UPDATE ledger.movement SET lot_id = gen_random_uuid() WHERE account_id = $1 AND credit_kind = 'expired'",
    ),
    (
        "i3_orphans",
        "UPDATE ledger.movement SET journal_id = gen_random_uuid() WHERE account_id = $1 AND credit_kind = 'expired'",
    ),
    ("i4_holds", "UPDATE ledger.hold SET state = 'reserved' WHERE account_id = $1"),
    ("i4_holds", "UPDATE ledger.hold_lot SET amount = amount + 1 WHERE account_id = $1"),
    ("i5_outstanding", "UPDATE ledger.lot SET remaining = remaining - 1 WHERE account_id = $1 AND quantity = 100"),
    ("i7_windows", "UPDATE ledger.movement SET window_no = 2 WHERE account_id = $1 AND credit_kind = 'honoured'"),
    ("i7_windows", "UPDATE ledger.journal SET window_no = 5 WHERE account_id = $1 AND kind = 'expire'"),
    ("i7_windows", "UPDATE ledger.account SET programme_id = 5 WHERE account_id = $1"),
    ("i7_wallets", "UPDATE ledger.wallet SET window_no = 1 WHERE account_id = $1"),
    ("i7_windows", "UPDATE ledger.outbox SET programme_id = 5 WHERE account_id = $1"),
    ("i7_windows", "UPDATE ledger.movement SET unit_id = 5 WHERE account_id = $1 AND credit_kind = 'honoured'"),
    ("i7_barrier", "UPDATE ledger.journal SET window_no = 1 WHERE account_id = $1 AND kind = 'expire'"),
    (
        "i7_calendar",
        (
            "UPDATE ledger.settlement_window SET state = 'CLOSED' WHERE state = 'OPEN' AND programme_id ="
            " (SELECT programme_id FROM ledger.account WHERE account_id = $1)"
        ),
    ),
    (
        "i7_calendar",
        (
            "UPDATE ledger.settlement_window SET business_date = '2027-01-01' WHERE window_no = 1 AND programme_id ="
            " (SELECT programme_id FROM ledger.account WHERE account_id = $1)"
        ),
    ),
    (
        "i8_answers",
        (
            "DELETE FROM koinon.request WHERE answer ->> 'journal_id' ="
            " (SELECT journal_id::text FROM ledger.journal WHERE account_id = $1 AND kind = 'expire')"
        ),
    ),
    (
        "i8_answers",
        (
            "INSERT INTO koinon.request SELECT caller, key || 'again', content_hash, status, answer FROM koinon.request"
            " WHERE answer ->> 'journal_id' ="
            " (SELECT journal_id::text FROM ledger.journal WHERE account_id = $1 AND kind = 'expire')"
        ),
    ),
    (
        "i8_answers",
        (
            "INSERT INTO koinon.request SELECT caller, 'another', content_hash, status,"
            " answer || jsonb_build_object('journal_id', uuidv7()) FROM koinon.request WHERE answer ->> 'journal_id' ="
            " (SELECT journal_id::text FROM ledger.journal WHERE account_id = $1 AND kind = 'expire')"
        ),
    ),
    (
        "i9_once",
        (
            "UPDATE ledger.journal SET reverses = (SELECT reverses FROM ledger.journal WHERE account_id = $1"
            " AND kind = 'reverse_burn') WHERE account_id = $1 AND kind = 'capture'"
        ),
    ),
    ("i9_once", "UPDATE ledger.journal SET kind = 'earn' WHERE account_id = $1 AND kind = 'capture'"),
    ("i9_whole", "UPDATE ledger.movement SET acceptor_version = 8 WHERE account_id = $1 AND debit_kind = 'honoured'"),
    ("i9_whole", "UPDATE ledger.movement SET amount = amount - 1 WHERE account_id = $1 AND debit_kind = 'honoured'"),
    ("i9_lots", "UPDATE ledger.movement SET amount = 11 WHERE account_id = $1 AND credit_kind = 'issued'"),
    ("i10_expiry", "UPDATE ledger.lot SET expires_on = '2026-03-04' WHERE account_id = $1 AND quantity = 50"),
    ("i14_ends", "UPDATE ledger.hold SET state = 'released' WHERE account_id = $1"),
    ("i14_ends", "UPDATE ledger.hold_lot SET amount = amount + 1 WHERE account_id = $1"),
    ("i14_ends", "UPDATE ledger.movement SET acceptor_id = 8 WHERE account_id = $1 AND credit_kind = 'held'"),
    ("i14_ends", "DELETE FROM ledger.journal WHERE account_id = $1 AND kind = 'hold'"),
    ("i14_ends", "UPDATE ledger.hold SET acceptor_version = 8 WHERE account_id = $1"),
]


@pytest.mark.parametrize(
    ("name", "statement"), [pytest.param(*each, id=f"{each[0]}-{i}") for i, each in enumerate(BREAKS)]
)
async def test_each_is_seen_to_break(
    connection: Connection, owner: Connection, coalition: Coalition, name: str, statement: str
) -> None:
    """Whoever tampers with a row, or writes one that should not be, is found, under the name of what it breaks."""
    account = await business(coalition, connection)
    await owner.execute("SET LOCAL session_replication_role = replica")
    await owner.execute(statement, account)

    found = await invariants.check(owner, [account])

    assert name in {finding.partition(":")[0] for finding in found}
    # Another account's sample is not spoilt by it.
    other = await business(await Coalition().found(connection), connection)
    assert await invariants.check(owner, [other]) == []


def test_every_invariant_has_its_break() -> None:
    """No check stands without a test that it can fail."""
    assert {name for name, _ in BREAKS} == set(invariants.statements)
