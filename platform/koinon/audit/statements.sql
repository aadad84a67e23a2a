-- open_log: an empty log of a sandbox programme
INSERT INTO audit.log (log_id) VALUES ($1);

-- log_of: the log that a programme's leaves go to
SELECT log_id FROM audit.programme_logs WHERE programme_id = $1;

-- lock_log: become a log's sequencer for this transaction; no row when another process is
SELECT log_id, size, root, signed_size, note FROM audit.log WHERE log_id = $1 FOR UPDATE SKIP LOCKED;

-- log_state: what is committed and what is signed of a log
SELECT size, root, signed_size, note FROM audit.log WHERE log_id = $1;

-- signed_log: a programme's log and the checkpoint that was signed of it last
SELECT l.log_id, l.note FROM audit.programme_logs p JOIN audit.log l USING (log_id)
WHERE p.programme_id = $1 AND l.note IS NOT NULL;

-- unsigned_logs: the logs, or one, that have leaves or were opened since they were signed last
SELECT log_id FROM audit.log
WHERE (note IS NULL OR signed_size < size) AND ($1::bigint IS NULL OR log_id = $1) ORDER BY log_id;

-- programmes: programmes with their logs
SELECT programme_id, code, log_id FROM audit.programme_logs WHERE programme_id = ANY ($1::bigint[]) ORDER BY programme_id;

-- next_with_journals: the next programme after one that has journals without a leaf
SELECT min(o.programme_id) FROM ledger.unlogged_journals o WHERE o.programme_id > $1;

-- with_submissions: programmes that handed in leaves which have no place yet
SELECT DISTINCT programme_id FROM audit.submission WHERE leaf_index IS NULL;

-- with_closed_windows: programmes of which a window waits for its seal
SELECT DISTINCT programme_id FROM ledger.settlement_windows WHERE state = 'CLOSED';

-- unmarked_journals: a programme's journals that have no leaf yet, but for some, with their movements summed
WITH unmarked AS (
    SELECT o.account_id, o.journal_id FROM ledger.unlogged_journals o
    WHERE o.programme_id = $1 AND o.journal_id <> ALL ($3::uuid[])
    ORDER BY o.window_no, o.account_id, o.journal_id LIMIT $2
)
SELECT j.account_id, j.journal_id, j.kind, j.recorded_at, j.programme_id, j.window_no, j.unit_id,
    m.issuer_id, m.issuer_version, m.acceptor_id, m.acceptor_version, sum(m.amount)::bigint AS points
FROM unmarked u
JOIN ledger.journals j ON j.account_id = u.account_id AND j.journal_id = u.journal_id
LEFT JOIN ledger.movements m ON m.account_id = u.account_id AND m.journal_id = u.journal_id
GROUP BY j.account_id, j.journal_id, j.kind, j.recorded_at, j.programme_id, j.window_no, j.unit_id, m.issuer_id,
    m.issuer_version, m.acceptor_id, m.acceptor_version
ORDER BY j.recorded_at, j.journal_id, min(m.leg);

-- names: codes of partners and units
SELECT partner_id AS id, code FROM parties.partners WHERE partner_id = ANY ($1::bigint[])
UNION ALL SELECT unit_id, code FROM ledger.units WHERE unit_id = ANY ($2::bigint[]);

-- last_counters: the last counters of partners in windows
SELECT c.partner_id, c.window_no, c.counter
FROM unnest($1::bigint[], $2::bigint[]) AS p (partner_id, window_no)
JOIN audit.counter c ON c.partner_id = p.partner_id AND c.window_no = p.window_no;

-- tiles: stored tiles of a log by level and index
SELECT t.level, t.tile_index, t.hashes
FROM unnest($2::smallint[], $3::bigint[]) AS k (level, tile_index)
JOIN audit.tile t ON t.log_id = $1 AND t.level = k.level AND t.tile_index = k.tile_index;

-- add_entries: write a log's leaves from a place on
INSERT INTO audit.entry (log_id, leaf_index, leaf)
SELECT $1, $2::bigint + ordinality - 1, leaf FROM unnest($3::bytea[]) WITH ORDINALITY AS l (leaf);

-- put_tiles: write a log's tiles; an unfinished one grows
INSERT INTO audit.tile AS t (log_id, level, tile_index, hashes)
SELECT $1, k.* FROM unnest($2::smallint[], $3::bigint[], $4::bytea[]) AS k
ON CONFLICT (log_id, level, tile_index) DO UPDATE SET hashes = excluded.hashes
WHERE octet_length(t.hashes) < octet_length(excluded.hashes);

-- add_openings: write what opens a programme's commitments
INSERT INTO audit.opening (programme_id, log_id, partner_id, window_no, counter, leaf_index, slot, salt, content,
    unit_id, effect, points, version, counterparty_id, counterparty_version, shared_slot, shared_salt, shared_content)
SELECT $1, $2, o.* FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::bytea[],
    $9::bytea[], $10::bigint[], $11::text[], $12::bigint[], $13::integer[], $14::bigint[], $15::integer[],
    $16::text[], $17::bytea[], $18::bytea[]) AS o;

-- set_counters: the last counters of a programme's partners in windows
INSERT INTO audit.counter AS c (programme_id, partner_id, window_no, counter)
SELECT $1, n.* FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS n
ON CONFLICT (partner_id, window_no) DO UPDATE SET counter = excluded.counter;

-- add_totals: add to the running totals of a programme's partners
INSERT INTO audit.total AS t (programme_id, partner_id, window_no, unit_id, effect, version, counterparty_id,
    counterparty_version, points, entries)
SELECT $1, n.* FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::integer[], $7::bigint[],
    $8::integer[], $9::bigint[], $10::bigint[]) AS n
ON CONFLICT ON CONSTRAINT total_cell DO UPDATE
SET points = t.points + excluded.points, entries = t.entries + excluded.entries;

-- mark_journals: note each journal's leaf; gives how many had none
SELECT ledger.mark_logged($1::bigint[], $2::uuid[], $3::bigint[]);

-- submit: hand in a leaf for a programme's log
INSERT INTO audit.submission (submission_id, programme_id, log_id, leaf)
SELECT $1, programme_id, log_id, $3 FROM audit.programme_logs WHERE programme_id = $2;

-- unmarked_submissions: a programme's leaves that contexts handed in and that have no place yet
SELECT submission_id, leaf FROM audit.submission WHERE leaf_index IS NULL AND programme_id = $1
ORDER BY submission_id LIMIT $2;

-- mark_submissions: note each submission's place
UPDATE audit.submission s SET leaf_index = m.leaf_index
FROM unnest($1::uuid[], $2::bigint[]) AS m (submission_id, leaf_index)
WHERE s.submission_id = m.submission_id AND s.leaf_index IS NULL;

-- grow_log: a log's new size and root, if it still has the size that was appended to
UPDATE audit.log SET size = $3, root = $4 WHERE log_id = $1 AND size = $2 RETURNING size;

-- sign_log: the signed note of a size of a log
UPDATE audit.log SET signed_size = $2, note = $3 WHERE log_id = $1 AND signed_size <= $2 RETURNING signed_size;

-- first_unsealed_window: the window of a programme that is to be sealed next, whatever its state
SELECT window_no, state FROM ledger.settlement_windows
WHERE programme_id = $1 AND state <> 'SEALED' ORDER BY window_no LIMIT 1;

-- has_unmarked: whether a journal of a window has no leaf yet
SELECT EXISTS (
    SELECT FROM ledger.unlogged_journals o WHERE o.programme_id = $1 AND o.window_no = $2);

-- seal_figures: each partner's counter and sums of a window, and its outstanding points by the seal before
SELECT p.partner_id, p.code, coalesce(c.counter, 0) AS counter, coalesce(t.issued, 0) AS issued,
    coalesce(t.honoured, 0) AS honoured, coalesce(t.accepted, 0) AS accepted, coalesce(t.expired, 0) AS expired,
    coalesce(s.outstanding, 0) AS outstanding
FROM parties.partners p
LEFT JOIN audit.counter c ON c.partner_id = p.partner_id AND c.window_no = $2
LEFT JOIN (
    SELECT partner_id,
        sum(points) FILTER (WHERE effect = 'issued')::bigint AS issued,
        sum(points) FILTER (WHERE effect = 'honoured')::bigint AS honoured,
        sum(points) FILTER (WHERE effect = 'accepted')::bigint AS accepted,
        sum(points) FILTER (WHERE effect = 'expired')::bigint AS expired
    FROM audit.total WHERE programme_id = $1 AND window_no = $2 GROUP BY partner_id
) t ON t.partner_id = p.partner_id
LEFT JOIN audit.seal s ON s.programme_id = $1 AND s.window_no = $2 - 1 AND s.partner_id = p.partner_id
WHERE p.programme_id = $1
ORDER BY p.code;

-- add_seals: write what a seal says to each partner
INSERT INTO audit.seal (programme_id, window_no, log_id, leaf_index, root_size, partner_id, salt, content, outstanding,
    root_index, root_proof)
SELECT $1, $2, $3, $4, $5, s.*
FROM unnest($6::bigint[], $7::bytea[], $8::bytea[], $9::bigint[], $10::bigint[], $11::bytea[]) AS s;

-- set_sealed: every journal of the window has its leaf, and the seal is written
SELECT ledger.seal_window($1, $2);

-- tile: one stored tile of a log
SELECT hashes FROM audit.tile WHERE log_id = $1 AND level = $2 AND tile_index = $3;

-- entries: a log's leaves from a place on
SELECT leaf FROM audit.entry WHERE log_id = $1 AND leaf_index >= $2 AND leaf_index < $3 ORDER BY leaf_index;

-- last_counter: how many entries a partner has in a window
SELECT counter FROM audit.counter WHERE partner_id = $1 AND window_no = $2;

-- openings: what opens a partner's commitments of a window, from one of its counters up to another
SELECT o.leaf_index, e.leaf, o.slot, o.salt, o.content, o.shared_slot, o.shared_salt, o.shared_content
FROM audit.opening o JOIN audit.entry e ON e.log_id = o.log_id AND e.leaf_index = o.leaf_index
WHERE o.partner_id = $1 AND o.window_no = $2 AND o.counter BETWEEN $3 AND $4 ORDER BY o.counter;

-- seal: what a window's seal says to a partner
SELECT s.leaf_index, e.leaf, s.salt, s.content, s.root_index, s.root_size, s.root_proof
FROM audit.seal s JOIN audit.entry e ON e.log_id = s.log_id AND e.leaf_index = s.leaf_index
WHERE s.programme_id = $1 AND s.window_no = $2 AND s.partner_id = $3;

-- submission: a handed-in leaf with its place
SELECT s.leaf, s.leaf_index FROM audit.submission s WHERE s.submission_id = $1;

-- positions: a sealed window's points by partner, effect, version and counterparty, over all units
SELECT p.code AS partner, t.effect, t.version, c.code AS counterparty, t.counterparty_version,
    sum(t.points)::bigint AS points, sum(t.entries)::bigint AS entries
FROM audit.total t
JOIN parties.partners p ON p.partner_id = t.partner_id
LEFT JOIN parties.partners c ON c.partner_id = t.counterparty_id
WHERE t.programme_id = $1 AND t.window_no = $2
GROUP BY p.code, t.effect, t.version, c.code, t.counterparty_version
ORDER BY 1, 2, 3, 4, 5;

-- partner_positions: a partner's points by window, effect, version and counterparty, of the windows after one
SELECT t.window_no, t.effect, t.version, c.code AS counterparty, t.counterparty_version,
    sum(t.points)::bigint AS points, sum(t.entries)::bigint AS entries
FROM audit.total t LEFT JOIN parties.partners c ON c.partner_id = t.counterparty_id
WHERE t.partner_id = $1 AND t.window_no > $2
GROUP BY t.window_no, t.effect, t.version, c.code, t.counterparty_version
ORDER BY t.window_no;

-- raise_alerts: say what stands still; the same again counts a try, and the next one comes later
INSERT INTO audit.alert AS a (log_id, code, raised_at, tried_at, retry_at, alert_id, programme_id, window_no,
    account_id, journal_id, explanation)
SELECT $1, $2, $3::timestamptz, $3, $3 + $4::interval, n.*
FROM unnest($6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::uuid[], $11::text[]) AS n
ON CONFLICT (log_id, code, programme_id, account_id, journal_id) WHERE cleared_at IS NULL DO UPDATE
SET explanation = excluded.explanation, tries = a.tries + 1, tried_at = excluded.tried_at,
    retry_at = excluded.tried_at + least($4::interval * power(2, least(a.tries, 20)), $5::interval);

-- clear_alert: a log or a programme goes on
UPDATE audit.alert SET cleared_at = $4
WHERE log_id = $1 AND code = $2 AND programme_id IS NOT DISTINCT FROM $3 AND journal_id IS NULL AND cleared_at IS NULL;

-- clear_journals: journals that were set aside have their leaves
UPDATE audit.alert SET cleared_at = $3
WHERE log_id = $1 AND journal_id = ANY ($2::uuid[]) AND cleared_at IS NULL;

-- pauses: what stands still, and when it is to be tried again
SELECT log_id, code, programme_id, journal_id, retry_at FROM audit.alert WHERE cleared_at IS NULL;

-- open_alerts: what stands still, the oldest first
SELECT a.log_id, a.code, a.programme_id, p.code AS programme, a.window_no, a.account_id, a.journal_id, a.explanation,
    a.tries, a.raised_at, a.tried_at, a.retry_at
FROM audit.alert a LEFT JOIN parties.programmes p USING (programme_id)
WHERE a.cleared_at IS NULL ORDER BY a.raised_at, a.alert_id LIMIT $1;

-- stands_against: why a programme does not go on, in its log and with it
SELECT a.explanation FROM audit.programme_logs p JOIN audit.alert a USING (log_id)
WHERE p.programme_id = $1 AND a.cleared_at IS NULL AND (a.programme_id IS NULL OR a.programme_id = $1)
ORDER BY a.raised_at, a.alert_id LIMIT 1;
