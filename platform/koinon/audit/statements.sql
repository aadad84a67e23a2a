-- lock_log: become the sequencer for this transaction; no row when another process is
SELECT size, root, signed_size, note FROM audit.log WHERE log_id = 1 FOR UPDATE SKIP LOCKED;

-- unmarked_journals: journals that have no leaf yet, with their movements summed by parties and versions
WITH unmarked AS (
    SELECT o.account_id, o.journal_id FROM ledger.outbox o
    WHERE o.leaf_index IS NULL ORDER BY o.account_id, o.journal_id LIMIT $1
)
SELECT j.account_id, j.journal_id, j.kind, j.recorded_at, j.programme_id, j.window_no, j.unit_id,
    m.issuer_id, m.issuer_version, m.acceptor_id, m.acceptor_version, sum(m.amount)::bigint AS points
FROM unmarked u
JOIN ledger.journal j ON j.account_id = u.account_id AND j.journal_id = u.journal_id
JOIN ledger.movement m ON m.account_id = u.account_id AND m.journal_id = u.journal_id
GROUP BY j.account_id, j.journal_id, m.issuer_id, m.issuer_version, m.acceptor_id, m.acceptor_version
ORDER BY j.recorded_at, j.journal_id, min(m.leg);

-- names: codes of partners, programmes and units
SELECT partner_id AS id, code FROM parties.partner WHERE partner_id = ANY ($1::bigint[])
UNION ALL SELECT programme_id, code FROM parties.programme WHERE programme_id = ANY ($2::bigint[])
UNION ALL SELECT unit_id, code FROM ledger.unit WHERE unit_id = ANY ($3::bigint[]);

-- last_counters: the last counter of partners in windows
SELECT p.partner_id, p.window_no,
    coalesce((SELECT max(o.counter) FROM audit.opening o
              WHERE o.partner_id = p.partner_id AND o.window_no = p.window_no), 0) AS counter
FROM unnest($1::bigint[], $2::bigint[]) AS p (partner_id, window_no);

-- tiles: stored tiles by level and index
SELECT t.level, t.tile_index, t.hashes
FROM unnest($1::smallint[], $2::bigint[]) AS k (level, tile_index)
JOIN audit.tile t ON t.level = k.level AND t.tile_index = k.tile_index;

-- add_entries: write leaves from a place on
INSERT INTO audit.entry (leaf_index, leaf)
SELECT $1::bigint + ordinality - 1, leaf FROM unnest($2::bytea[]) WITH ORDINALITY AS l (leaf);

-- put_tiles: write tiles; an unfinished one grows
INSERT INTO audit.tile AS t (level, tile_index, hashes)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
ON CONFLICT (level, tile_index) DO UPDATE SET hashes = excluded.hashes
WHERE octet_length(t.hashes) < octet_length(excluded.hashes);

-- add_openings: write what opens commitments
INSERT INTO audit.opening (partner_id, window_no, counter, programme_id, leaf_index, slot, salt, content, effect,
    points, version, counterparty_id, counterparty_version, shared_slot, shared_salt, shared_content)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[],
    $8::bytea[], $9::text[], $10::bigint[], $11::integer[], $12::bigint[], $13::integer[], $14::text[], $15::bytea[],
    $16::bytea[]);

-- mark_journals: note each journal's leaf
UPDATE ledger.outbox o SET leaf_index = m.leaf_index
FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) AS m (account_id, journal_id, leaf_index)
WHERE o.account_id = m.account_id AND o.journal_id = m.journal_id AND o.leaf_index IS NULL;

-- unmarked_submissions: leaves that contexts handed in and that have no place yet
SELECT submission_id, leaf FROM audit.submission WHERE leaf_index IS NULL ORDER BY submission_id LIMIT $1;

-- submit: hand in a leaf
INSERT INTO audit.submission (submission_id, leaf) VALUES ($1, $2);

-- mark_submissions: note each submission's place
UPDATE audit.submission s SET leaf_index = m.leaf_index
FROM unnest($1::uuid[], $2::bigint[]) AS m (submission_id, leaf_index)
WHERE s.submission_id = m.submission_id AND s.leaf_index IS NULL;

-- grow_log: the log's new size and root, if it still has the size that was appended to
UPDATE audit.log SET size = $2, root = $3 WHERE log_id = 1 AND size = $1 RETURNING size;

-- sign_log: the signed note of a size
UPDATE audit.log SET signed_size = $1, note = $2 WHERE log_id = 1 AND signed_size <= $1 RETURNING signed_size;

-- log_state: what is committed and what is signed
SELECT size, root, signed_size, note FROM audit.log WHERE log_id = 1;

-- sealable_windows: closed windows of which every journal has its leaf
SELECT w.programme_id, w.window_no, p.code AS programme
FROM ledger.settlement_window w JOIN parties.programme p USING (programme_id)
WHERE w.state = 'CLOSED' AND NOT EXISTS (
    SELECT FROM ledger.outbox o
    WHERE o.leaf_index IS NULL AND o.programme_id = w.programme_id AND o.window_no = w.window_no)
AND NOT EXISTS (
    SELECT FROM ledger.settlement_window earlier
    WHERE earlier.programme_id = w.programme_id AND earlier.window_no < w.window_no AND earlier.state <> 'SEALED')
ORDER BY w.programme_id, w.window_no;

-- seal_figures: each partner's counter and sums of a window, and its outstanding points by the seal before
SELECT p.partner_id, p.code, coalesce(max(o.counter), 0) AS counter,
    coalesce(sum(o.points) FILTER (WHERE o.effect = 'issued'), 0)::bigint AS issued,
    coalesce(sum(o.points) FILTER (WHERE o.effect = 'honoured'), 0)::bigint AS honoured,
    coalesce(sum(o.points) FILTER (WHERE o.effect = 'accepted'), 0)::bigint AS accepted,
    coalesce(sum(o.points) FILTER (WHERE o.effect = 'expired'), 0)::bigint AS expired,
    coalesce((SELECT s.outstanding FROM audit.seal s
              WHERE s.programme_id = p.programme_id AND s.window_no = $2 - 1 AND s.partner_id = p.partner_id), 0)
        AS outstanding
FROM parties.partner p
LEFT JOIN audit.opening o ON o.partner_id = p.partner_id AND o.window_no = $2
WHERE p.programme_id = $1
GROUP BY p.partner_id ORDER BY p.code;

-- add_seals: write what a seal says to each partner
INSERT INTO audit.seal (programme_id, window_no, partner_id, leaf_index, salt, content, outstanding, root_index,
    root_size, root_proof)
SELECT $1, $2, s.partner_id, $3, s.salt, s.content, s.outstanding, s.root_index, $4, s.root_proof
FROM unnest($5::bigint[], $6::bytea[], $7::bytea[], $8::bigint[], $9::bigint[], $10::bytea[])
    AS s (partner_id, salt, content, outstanding, root_index, root_proof);

-- set_sealed: every journal of the window has its leaf, and the seal is written
UPDATE ledger.settlement_window SET state = 'SEALED'
WHERE programme_id = $1 AND window_no = $2 AND state = 'CLOSED' RETURNING window_no;

-- tile: one stored tile
SELECT hashes FROM audit.tile WHERE level = $1 AND tile_index = $2;

-- entries: leaves from a place on
SELECT leaf FROM audit.entry WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index;

-- openings: everything that opens a partner's commitments of a window, in the order of its counter
SELECT o.counter, o.leaf_index, e.leaf, o.slot, o.salt, o.content, o.shared_slot, o.shared_salt, o.shared_content
FROM audit.opening o JOIN audit.entry e USING (leaf_index)
WHERE o.partner_id = $1 AND o.window_no = $2 ORDER BY o.counter;

-- seal: what a window's seal says to a partner
SELECT s.leaf_index, e.leaf, s.salt, s.content, s.root_index, s.root_size, s.root_proof
FROM audit.seal s JOIN audit.entry e USING (leaf_index)
WHERE s.programme_id = $1 AND s.window_no = $2 AND s.partner_id = $3;

-- submission: a handed-in leaf with its place
SELECT s.leaf, s.leaf_index FROM audit.submission s WHERE s.submission_id = $1;

-- positions: a sealed window's points by partner, effect, version and counterparty
SELECT p.code AS partner, o.effect, o.version, c.code AS counterparty, o.counterparty_version,
    sum(o.points)::bigint AS points, count(*) AS entries
FROM audit.opening o
JOIN parties.partner p ON p.partner_id = o.partner_id
LEFT JOIN parties.partner c ON c.partner_id = o.counterparty_id
WHERE o.programme_id = $1 AND o.window_no = $2
GROUP BY p.code, o.effect, o.version, c.code, o.counterparty_version
ORDER BY 1, 2, 3, 4, 5;
