-- Posting. One call takes many commands and answers each; only these functions write the ledger's tables.

-- The first statement takes the transaction id, the second reads the window with a snapshot of its own: whoever read
-- the old window has an id from before the flip was committed, and is gone when the closer's barrier has passed.
-- One statement for both, or the other order, lets a late writer into a closed window.
CREATE OR REPLACE FUNCTION ledger.post(p_programme bigint, p_commands jsonb)
RETURNS SETOF ledger.outcome LANGUAGE plpgsql VOLATILE
-- To plan each call anew costs more than to run it. A plan that is kept must reach every row by its key (so LATERAL and
-- LIMIT below): made while the tables were small, it would scan them whole until the next ANALYZE, at a million rows too.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off AS $$
DECLARE
    stamp ledger.stamp;
    commands ledger.command[];
    first integer := 1;
    last integer;
BEGIN
    stamp.transaction_id := pg_current_xact_id();
    SELECT w.window_no INTO stamp.window_no
    FROM ledger.settlement_window w WHERE w.programme_id = p_programme AND w.state = 'OPEN';

    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'ledger.post wants READ COMMITTED: the window must be read with a fresh snapshot'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF stamp.window_no IS NULL THEN
        RAISE EXCEPTION 'programme % has no open window', p_programme USING ERRCODE = 'no_data_found';
    END IF;
    stamp.programme_id := p_programme;

    commands := ARRAY(
        SELECT c FROM jsonb_populate_recordset(NULL::ledger.command, p_commands) c ORDER BY c."position");
    -- In one order everywhere, so that no two calls wait for each other.
    PERFORM
    FROM (SELECT DISTINCT c.account_id, c.unit_id FROM unnest(commands) c ORDER BY c.account_id, c.unit_id) c
    CROSS JOIN LATERAL (
        SELECT FROM ledger.wallet w WHERE w.account_id = c.account_id AND w.unit_id = c.unit_id FOR UPDATE) w;

    WHILE first <= cardinality(commands) LOOP
        last := first;
        IF commands[first].kind = 'earn' THEN
            WHILE last < cardinality(commands) AND commands[last + 1].kind = 'earn' LOOP
                last := last + 1;
            END LOOP;
            RETURN QUERY SELECT * FROM ledger.post_earns(stamp, commands[first:last]);
        ELSE
            RETURN NEXT ledger.post_one(stamp, commands[first]);
        END IF;
        first := last + 1;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION ledger.refused(p_position integer, p_code text, p_facts jsonb DEFAULT '{}')
RETURNS ledger.outcome LANGUAGE sql IMMUTABLE AS $$
    SELECT (p_position, 'refused', jsonb_build_object('code', p_code) || p_facts)::ledger.outcome
$$;

-- The answer given before to the same caller and key, or NULL.
CREATE OR REPLACE FUNCTION ledger.answered(p_command ledger.command)
RETURNS ledger.outcome LANGUAGE plpgsql STABLE AS $$
DECLARE
    known koinon.request;
BEGIN
    SELECT * INTO known FROM koinon.request r WHERE r.caller = p_command.caller AND r.key = p_command.key;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF known.answer IS NULL THEN
        PERFORM ledger.claimed(p_command.caller, p_command.key);
    END IF;
    IF known.content_hash = decode(p_command.content_hash, 'hex') THEN
        RETURN (p_command."position", 'replayed', known.answer)::ledger.outcome;
    END IF;
    RETURN (p_command."position", 'conflict', jsonb_build_object('code', 'idempotency-key-reused'))::ledger.outcome;
END
$$;

-- A request that another transaction recorded between our look and our write: the whole call is tried again.
CREATE OR REPLACE FUNCTION ledger.lost_race()
RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the same request was recorded meanwhile' USING ERRCODE = 'serialization_failure';
END
$$;

-- A row without an answer was claimed by this very transaction for a write of its own: its ledger command needs a key
-- of its own, or it would pass for posted and never be.
CREATE OR REPLACE FUNCTION ledger.claimed(p_caller text, p_key text)
RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'key % of % was claimed by the write that posts under it', p_key, p_caller
        USING ERRCODE = 'invalid_parameter_value';
END
$$;

-- Many earns at once: one statement and no loop. Of the commands under one new key the first good one is posted; those
-- before it are refused, those after it are its replays or in conflict with it, as in calls of their own.
CREATE OR REPLACE FUNCTION ledger.post_earns(p_stamp ledger.stamp, p_commands ledger.command[])
RETURNS SETOF ledger.outcome LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT c.*, decode(c.content_hash, 'hex') AS hash, w.available, r.content_hash AS known_hash,
            r.answer AS known_answer,
            min(c."position") FILTER (WHERE r.content_hash IS NULL AND w.available IS NOT NULL AND c.points > 0)
                OVER (PARTITION BY c.caller, c.key) AS first_position
        FROM unnest(p_commands) c
        LEFT JOIN LATERAL (
            SELECT w.available FROM ledger.wallet w
            WHERE w.account_id = c.account_id AND w.unit_id = c.unit_id LIMIT 1) w ON true
        LEFT JOIN LATERAL (
            SELECT r.content_hash, r.answer FROM koinon.request r
            WHERE r.caller = c.caller AND r.key = c.key LIMIT 1) r ON true
    ), earns AS MATERIALIZED (
        -- Balances in the answers run on from the locked wallets.
        SELECT a.*, uuidv7() AS journal_id, uuidv7() AS lot_id,
            a.available + sum(a.points) OVER (PARTITION BY a.account_id, a.unit_id ORDER BY a."position") AS balance
        FROM asked a WHERE a."position" = a.first_position
    ), requests AS (
        INSERT INTO koinon.request (caller, key, content_hash, status, answer)
        SELECT e.caller, e.key, e.hash, 201, jsonb_build_object(
            'account_id', e.account_id, 'journal_id', e.journal_id, 'window_no', p_stamp.window_no, 'points', e.points,
            'balance', e.balance, 'expires_on', e.expires_on, 'version', e.version)
        FROM earns e ORDER BY e.caller, e.key
        ON CONFLICT DO NOTHING
        RETURNING caller, key, content_hash, answer
    ), journals AS (
        INSERT INTO ledger.journal (account_id, journal_id, programme_id, unit_id, window_no, transaction_id, kind,
            partner_id, member_id, caller, occurred_at, place_id, purchase_id, reason)
        SELECT e.account_id, e.journal_id, p_stamp.programme_id, e.unit_id, p_stamp.window_no,
            p_stamp.transaction_id, 'earn', e.partner_id, e.member_id, e.caller, e.occurred_at, e.place_id,
            e.purchase_id, e.reason
        FROM earns e
    ), lots AS (
        INSERT INTO ledger.lot (account_id, lot_id, unit_id, journal_id, issuer_id, issuer_version, contributor_id,
            purchase_id, issued_at, expires_on, quantity, remaining)
        SELECT e.account_id, e.lot_id, e.unit_id, e.journal_id, e.partner_id, e.version, e.member_id,
            e.purchase_id, e.occurred_at, coalesce(e.expires_on, 'infinity'), e.points, e.points
        FROM earns e
    ), movements AS (
        INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind,
            amount, lot_id, issuer_id, issuer_version)
        SELECT e.account_id, e.journal_id, 1, e.unit_id, p_stamp.window_no, 'issued', 'wallet',
            e.points, e.lot_id, e.partner_id, e.version
        FROM earns e
    ), marks AS (
        INSERT INTO ledger.outbox (account_id, journal_id, programme_id, window_no)
        SELECT e.account_id, e.journal_id, p_stamp.programme_id, p_stamp.window_no FROM earns e
    ), wallets AS (
        UPDATE ledger.wallet w SET available = w.available + t.points, version = w.version + t.earns,
            window_no = greatest(w.window_no, p_stamp.window_no)
        FROM (SELECT e.account_id, e.unit_id, sum(e.points) AS points, count(*) AS earns
              FROM earns e GROUP BY e.account_id, e.unit_id) t
        WHERE w.account_id = t.account_id AND w.unit_id = t.unit_id
    )
    SELECT a."position",
        CASE
            WHEN a.known_hash IS NULL AND n.caller IS NULL THEN 'refused'
            WHEN a.hash <> coalesce(a.known_hash, n.content_hash) THEN 'conflict'
            WHEN a."position" = a.first_position THEN 'posted'
            ELSE 'replayed'
        END,
        CASE
            WHEN a."position" = a.first_position AND n.caller IS NULL THEN ledger.lost_race()
            WHEN a.known_hash IS NULL AND n.caller IS NULL THEN jsonb_build_object(
                'code', CASE WHEN a.points > 0 THEN 'unknown-account' ELSE 'points-not-positive' END)
            WHEN a.hash <> coalesce(a.known_hash, n.content_hash) THEN
                jsonb_build_object('code', 'idempotency-key-reused')
            ELSE coalesce(a.known_answer, n.answer, ledger.claimed(a.caller, a.key))
        END
    FROM asked a
    LEFT JOIN requests n ON n.caller = a.caller AND n.key = a.key AND a."position" >= a.first_position;
END
$$;

CREATE OR REPLACE FUNCTION ledger.post_one(p_stamp ledger.stamp, p_command ledger.command)
RETURNS ledger.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    outcome ledger.outcome := ledger.answered(p_command);
BEGIN
    IF outcome IS NOT NULL THEN
        RETURN outcome;
    END IF;
    IF NOT EXISTS (SELECT FROM ledger.wallet w
                   WHERE w.account_id = p_command.account_id AND w.unit_id = p_command.unit_id) THEN
        RETURN ledger.refused(p_command."position", 'unknown-account');
    END IF;
    RETURN CASE p_command.kind
        WHEN 'hold' THEN ledger.post_hold(p_stamp, p_command)
        WHEN 'capture' THEN ledger.post_end_of_hold(p_stamp, p_command)
        WHEN 'release' THEN ledger.post_end_of_hold(p_stamp, p_command)
        WHEN 'reverse_earn' THEN ledger.post_reverse_earn(p_stamp, p_command)
        WHEN 'reverse_burn' THEN ledger.post_reverse_burn(p_stamp, p_command)
        WHEN 'expire' THEN ledger.post_expire(p_stamp, p_command)
        ELSE ledger.refused(p_command."position", 'unknown-kind')
    END;
END
$$;

-- The rows that every posting writes: the request with its answer, the journal, and the log's mark.
CREATE OR REPLACE FUNCTION ledger.record_journal(
    p_stamp ledger.stamp, p_command ledger.command, p_journal uuid, p_hold uuid, p_answer jsonb)
RETURNS ledger.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    full_answer jsonb := jsonb_build_object('account_id', p_command.account_id, 'journal_id', p_journal,
        'window_no', p_stamp.window_no) || p_answer;
BEGIN
    INSERT INTO koinon.request (caller, key, content_hash, status, answer)
    VALUES (p_command.caller, p_command.key, decode(p_command.content_hash, 'hex'), 201, full_answer)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM ledger.lost_race();
    END IF;
    INSERT INTO ledger.journal (account_id, journal_id, programme_id, unit_id, window_no, transaction_id, kind,
        partner_id, member_id, caller, occurred_at, place_id, purchase_id, hold_id, reverses, reason)
    VALUES (p_command.account_id, p_journal, p_stamp.programme_id, p_command.unit_id, p_stamp.window_no,
        p_stamp.transaction_id, p_command.kind, p_command.partner_id, p_command.member_id, p_command.caller,
        p_command.occurred_at, p_command.place_id, p_command.purchase_id, p_hold, p_command.reverses,
        p_command.reason);
    INSERT INTO ledger.outbox (account_id, journal_id, programme_id, window_no)
    VALUES (p_command.account_id, p_journal, p_stamp.programme_id, p_stamp.window_no);
    RETURN (p_command."position", 'posted', full_answer)::ledger.outcome;
END
$$;

-- Who read the old window may have waited for one who read the new one: a wallet's window never goes back.
CREATE OR REPLACE FUNCTION ledger.move_wallet(
    p_stamp ledger.stamp, p_command ledger.command, p_available bigint, p_held bigint)
RETURNS bigint LANGUAGE sql VOLATILE AS $$
    UPDATE ledger.wallet w
    SET available = w.available + p_available, held = w.held + p_held, version = w.version + 1,
        window_no = greatest(w.window_no, p_stamp.window_no)
    WHERE w.account_id = p_command.account_id AND w.unit_id = p_command.unit_id
    RETURNING w.available
$$;

-- Reserve points, soonest expiry first over all issuers; points that are due to expire cannot be reserved any more.
CREATE OR REPLACE FUNCTION ledger.post_hold(p_stamp ledger.stamp, p_command ledger.command)
RETURNS ledger.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    journal uuid := uuidv7();
    hold uuid := uuidv7();
    outcome ledger.outcome;
    spendable bigint;
BEGIN
    IF p_command.points IS NULL OR p_command.points <= 0 THEN
        RETURN ledger.refused(p_command."position", 'points-not-positive');
    END IF;
    IF p_command.proof_ref IS NOT NULL AND EXISTS (
        SELECT FROM ledger.hold h
        WHERE h.account_id = p_command.account_id AND h.proof_ref = p_command.proof_ref) THEN
        RETURN ledger.refused(p_command."position", 'proof-already-used');
    END IF;
    SELECT coalesce(sum(l.remaining - l.held), 0) INTO spendable
    FROM ledger.lot l
    WHERE l.account_id = p_command.account_id AND l.unit_id = p_command.unit_id
        AND l.remaining > l.held AND l.remaining > 0 AND l.expires_on > p_command.today;
    IF spendable < p_command.points THEN
        RETURN ledger.refused(p_command."position", 'insufficient-balance',
            jsonb_build_object('available', spendable, 'points', p_command.points));
    END IF;

    outcome := ledger.record_journal(p_stamp, p_command, journal, hold, jsonb_build_object(
        'hold_id', hold, 'points', p_command.points, 'expires_at', p_command.hold_expires_at,
        'version', p_command.version,
        'balance', ledger.move_wallet(p_stamp, p_command, -p_command.points, p_command.points)));
    INSERT INTO ledger.hold (account_id, hold_id, unit_id, acceptor_id, acceptor_version, amount, state, proof_kind,
        proof_ref, place_id, occurred_at, expires_at, member_id, sealed_receipt, attested_by)
    VALUES (p_command.account_id, hold, p_command.unit_id, p_command.partner_id, p_command.version, p_command.points,
        'reserved', p_command.proof_kind, p_command.proof_ref, p_command.place_id, p_command.occurred_at,
        p_command.hold_expires_at, p_command.member_id, decode(p_command.sealed_receipt, 'base64'),
        p_command.attested_by);
    WITH ordered AS (
        SELECT l.lot_id, l.issuer_id, l.issuer_version, l.remaining - l.held AS free,
            sum(l.remaining - l.held) OVER (ORDER BY l.expires_on, l.issued_at, l.lot_id) AS running
        FROM ledger.lot l
        WHERE l.account_id = p_command.account_id AND l.unit_id = p_command.unit_id
            AND l.remaining > l.held AND l.remaining > 0 AND l.expires_on > p_command.today
    ), taken AS (
        SELECT o.*, least(o.free, p_command.points - (o.running - o.free)) AS amount
        FROM ordered o WHERE o.running - o.free < p_command.points
    ), lots AS (
        UPDATE ledger.lot l SET held = l.held + t.amount
        FROM taken t WHERE l.account_id = p_command.account_id AND l.lot_id = t.lot_id
    ), parts AS (
        INSERT INTO ledger.hold_lot (account_id, hold_id, lot_id, amount)
        SELECT p_command.account_id, hold, t.lot_id, t.amount FROM taken t
    )
    INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
        lot_id, issuer_id, issuer_version, acceptor_id, acceptor_version)
    SELECT p_command.account_id, journal, row_number() OVER (ORDER BY t.running), p_command.unit_id,
        p_stamp.window_no, 'wallet', 'held', t.amount, t.lot_id, t.issuer_id, t.issuer_version,
        p_command.partner_id, p_command.version
    FROM taken t;
    RETURN outcome;
END
$$;

-- The hold that a till may still end, or the refusal.
CREATE OR REPLACE FUNCTION ledger.open_hold(p_command ledger.command, OUT hold ledger.hold, OUT refusal ledger.outcome)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT * INTO hold FROM ledger.hold h
    WHERE h.account_id = p_command.account_id AND h.unit_id = p_command.unit_id AND h.hold_id = p_command.hold_id;
    IF NOT FOUND OR (p_command.partner_id IS NOT NULL AND hold.acceptor_id <> p_command.partner_id) THEN
        refusal := ledger.refused(p_command."position", 'unknown-redemption');
    ELSIF hold.state <> 'reserved' THEN
        refusal := ledger.refused(p_command."position", 'redemption-not-open', jsonb_build_object('state', hold.state));
    ELSIF p_command.kind = 'capture' AND hold.expires_at <= p_command.occurred_at THEN
        -- Whether the worker has given it back already must not matter.
        refusal := ledger.refused(p_command."position", 'redemption-not-open', jsonb_build_object('state', 'expired'));
    END IF;
END
$$;

-- Move what a hold holds: to the acceptor (capture) or back to the wallet (release).
CREATE OR REPLACE FUNCTION ledger.end_hold(
    p_stamp ledger.stamp, p_command ledger.command, p_hold ledger.hold, p_journal uuid, p_burnt boolean)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE ledger.hold h SET state = CASE WHEN p_burnt THEN 'captured' ELSE 'released' END
    WHERE h.account_id = p_hold.account_id AND h.hold_id = p_hold.hold_id;
    WITH parts AS (
        SELECT p.lot_id, p.amount, l.issuer_id, l.issuer_version, l.expires_on, l.issued_at
        FROM ledger.hold_lot p
        JOIN ledger.lot l ON l.account_id = p.account_id AND l.lot_id = p.lot_id
        WHERE p.account_id = p_hold.account_id AND p.hold_id = p_hold.hold_id
    ), lots AS (
        UPDATE ledger.lot l
        SET held = l.held - p.amount, remaining = l.remaining - CASE WHEN p_burnt THEN p.amount ELSE 0 END
        FROM parts p WHERE l.account_id = p_hold.account_id AND l.lot_id = p.lot_id
    )
    INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
        lot_id, issuer_id, issuer_version, acceptor_id, acceptor_version)
    SELECT p_hold.account_id, p_journal, row_number() OVER (ORDER BY p.expires_on, p.issued_at, p.lot_id),
        p_hold.unit_id, p_stamp.window_no, 'held', CASE WHEN p_burnt THEN 'honoured' ELSE 'wallet' END, p.amount,
        p.lot_id, p.issuer_id, p.issuer_version, p_hold.acceptor_id, p_hold.acceptor_version
    FROM parts p;
END
$$;

-- Capture what a hold holds, or release it: the same journal, but for where the points go.
CREATE OR REPLACE FUNCTION ledger.post_end_of_hold(p_stamp ledger.stamp, p_command ledger.command)
RETURNS ledger.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    journal uuid := uuidv7();
    found record;
    hold ledger.hold;
    outcome ledger.outcome;
    burnt boolean := p_command.kind = 'capture';
BEGIN
    SELECT * INTO found FROM ledger.open_hold(p_command);
    IF (found.refusal)."position" IS NOT NULL THEN
        RETURN found.refusal;
    END IF;
    hold := found.hold;
    p_command.member_id := hold.member_id;
    p_command.place_id := hold.place_id;
    outcome := ledger.record_journal(p_stamp, p_command, journal, hold.hold_id, jsonb_build_object(
        'hold_id', hold.hold_id, 'points', hold.amount, 'version', hold.acceptor_version,
        'balance', ledger.move_wallet(
            p_stamp, p_command, CASE WHEN burnt THEN 0 ELSE hold.amount END, -hold.amount)));
    PERFORM ledger.end_hold(p_stamp, p_command, hold, journal, burnt);
    RETURN outcome;
END
$$;

-- Take back earned points that are still there, newest lots first: of one earn (`reverses`), whole, or of a purchase
-- (`purchase_id`), `points` of it. Points that were spent meanwhile: refused, or clipped to what is left.
CREATE OR REPLACE FUNCTION ledger.post_reverse_earn(p_stamp ledger.stamp, p_command ledger.command)
RETURNS ledger.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    journal uuid := uuidv7();
    outcome ledger.outcome;
    earned bigint;
    free bigint;
    taken_back bigint;
    wanted bigint;
    oldest integer;
    newest integer;
BEGIN
    IF p_command.points <= 0 THEN
        RETURN ledger.refused(p_command."position", 'points-not-positive');
    END IF;
    SELECT sum(l.quantity), sum(l.remaining - l.held),
        min(l.issuer_version) FILTER (WHERE l.remaining > l.held),
        max(l.issuer_version) FILTER (WHERE l.remaining > l.held)
    INTO earned, free, oldest, newest
    FROM ledger.lot l
    WHERE l.account_id = p_command.account_id AND l.unit_id = p_command.unit_id
        AND l.issuer_id = p_command.partner_id
        AND (l.journal_id = p_command.reverses OR (p_command.reverses IS NULL AND l.purchase_id = p_command.purchase_id));
    IF earned IS NULL THEN
        RETURN ledger.refused(p_command."position", 'unknown-earning');
    END IF;
    IF p_command.reverses IS NOT NULL AND EXISTS (
        SELECT FROM ledger.journal j
        WHERE j.account_id = p_command.account_id AND j.reverses = p_command.reverses) THEN
        RETURN ledger.refused(p_command."position", 'already-reversed');
    END IF;
    -- Never more than was earned and not yet taken back, however often a purchase is reversed in parts.
    SELECT coalesce(sum(m.amount), 0) INTO taken_back
    FROM ledger.lot l
    JOIN ledger.movement m ON m.account_id = l.account_id AND m.lot_id = l.lot_id AND m.credit_kind = 'issued'
    WHERE l.account_id = p_command.account_id AND l.unit_id = p_command.unit_id
        AND l.issuer_id = p_command.partner_id
        AND (l.journal_id = p_command.reverses OR (p_command.reverses IS NULL AND l.purchase_id = p_command.purchase_id));
    IF earned = taken_back THEN
        RETURN ledger.refused(p_command."position", 'nothing-to-reverse');
    END IF;
    wanted := coalesce(p_command.points, earned - taken_back);
    IF free < wanted AND p_command.shortfall IS DISTINCT FROM 'clip' THEN
        RETURN ledger.refused(p_command."position", 'points-already-spent',
            jsonb_build_object('points', wanted, 'available', free));
    END IF;
    wanted := least(wanted, free);
    IF wanted = 0 THEN
        RETURN ledger.refused(p_command."position", 'nothing-to-reverse');
    END IF;

    outcome := ledger.record_journal(p_stamp, p_command, journal, NULL, jsonb_build_object(
        -- Lots of several versions have no version in common: then the answer names none.
        'points', wanted, 'version', CASE WHEN oldest = newest THEN oldest END,
        'balance', ledger.move_wallet(p_stamp, p_command, -wanted, 0)));
    WITH ordered AS (
        SELECT l.lot_id, l.issuer_id, l.issuer_version, l.remaining - l.held AS free,
            sum(l.remaining - l.held) OVER (ORDER BY l.issued_at DESC, l.lot_id DESC) AS running
        FROM ledger.lot l
        WHERE l.account_id = p_command.account_id AND l.unit_id = p_command.unit_id
            AND l.issuer_id = p_command.partner_id AND l.remaining > l.held
            AND (l.journal_id = p_command.reverses
                 OR (p_command.reverses IS NULL AND l.purchase_id = p_command.purchase_id))
    ), taken AS (
        SELECT o.*, least(o.free, wanted - (o.running - o.free)) AS amount
        FROM ordered o WHERE o.running - o.free < wanted
    ), lots AS (
        UPDATE ledger.lot l SET remaining = l.remaining - t.amount
        FROM taken t WHERE l.account_id = p_command.account_id AND l.lot_id = t.lot_id
    )
    INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
        lot_id, issuer_id, issuer_version)
    SELECT p_command.account_id, journal, row_number() OVER (ORDER BY t.running), p_command.unit_id,
        p_stamp.window_no, 'wallet', 'issued', t.amount, t.lot_id, t.issuer_id, t.issuer_version
    FROM taken t;
    RETURN outcome;
END
$$;

-- Undo a capture: the same lots get back what they gave, at the versions of the capture.
CREATE OR REPLACE FUNCTION ledger.post_reverse_burn(p_stamp ledger.stamp, p_command ledger.command)
RETURNS ledger.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    journal uuid := uuidv7();
    captured ledger.journal;
    outcome ledger.outcome;
    total bigint;
    frozen integer;
BEGIN
    SELECT * INTO captured FROM ledger.journal j
    WHERE j.account_id = p_command.account_id AND j.unit_id = p_command.unit_id AND j.journal_id = p_command.reverses
        AND j.kind = 'capture' AND j.partner_id = p_command.partner_id;
    IF NOT FOUND THEN
        RETURN ledger.refused(p_command."position", 'unknown-redemption');
    END IF;
    IF EXISTS (SELECT FROM ledger.journal j
               WHERE j.account_id = p_command.account_id AND j.reverses = p_command.reverses) THEN
        RETURN ledger.refused(p_command."position", 'already-reversed');
    END IF;
    p_command.member_id := captured.member_id;
    p_command.place_id := captured.place_id;
    SELECT sum(m.amount), min(m.acceptor_version) INTO total, frozen FROM ledger.movement m
    WHERE m.account_id = p_command.account_id AND m.journal_id = p_command.reverses;

    outcome := ledger.record_journal(p_stamp, p_command, journal, captured.hold_id, jsonb_build_object(
        'points', total, 'version', frozen, 'balance', ledger.move_wallet(p_stamp, p_command, total, 0)));
    WITH burnt AS (
        SELECT m.* FROM ledger.movement m
        WHERE m.account_id = p_command.account_id AND m.journal_id = p_command.reverses
    ), lots AS (
        UPDATE ledger.lot l SET remaining = l.remaining + b.amount
        FROM burnt b WHERE l.account_id = p_command.account_id AND l.lot_id = b.lot_id
    )
    INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
        lot_id, issuer_id, issuer_version, acceptor_id, acceptor_version)
    SELECT p_command.account_id, journal, b.leg, b.unit_id, p_stamp.window_no, 'honoured', 'wallet', b.amount,
        b.lot_id, b.issuer_id, b.issuer_version, b.acceptor_id, b.acceptor_version
    FROM burnt b;
    RETURN outcome;
END
$$;

-- Expire what is due on `today` and not held; what a till holds waits for the till.
CREATE OR REPLACE FUNCTION ledger.post_expire(p_stamp ledger.stamp, p_command ledger.command)
RETURNS ledger.outcome LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    journal uuid := uuidv7();
    outcome ledger.outcome;
    total bigint;
BEGIN
    SELECT coalesce(sum(l.remaining - l.held), 0) INTO total
    FROM ledger.lot l
    WHERE l.account_id = p_command.account_id AND l.unit_id = p_command.unit_id
        AND l.remaining > 0 AND l.expires_on <= p_command.today;
    IF total = 0 THEN
        RETURN ledger.refused(p_command."position", 'nothing-to-expire');
    END IF;
    outcome := ledger.record_journal(p_stamp, p_command, journal, NULL, jsonb_build_object(
        'points', total, 'balance', ledger.move_wallet(p_stamp, p_command, -total, 0)));
    WITH due AS (
        SELECT l.lot_id, l.issuer_id, l.issuer_version, l.remaining - l.held AS amount,
            row_number() OVER (ORDER BY l.expires_on, l.issued_at, l.lot_id) AS leg
        FROM ledger.lot l
        WHERE l.account_id = p_command.account_id AND l.unit_id = p_command.unit_id
            AND l.remaining > l.held AND l.remaining > 0 AND l.expires_on <= p_command.today
    ), lots AS (
        UPDATE ledger.lot l SET remaining = l.remaining - d.amount
        FROM due d WHERE l.account_id = p_command.account_id AND l.lot_id = d.lot_id
    )
    INSERT INTO ledger.movement (account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount,
        lot_id, issuer_id, issuer_version)
    SELECT p_command.account_id, journal, d.leg, p_command.unit_id, p_stamp.window_no, 'wallet', 'expired',
        d.amount, d.lot_id, d.issuer_id, d.issuer_version
    FROM due d;
    RETURN outcome;
END
$$;

-- Flip the open window: from the commit on, writers stamp the next one. Returns the window that is now closing.
CREATE OR REPLACE FUNCTION ledger.flip_window(p_programme bigint, p_business_date date, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    flipped bigint;
BEGIN
    UPDATE ledger.settlement_window w SET state = 'CLOSING', flipped_at = p_now
    WHERE w.programme_id = p_programme AND w.state = 'OPEN' AND w.business_date < p_business_date
    RETURNING w.window_no INTO flipped;
    IF FOUND THEN
        INSERT INTO ledger.settlement_window (programme_id, window_no, business_date, state, opened_at)
        VALUES (p_programme, flipped + 1, p_business_date, 'OPEN', p_now);
    END IF;
    RETURN flipped;
END
$$;

-- What others may do with the books beside posting.

-- The sequencer notes the leaves of journals; gives how many had none before.
CREATE OR REPLACE FUNCTION ledger.mark_logged(p_accounts bigint[], p_journals uuid[], p_leaves bigint[])
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    marked bigint;
BEGIN
    UPDATE ledger.outbox o SET leaf_index = m.leaf_index
    FROM unnest(p_accounts, p_journals, p_leaves) AS m (account_id, journal_id, leaf_index)
    WHERE o.account_id = m.account_id AND o.journal_id = m.journal_id AND o.leaf_index IS NULL
        AND o.account_id = ANY (p_accounts);
    GET DIAGNOSTICS marked = ROW_COUNT;
    RETURN marked;
END
$$;

-- A closed window of which every journal has its leaf is sealed, once.
CREATE OR REPLACE FUNCTION ledger.seal_window(p_programme bigint, p_window bigint)
RETURNS bigint LANGUAGE sql VOLATILE AS $$
    UPDATE ledger.settlement_window SET state = 'SEALED'
    WHERE programme_id = p_programme AND window_no = p_window AND state = 'CLOSED' RETURNING window_no
$$;

-- Whoever must not post beside another waits here; each wallet by its key, in one order for all.
CREATE OR REPLACE FUNCTION ledger.lock_wallets(p_accounts bigint[], p_units bigint[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT DISTINCT g.account_id, g.unit_id FROM unnest(p_accounts, p_units) AS g (account_id, unit_id) ORDER BY 1, 2
    LOOP
        PERFORM FROM ledger.wallet w WHERE w.account_id = wanted.account_id AND w.unit_id = wanted.unit_id FOR UPDATE;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA ledger TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA ledger TO koinon_app;
-- Nothing is updated but a wallet, a lot's remainder and a state; nothing is deleted.
REVOKE UPDATE ON ALL TABLES IN SCHEMA ledger FROM koinon_app;
GRANT UPDATE (available, held, version, window_no) ON ledger.wallet TO koinon_app;
GRANT UPDATE (remaining, held) ON ledger.lot TO koinon_app;
GRANT UPDATE (state) ON ledger.hold TO koinon_app;
GRANT UPDATE (leaf_index) ON ledger.outbox TO koinon_app;
GRANT UPDATE (state, flipped_at, barrier_xid, closed_at) ON ledger.settlement_window TO koinon_app;
GRANT UPDATE (explanation, tries, tried_at, retry_at, cleared_at) ON ledger.alert TO koinon_app;
