-- The baseline of a feed up to its rewards: set by set, the rows that a batch of clearings leaves when all is rewarded,
-- each written once as it stands in the end. Nothing is read, folded, decided or checked, and no leaf is logged.

CREATE SCHEMA IF NOT EXISTS raw;

CREATE OR REPLACE FUNCTION raw.reward_messages(
    p_programme bigint, p_unit bigint, p_source bigint, p_key text, p_accounts bigint[], p_offers bigint[],
    p_bodies text[])
RETURNS bigint LANGUAGE sql VOLATILE AS $$
    -- In one order for everybody, as every writer of several budgets and wallets has to.
    SELECT b.offer_id FROM offers.budget b WHERE b.offer_id = ANY (p_offers) ORDER BY b.offer_id FOR UPDATE;
    SELECT w.account_id FROM ledger.wallet w
    WHERE w.account_id = ANY (p_accounts) AND w.unit_id = p_unit ORDER BY w.account_id FOR UPDATE;

    WITH made AS MATERIALIZED (
        SELECT g.*, 10::bigint AS points, p_key || ':' || g.place AS key, uuidv7() AS purchase_id,
            uuidv7() AS payment_id, uuidv7() AS journal_id, uuidv7() AS lot_id, w.window_no
        FROM unnest(p_accounts, p_offers, p_bodies) WITH ORDINALITY AS g (account_id, offer_id, body, place),
            ledger.settlement_window w WHERE w.programme_id = p_programme AND w.state = 'OPEN'
    ), ids AS (
        INSERT INTO offers.message (source_id, message_id, content_hash, occurred_at)
        SELECT p_source, m.key, sha256(m.key::bytea), now() FROM made m
    ), inbox AS (
        INSERT INTO offers.inbox (card_key, source_id, message_id, programme_id, state)
        SELECT hashtextextended(m.key, 0), p_source, m.key, p_programme, 'folded' FROM made m
    ), keys AS (
        INSERT INTO offers.payment_key (account_id, join_key, payment_id)
        SELECT m.account_id, k.kind || p_source || ':' || m.key, m.payment_id
        FROM made m, (VALUES ('message:'), ('payment:')) k (kind)
    ), kept AS (
        INSERT INTO offers.payment_message (account_id, source_id, message_id, payment_id, body, received_at)
        SELECT m.account_id, p_source, m.key, m.payment_id, m.body, now() FROM made m
    ), payments AS (
        INSERT INTO offers.payment (account_id, payment_id, purchase_id, linked_at, fold, auth_codes)
        SELECT m.account_id, m.payment_id, m.purchase_id, now(), m.body, '{}' FROM made m
    ), purchases AS (
        INSERT INTO offers.purchase (account_id, purchase_id, programme_id, member_id, occurred_at, place_id, revision,
            rewarded_revision)
        SELECT m.account_id, m.purchase_id, p_programme, m.account_id, now(), m.offer_id, 1, 1 FROM made m
    ), rewards AS (
        INSERT INTO offers.reward (account_id, purchase_id, offer_id, partner_id, pending_points, posted_points,
            issuer_version, revision)
        SELECT m.account_id, m.purchase_id, m.offer_id, m.offer_id, 0, m.points, 1, 1 FROM made m
    ), decisions AS (
        INSERT INTO offers.decision (account_id, purchase_id, offer_id, version_id, revision, points, receipt)
        SELECT m.account_id, m.purchase_id, m.offer_id, m.offer_id, 1, m.points, m.body FROM made m
    ), shares AS (
        INSERT INTO offers.budget_share (offer_id, purchase_id, account_id, revision, reserved_points, spent_points)
        SELECT m.offer_id, m.purchase_id, m.account_id, 3, 0, m.points FROM made m
    ), budgets AS (
        UPDATE offers.budget b SET spent_points = b.spent_points + t.points
        FROM (SELECT m.offer_id, sum(m.points) AS points FROM made m GROUP BY m.offer_id) t
        WHERE b.offer_id = t.offer_id
    ), requests AS (
        INSERT INTO koinon.request (caller, key, content_hash, status, answer)
        SELECT 'raw', m.key, sha256(m.key::bytea), 201, jsonb_build_object('journal_id', m.journal_id) FROM made m
    ), journals AS (
        INSERT INTO ledger.journal (account_id, journal_id, programme_id, unit_id, window_no, transaction_id, kind,
            partner_id, member_id, caller, occurred_at, place_id, purchase_id)
        SELECT m.account_id, m.journal_id, p_programme, p_unit, m.window_no, pg_current_xact_id(), 'earn', m.offer_id,
            m.account_id, 'raw', now(), m.offer_id, m.purchase_id FROM made m
    ), lots AS (
        INSERT INTO ledger.lot (account_id, lot_id, unit_id, journal_id, issuer_id, issuer_version, purchase_id,
            issued_at, expires_on, quantity, remaining)
        SELECT m.account_id, m.lot_id, p_unit, m.journal_id, m.offer_id, 1, m.purchase_id, now(), 'infinity',
            m.points, m.points FROM made m
    ), movements AS (
        INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
            lot_id, issuer_id, issuer_version)
        SELECT m.account_id, m.journal_id, 1, p_unit, m.window_no, 'issued', 'wallet', m.points, m.lot_id,
            m.offer_id, 1 FROM made m
    ), marks AS (
        INSERT INTO ledger.outbox (account_id, journal_id, programme_id, window_no, leaf_index)
        SELECT m.account_id, m.journal_id, p_programme, m.window_no, m.place FROM made m
    ), balances AS (
        UPDATE ledger.wallet w SET available = w.available + t.points, version = w.version + t.earns
        FROM (SELECT m.account_id, sum(m.points) AS points, count(*) AS earns FROM made m GROUP BY m.account_id) t
        WHERE w.account_id = t.account_id AND w.unit_id = p_unit
    )
    SELECT count(*) FROM made
$$;
