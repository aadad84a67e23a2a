-- post: take many commands of one programme in one call and answer each by its position
SELECT "position", status, answer FROM ledger.post($1::bigint, $2::jsonb) ORDER BY "position";

-- open_account: make an account and its wallet in one unit
WITH opened AS (
    INSERT INTO ledger.account (account_id, programme_id, opened_at) VALUES ($1, $2, $4)
    RETURNING account_id
)
INSERT INTO ledger.wallet (account_id, unit_id) SELECT account_id, $3::bigint FROM opened;

-- add_unit: what a programme counts
INSERT INTO ledger.unit (unit_id, programme_id, code) VALUES ($1, $2, $3);

-- first_window: open the first window of a programme
INSERT INTO ledger.settlement_window (programme_id, window_no, business_date, state, opened_at)
VALUES ($1, 1, $2, 'OPEN', $3);

-- flip_window: let writers stamp the next window; gives the window that is now closing, or NULL
SELECT ledger.flip_window($1, $2, $3);

-- closing_windows: windows that were flipped and are not yet closed
SELECT window_no, business_date, barrier_xid::text AS barrier_xid
FROM ledger.settlement_window WHERE programme_id = $1 AND state = 'CLOSING' ORDER BY window_no;

-- transaction_id: this transaction's id
SELECT pg_current_xact_id()::text;

-- set_barrier: stamp a closing window with an id from after its flip was committed; the first one stays
UPDATE ledger.settlement_window SET barrier_xid = coalesce(barrier_xid, $3::text::xid8)
WHERE programme_id = $1 AND window_no = $2 AND state = 'CLOSING'
RETURNING barrier_xid::text;

-- barrier_passed: whether every transaction that began before the barrier has ended
SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8;

-- close_window: no writer of the window is left
UPDATE ledger.settlement_window SET state = 'CLOSED', closed_at = $3
WHERE programme_id = $1 AND window_no = $2 AND state = 'CLOSING'
RETURNING window_no;

-- accounts_after: a programme's accounts in their order, after one
SELECT account_id FROM ledger.account WHERE programme_id = $1 AND account_id > $2 ORDER BY account_id LIMIT $3;

-- clear_findings: what was found before a round began that found nothing
UPDATE ledger.alert SET cleared_at = $4
WHERE programme_id = $1 AND work = $2 AND tried_at < $3 AND cleared_at IS NULL;

-- accounts_due: accounts of a programme with lots that are due on a day, and a mark that names these lots
SELECT l.account_id, l.unit_id, md5(string_agg(l.lot_id::text || ':' || l.remaining, ',' ORDER BY l.lot_id)) AS lots
FROM ledger.lot l JOIN ledger.account a USING (account_id)
WHERE a.programme_id = $1 AND l.remaining > 0 AND l.remaining > l.held AND l.expires_on <= $2
GROUP BY l.account_id, l.unit_id ORDER BY l.account_id LIMIT $3;

-- holds_due: reserved holds of a programme that ran out
SELECT h.account_id, h.unit_id, h.hold_id
FROM ledger.hold h JOIN ledger.account a USING (account_id)
WHERE a.programme_id = $1 AND h.state = 'reserved' AND h.expires_at <= $2
ORDER BY h.account_id, h.hold_id LIMIT $3;

-- pooled: unspent points of an account by issuer and by expiry
SELECT p.code, p.brand, l.expires_on, sum(l.remaining - l.held)::bigint AS available, sum(l.held)::bigint AS held
FROM ledger.lot l JOIN parties.partners p ON p.partner_id = l.issuer_id
WHERE l.account_id = $1 AND l.unit_id = $2 AND l.remaining > 0
GROUP BY p.code, p.brand, l.expires_on
ORDER BY l.expires_on, p.code;

-- history: an account's journals with the partner and place, the newest first; a hold is shown until it ends, and its end
-- then says what became of it
SELECT j.journal_id, j.kind, j.occurred_at, j.recorded_at, j.window_no, j.reason, j.purchase_id, j.hold_id, j.reverses,
    partner.code AS partner, partner.brand, place.name AS place,
    CASE j.kind WHEN 'release' THEN 0 ELSE
        coalesce(sum(m.amount) FILTER (WHERE m.credit_kind = 'wallet'), 0)
        - coalesce(sum(m.amount) FILTER (WHERE m.debit_kind = 'wallet' OR j.kind = 'capture'), 0) END::bigint AS points,
    coalesce(sum(m.amount), 0)::bigint AS moved
FROM ledger.journal j
LEFT JOIN ledger.movement m ON m.account_id = j.account_id AND m.journal_id = j.journal_id
LEFT JOIN ledger.hold h ON h.account_id = j.account_id AND h.hold_id = j.hold_id
LEFT JOIN parties.partners partner ON partner.partner_id = j.partner_id
LEFT JOIN places.places place ON place.place_id = coalesce(j.place_id, h.place_id)
WHERE j.account_id = $1 AND ($2::uuid IS NULL OR j.journal_id < $2) AND NOT (j.kind = 'hold' AND h.state <> 'reserved')
GROUP BY j.account_id, j.journal_id, partner.code, partner.brand, place.name
ORDER BY j.journal_id DESC LIMIT $3;
