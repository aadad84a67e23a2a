-- The baseline of an earn: the least that can be written on the same tables, with the same indexes and durability.
-- It takes every request for a new one, trusts its caller, and answers nothing but the balance. With `p_logged` it writes
-- the outbox row that the log needs as well.

CREATE SCHEMA IF NOT EXISTS raw;

CREATE OR REPLACE FUNCTION raw.earn(
    p_programme bigint, p_unit bigint, p_account bigint, p_partner bigint, p_points bigint, p_key text,
    p_logged boolean)
RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH made AS (
        SELECT uuidv7() AS journal_id, uuidv7() AS lot_id, w.window_no
        FROM ledger.settlement_window w WHERE w.programme_id = p_programme AND w.state = 'OPEN'
    ), request AS (
        INSERT INTO koinon.request (caller, key, content_hash, status, answer)
        SELECT 'raw', p_key, sha256(p_key::bytea), 201, jsonb_build_object('journal_id', m.journal_id) FROM made m
    ), journal AS (
        INSERT INTO ledger.journal (account_id, journal_id, programme_id, unit_id, window_no, transaction_id, kind,
            partner_id, caller, occurred_at)
        SELECT p_account, m.journal_id, p_programme, p_unit, m.window_no, pg_current_xact_id(), 'earn', p_partner,
            'raw', now() FROM made m
    ), lot AS (
        INSERT INTO ledger.lot (account_id, lot_id, unit_id, journal_id, issuer_id, issuer_version, issued_at,
            expires_on, quantity, remaining)
        SELECT p_account, m.lot_id, p_unit, m.journal_id, p_partner, 1, now(), 'infinity', p_points, p_points
        FROM made m
    ), movement AS (
        INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
            lot_id, issuer_id, issuer_version)
        SELECT p_account, m.journal_id, 1, p_unit, m.window_no, 'issued', 'wallet', p_points, m.lot_id, p_partner, 1
        FROM made m
    ), mark AS (
        INSERT INTO ledger.outbox (account_id, journal_id, programme_id, window_no)
        SELECT p_account, m.journal_id, p_programme, m.window_no FROM made m WHERE p_logged
    )
    UPDATE ledger.wallet w SET available = w.available + p_points, version = w.version + 1
    WHERE w.account_id = p_account AND w.unit_id = p_unit RETURNING w.available
$$;

-- Many at once. Wallets are locked in one order first, as every set-based writer of several rows has to.
CREATE OR REPLACE FUNCTION raw.earn_many(
    p_programme bigint, p_unit bigint, p_accounts bigint[], p_partners bigint[], p_points bigint[], p_key text,
    p_logged boolean)
RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT w.account_id FROM ledger.wallet w
    WHERE w.account_id = ANY (p_accounts) AND w.unit_id = p_unit ORDER BY w.account_id FOR UPDATE;

    WITH made AS MATERIALIZED (
        SELECT g.*, uuidv7() AS journal_id, uuidv7() AS lot_id, w.window_no, p_key || ':' || g.place AS key
        FROM unnest(p_accounts, p_partners, p_points) WITH ORDINALITY AS g (account_id, partner_id, points, place),
            ledger.settlement_window w WHERE w.programme_id = p_programme AND w.state = 'OPEN'
    ), request AS (
        INSERT INTO koinon.request (caller, key, content_hash, status, answer)
        SELECT 'raw', m.key, sha256(m.key::bytea), 201, jsonb_build_object('journal_id', m.journal_id) FROM made m
    ), journal AS (
        INSERT INTO ledger.journal (account_id, journal_id, programme_id, unit_id, window_no, transaction_id, kind,
            partner_id, caller, occurred_at)
        SELECT m.account_id, m.journal_id, p_programme, p_unit, m.window_no, pg_current_xact_id(), 'earn',
            m.partner_id, 'raw', now() FROM made m
    ), lot AS (
        INSERT INTO ledger.lot (account_id, lot_id, unit_id, journal_id, issuer_id, issuer_version, issued_at,
            expires_on, quantity, remaining)
        SELECT m.account_id, m.lot_id, p_unit, m.journal_id, m.partner_id, 1, now(), 'infinity', m.points, m.points
        FROM made m
    ), movement AS (
        INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
            lot_id, issuer_id, issuer_version)
        SELECT m.account_id, m.journal_id, 1, p_unit, m.window_no, 'issued', 'wallet', m.points, m.lot_id,
            m.partner_id, 1 FROM made m
    ), marks AS (
        INSERT INTO ledger.outbox (account_id, journal_id, programme_id, window_no)
        SELECT m.account_id, m.journal_id, p_programme, m.window_no FROM made m WHERE p_logged
    ), balances AS (
        UPDATE ledger.wallet w SET available = w.available + t.points, version = w.version + 1
        FROM (SELECT m.account_id, sum(m.points) AS points FROM made m GROUP BY m.account_id) t
        WHERE w.account_id = t.account_id AND w.unit_id = p_unit
    )
    SELECT count(*) FROM made
$$;
