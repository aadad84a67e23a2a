"""A database as it is after years: about 200,000 rows in every table that grows, nearly all of them done.

Rows are written by SQL, column by column: what a column is called or its type says what stands in it, and `COLUMNS`
says what those two do not tell. So a new table is filled by itself; a new constraint that its rows break fails here.
The rows are narrow: bodies, leaves and sealed letters are of a few bytes, and so the tables lie on fewer pages than a
real installation's.
"""

import asyncpg

ROWS = 200_000
# So many accounts have all the history; the others have none yet.
ACTIVE = 20_000
PROGRAMMES, PARTNERS, OFFERS, SOURCES = 4, 60, 2_000, 20

# What grows with the number of partners, places or offers, and not with every day: so many rows, or none more than the
# migrations wrote. Every other table grows.
STANDING = {
    "audit.log": PROGRAMMES,
    "identity.client": PARTNERS,
    "identity.source": SOURCES,
    "identity.staff": 200,
    "identity.staff_grant": 200,
    "koinon.forgetting": 0,
    "ledger.unit": PROGRAMMES,
    "offers.budget": OFFERS,
    "offers.catalogue": PROGRAMMES,
    "offers.offer": OFFERS,
    "offers.offer_version": OFFERS,
    "parties.contract": 4 * PARTNERS,
    "parties.partner": PARTNERS,
    "parties.programme": PROGRAMMES,
    "places.network_identity": 5_000,
    "places.place": 5_000,
    "settlement.run_transition": 0,
}

# Of ten thousand rows one is not done yet, in every table alike: twenty in each.
OPEN = "i % 10000 = 7"
AT = "timestamptz '2020-01-01' + i * interval '10 minutes'"
DIGEST = "sha256(int8send(i))"
ID = "lpad(to_hex(i), 32, '0')::uuid"


def done(value: str) -> str:
    """Return the expression of what a row has once it is done, and not before."""
    return f"CASE WHEN NOT {OPEN} THEN {value} END"


# Row i of each table of an account's history is about the same purchase of the same account.
TYPES = {
    "bigint": "i",
    "bigint[]": "'{}'",
    "boolean": "false",
    "bytea": DIGEST,
    "bytea[]": f"ARRAY[{DIGEST}]",
    "date": "date '2020-01-01' + (i / 100)::integer",
    "integer": "1",
    "jsonb": "'{}'",
    "smallint": "1",
    "text": "'x' || i",
    "text[]": "ARRAY['x' || i]",
    "timestamp with time zone": AT,
    "timestamp without time zone": f"({AT})::timestamp",
    "uuid": ID,
    "xid8": "'3'",
}
NAMES = {
    "acceptor_id": f"i % {PARTNERS}",
    "account_id": f"i % {ACTIVE}",
    "cleared_at": done(AT),
    "failed_where": "NULL",
    "failure": "NULL",
    "issuer_id": f"i % {PARTNERS}",
    "log_id": "1",
    "member_id": f"i % {ACTIVE}",
    "merged_into": f"CASE WHEN i % 100 = 3 THEN {ID} END",
    "next_try_at": f"CASE WHEN i % 20000 = 7 THEN {AT} END",
    "offer_id": f"i % {OFFERS}",
    "partner_id": f"i % {PARTNERS}",
    "programme_id": f"i % {PROGRAMMES}",
    "set_aside_at": "NULL",
    "source_id": f"i % {SOURCES}",
    "staff_id": "i % 200",
    "time_zone": "'Europe/Berlin'",
    "unit_id": f"i % {PROGRAMMES}",
    "window_no": f"1 + i / {PARTNERS}",
}
COLUMNS = {
    "audit.log.log_id": "2 + i",
    "audit.opening.counter": "1 + i",
    "audit.submission.leaf_index": done("i"),
    "audit.total.entries": "1 + i",
    "delivery.mail.given_up_at": "NULL",
    "delivery.mail.sealed_letter": f"CASE WHEN {OPEN} THEN {DIGEST} END",
    "delivery.mail.sent_at": done(AT),
    "identity.client.kind": "'partner'",
    "identity.client.revoked_at": "NULL",
    "identity.client.staff_id": "NULL",
    "identity.session.kind": "'member'",
    "identity.session.partner_id": "NULL",
    "identity.session.programme_id": "NULL",
    "identity.session.staff_id": "NULL",
    "identity.staff.email": "'x' || i || '@example.org'",
    "identity.staff_grant.ended_at": "NULL",
    "identity.staff_grant.role": "'marketing'",
    "koinon.request.caller": f"'x' || i % {PARTNERS}",
    "ledger.account.account_id": "i",
    "ledger.alert.work": "'x' || i",
    "ledger.hold.amount": "10",
    "ledger.hold.proof_kind": "'card'",
    "ledger.hold.state": f"CASE WHEN {OPEN} THEN 'reserved' ELSE 'captured' END",
    "ledger.hold_lot.amount": "10",
    "ledger.journal.kind": "CASE i % 2 WHEN 0 THEN 'earn' ELSE 'capture' END",
    "ledger.journal.reverses": "NULL",
    # One lot of ten has points left.
    "ledger.lot.held": f"CASE WHEN {OPEN} THEN 10 ELSE 0 END",
    "ledger.lot.quantity": "100",
    "ledger.lot.remaining": f"CASE WHEN {OPEN} OR i % 10 = 0 THEN 50 ELSE 0 END",
    "ledger.movement.amount": "10",
    "ledger.movement.credit_kind": "CASE i % 2 WHEN 0 THEN 'wallet' ELSE 'honoured' END",
    "ledger.movement.debit_kind": "CASE i % 2 WHEN 0 THEN 'issued' ELSE 'held' END",
    "ledger.outbox.leaf_index": done("i"),
    "ledger.settlement_window.state": (
        f"CASE WHEN i >= {ROWS - PROGRAMMES} THEN 'OPEN' WHEN i >= {ROWS - 2 * PROGRAMMES} THEN 'CLOSED'"
        " ELSE 'SEALED' END"
    ),
    "ledger.settlement_window.window_no": f"1 + i / {PROGRAMMES}",
    "ledger.wallet.account_id": "i",
    "ledger.wallet.available": "1000",
    "ledger.wallet.held": "1000",
    "members.consent_text.text_sha256": "sha256(convert_to('x' || i, 'UTF8'))",
    "members.contact.kind": "'email'",
    "members.contact.member_id": "i",
    "members.member.account_id": "i",
    "members.member.member_id": "i",
    "members.member_key.member_id": "i",
    "offers.activation.offer_id": f"i / {ACTIVE}",
    "offers.budget.cap_points": "1000000",
    "offers.budget.reserved_points": "1000",
    "offers.budget.spent_points": "1000",
    "offers.budget_share.reserved_points": "0",
    "offers.budget_share.spent_points": "10",
    "offers.card.unlinked_at": "NULL",
    "offers.inbox.state": f"CASE WHEN {OPEN} THEN 'new' ELSE 'folded' END",
    "offers.lane.account_id": "i",
    "offers.offer.offer_id": "i",
    "offers.payment_account.ended_at": "NULL",
    "offers.purchase.rewarded_revision": f"CASE WHEN {OPEN} THEN 0 ELSE 1 END",
    "offers.reward.pending_points": f"CASE WHEN {OPEN} THEN 10 ELSE 0 END",
    "offers.reward.posted_points": "10",
    "offers.reward.shortfall_points": f"CASE WHEN {OPEN} THEN 10 ELSE 0 END",
    "offers.till_sighting.amount_minor": "100",
    "offers.till_sighting.reversed_at": "NULL",
    "offers.till_sighting.stated_points": "10",
    "parties.contract.version": f"(1 + i / {PARTNERS})::integer",
    "parties.partner.partner_id": "i",
    "parties.programme.clock_at": "NULL",
    "parties.programme.mode": "'live'",
    "parties.programme.programme_id": "i",
    "places.network_identity.valid_until": "NULL",
    "redemptions.attested_lease.business_date": f"date '2020-01-01' + (i / {PARTNERS})::integer",
    "settlement.approval.decision": "'approved'",
    "settlement.approval.maker_staff_id": "NULL",
    "settlement.bundle_checkpoint.extends_run_id": "NULL",
    "settlement.line.creditor": "'pool'",
    "settlement.maker.window_no": f"1 + i / {PROGRAMMES}",
    "settlement.run.state": "CASE i % 20000 WHEN 7 THEN 'CALCULATED' WHEN 8 THEN 'PUBLISHED' ELSE 'SETTLED' END",
    "settlement.run.window_no": f"1 + i / {PROGRAMMES}",
    "settlement.statement.sha256": f"sha256({DIGEST})",
} | {
    f"parties.{table}.{column}": "1"
    for table, columns in {
        "programme": ("face_value_num", "face_value_den"),
        "contract": (
            "price_num",
            "price_den",
            "fee_num",
            "fee_den",
            "issue_share_num",
            "issue_share_den",
            "honour_den",
        ),
    }.items()
    for column in columns
}

TABLES = """
SELECT c.oid::regclass::text AS name, array_agg(a.attname ORDER BY a.attnum) AS columns,
    array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum) AS types
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$|public$)'
GROUP BY c.oid ORDER BY 1
"""


async def fill(connection: asyncpg.Connection) -> list[str]:
    """Fill every table of a migrated database, and let the planner know; gives the tables that grow.

    The connection is the owner's: it writes row after row without asking whether what they refer to is there.
    """
    tables = await connection.fetch(TABLES)
    known = {f"{table['name']}.{column}" for table in tables for column in table["columns"]}
    assert set(COLUMNS) <= known, f"columns that there are not: {set(COLUMNS) - known}"
    assert set(STANDING) <= {table["name"] for table in tables}
    assert set(NAMES) <= {column for table in tables for column in table["columns"]}

    await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for table in tables:
        name = table["name"]
        columns = ", ".join(f'"{column}"' for column in table["columns"])
        values = ", ".join(
            COLUMNS.get(f"{name}.{column}") or NAMES.get(column) or TYPES[of_type]
            for column, of_type in zip(table["columns"], table["types"], strict=True)
        )
        rows = STANDING.get(name, ROWS)
        await connection.execute(
            f"INSERT INTO {name} ({columns}) SELECT {values} FROM generate_series(0::bigint, {rows} - 1) AS i"  # noqa: S608  # names are the catalogue's
        )
    await connection.execute("RESET session_replication_role")
    # As autovacuum leaves it: what is known of pages decides between an index alone and an index with its table.
    await connection.execute("VACUUM (ANALYZE)")
    return [table["name"] for table in tables if table["name"] not in STANDING]
