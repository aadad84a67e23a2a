"""What the schema itself refuses: changed history, and what no distributed database can hold."""

import asyncpg
import pytest

from koinon.database import APPLICATION_ROLE, Connection
from tests.kit.ledger import Coalition, books

# All that the application may change of a row of the ledger; it may delete none.
CHANGEABLE = {
    ("wallet", "available"),
    ("wallet", "held"),
    ("alert", "explanation"),
    ("alert", "tries"),
    ("alert", "tried_at"),
    ("alert", "retry_at"),
    ("alert", "cleared_at"),
    ("wallet", "version"),
    ("wallet", "window_no"),
    ("lot", "remaining"),
    ("lot", "held"),
    ("hold", "state"),
    ("outbox", "leaf_index"),
    ("settlement_window", "state"),
    ("settlement_window", "flipped_at"),
    ("settlement_window", "barrier_xid"),
    ("settlement_window", "closed_at"),
}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.journal SET partner_id = 1",
        "DELETE FROM ledger.journal",
        "UPDATE ledger.movement SET amount = 1",
        "DELETE FROM ledger.movement",
        "UPDATE ledger.lot SET quantity = 1",
        "UPDATE ledger.lot SET issuer_id = 1",
        "UPDATE ledger.lot SET expires_on = 'infinity'",
        "DELETE FROM ledger.lot",
        "UPDATE ledger.wallet SET account_id = 1",
        "DELETE FROM ledger.wallet",
        "UPDATE ledger.hold SET amount = 1",
        "DELETE FROM ledger.hold",
        "UPDATE ledger.hold_lot SET amount = 1",
        "UPDATE ledger.account SET programme_id = 1",
        "UPDATE ledger.settlement_window SET business_date = '2026-01-01'",
        "DELETE FROM ledger.settlement_window",
        "DELETE FROM ledger.outbox",
        "DELETE FROM koinon.request",
        "TRUNCATE ledger.journal CASCADE",
        "ALTER TABLE ledger.journal ADD COLUMN note text",
        "DROP TABLE ledger.movement",
    ],
)
async def test_history_cannot_be_changed(
    connection: Connection, coalition: Coalition, account: int, statement: str
) -> None:
    """The application's role is refused by privilege, and the books stay as they were."""
    await coalition.one(connection, coalition.earn(account, 10))
    before = await books(connection)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)

    assert await books(connection) == before


async def test_what_the_application_may_change(connection: Connection) -> None:
    """Its privileges on the ledger are these and no more: a new table is closed until it is argued open."""
    granted = await connection.fetch(
        """
        SELECT table_name, column_name, privilege_type FROM information_schema.column_privileges
        WHERE table_schema = 'ledger' AND grantee = $1 AND privilege_type NOT IN ('SELECT', 'INSERT')
        """,
        APPLICATION_ROLE,
    )
    deletable = await connection.fetch(
        """
        SELECT table_name FROM information_schema.table_privileges
        WHERE table_schema = 'ledger' AND grantee = $1 AND privilege_type IN ('DELETE', 'TRUNCATE', 'TRIGGER', 'UPDATE')
        """,
        APPLICATION_ROLE,
    )

    assert {row["privilege_type"] for row in granted} == {"UPDATE"}
    assert {(row["table_name"], row["column_name"]) for row in granted} == CHANGEABLE
    assert deletable == []


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("UPDATE ledger.wallet SET available = -1", "wallet_not_negative"),
        ("UPDATE ledger.lot SET remaining = quantity + 1", "lot_bounds"),
        ("UPDATE ledger.lot SET held = remaining + 1", "lot_bounds"),
        ("UPDATE ledger.lot SET remaining = -1", "lot_bounds"),
    ],
)
async def test_no_balance_below_nothing(
    connection: Connection, coalition: Coalition, account: int, change: str, constraint: str
) -> None:
    """A wallet below zero, a lot above what was issued or held above what remains cannot be written by anyone."""
    await coalition.one(connection, coalition.earn(account, 10))

    with pytest.raises(asyncpg.CheckViolationError) as refusal:
        await connection.execute(change)

    assert refusal.value.constraint_name == constraint


@pytest.mark.parametrize("leg", [("issued", "issued", 1), ("issued", "wallet", 0), ("issued", "bank", 1)])
async def test_imbalance_cannot_be_written(
    connection: Connection, coalition: Coalition, account: int, leg: tuple[str, str, int]
) -> None:
    """A movement has two different known kinds and one positive amount, whoever writes it."""
    outcome = await coalition.one(connection, coalition.earn(account, 10))

    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(
            """
            INSERT INTO ledger.movement
            SELECT account_id, journal_id, 2, unit_id, window_no, $2, $3, $4, lot_id, issuer_id, issuer_version
            FROM ledger.movement WHERE journal_id = $1::text::uuid
            """,
            outcome.answer["journal_id"],
            *leg,
        )


async def test_what_no_shard_can_hold(connection: Connection) -> None:
    """No exclusion constraint, identity or generated column, inheritance or partition anywhere in the ledger."""
    found = await connection.fetch(
        """
        SELECT 'exclusion' AS kind, conname::text AS name FROM pg_constraint
        WHERE contype = 'x' AND connamespace = 'ledger'::regnamespace
        UNION ALL
        SELECT 'identity or generated', attrelid::regclass || '.' || attname
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'ledger'::regnamespace AND (attidentity <> '' OR attgenerated <> '')
        UNION ALL
        SELECT 'inherits', inhrelid::regclass::text
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relnamespace = 'ledger'::regnamespace
        """
    )

    assert [tuple(row) for row in found] == []


async def test_foreign_keys_stay_on_their_shard(connection: Connection) -> None:
    """A hot table's foreign key joins account to account; the small tables alone refer to the programme."""
    keys = await connection.fetch(
        """
        SELECT c.conrelid::regclass::text AS source, c.confrelid::regclass::text AS target, a.attname AS first,
            b.attname AS target_first
        FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
        WHERE c.contype = 'f' AND c.connamespace = 'ledger'::regnamespace
        """
    )
    small = {"ledger.unit", "ledger.settlement_window", "ledger.alert"}

    assert {key["source"] for key in keys if key["target"] == "parties.programme"} == small
    hot = [key for key in keys if key["source"] not in small]
    assert {(key["first"], key["target_first"]) for key in hot} == {("account_id", "account_id")}
    assert all(key["target"].startswith("ledger.") for key in hot)
