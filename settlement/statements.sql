-- window: a window with its programme, what a run of it is told
SELECT w.programme_id, w.window_no, w.business_date, w.state, p.code AS programme, p.settlement_currency,
    (SELECT max(e.window_no) FROM ledger.settlement_windows e
     WHERE e.programme_id = w.programme_id AND e.window_no < w.window_no) AS window_before
FROM ledger.settlement_windows w JOIN parties.programmes p USING (programme_id)
WHERE w.programme_id = $1 AND w.window_no = $2;

-- standing_run: the run of a window that stands
SELECT run_id, pool_balance, part_rate_margins FROM settlement.run
WHERE programme_id = $1 AND window_no = $2 AND state NOT IN ('ABORTED', 'SUPERSEDED');

-- carried: what cells carry into a window: of each its newest line before it whose run stands
SELECT c.leg, c.partner, c.version, c.counterparty, c.counterparty_version, l.rate,
    l.points_before + l.points AS points, l.billed_before + l.amount AS billed
FROM unnest($3::text[], $4::text[], $5::integer[], $6::text[], $7::integer[])
    AS c (leg, partner, version, counterparty, counterparty_version)
CROSS JOIN LATERAL (
    SELECT l.rate, l.points_before, l.points, l.billed_before, l.amount
    FROM settlement.line l JOIN settlement.run r USING (run_id)
    WHERE l.programme_id = $1 AND l.leg = c.leg AND l.partner = c.partner AND l.version = c.version
        AND l.counterparty = c.counterparty AND l.counterparty_version = c.counterparty_version
        AND l.window_no < $2 AND r.state NOT IN ('ABORTED', 'SUPERSEDED')
    ORDER BY l.window_no DESC LIMIT 1
) l;

-- outstanding: each issuer's points in the lots at a window's end: those of now, less what later windows moved
-- Of the movements, only those of wallets that a later window moved are looked at; the log is not asked. A lot and its
-- movements change in one transaction, on one shard, and both arms name the account: so each shard answers from one
-- snapshot of its own, and names are joined to the sums.
SELECT p.code AS partner, s.issuer_version AS version, s.points
FROM (
    SELECT t.issuer_id, t.issuer_version, sum(t.points)::bigint AS points
    FROM (
        SELECT l.account_id, l.issuer_id, l.issuer_version, l.remaining AS points
        FROM ledger.accounts a JOIN ledger.lots l ON l.account_id = a.account_id
        WHERE a.programme_id = $1 AND l.remaining > 0
        UNION ALL
        SELECT m.account_id, m.issuer_id, m.issuer_version, m.amount * (
            CASE WHEN m.debit_kind IN ('wallet', 'held') THEN 1 ELSE 0 END
            - CASE WHEN m.credit_kind IN ('wallet', 'held') THEN 1 ELSE 0 END)
        FROM ledger.accounts a
        JOIN ledger.wallets w ON w.account_id = a.account_id
        JOIN ledger.movements m ON m.account_id = w.account_id AND m.unit_id = w.unit_id
        WHERE a.programme_id = $1 AND w.window_no > $2 AND m.window_no > $2
    ) t
    GROUP BY t.issuer_id, t.issuer_version
) s JOIN parties.partners p ON p.partner_id = s.issuer_id
WHERE s.points <> 0
ORDER BY p.code, s.issuer_version;

-- broken_invariant: what the auditor has found in a programme's books and not seen mended
SELECT explanation FROM ledger.alerts WHERE programme_id = $1 AND work = 'invariants' AND cleared_at IS NULL;

-- sealed_partners: the brands that a window's seal speaks to
SELECT p.partner_id, p.code
FROM audit.seals s JOIN parties.partners p USING (partner_id)
WHERE s.programme_id = $1 AND s.window_no = $2 AND NOT p.operator
ORDER BY p.code;

-- add_run: a run, unless the window has one that stands; its maker is who asked for the window's close
INSERT INTO settlement.run (run_id, programme_id, window_no, version, state, currency, maker_staff_id, submission_id,
    pool_before, pool_balance, pool_worth, pool_apart, pool_allowed, outstanding_points, part_rate_margins, explanation)
SELECT $1, $2, $3,
    1 + (SELECT count(*) FROM settlement.run r WHERE r.programme_id = $2 AND r.window_no = $3),
    'CALCULATED', $4, (SELECT m.staff_id FROM settlement.maker m WHERE m.programme_id = $2 AND m.window_no = $3),
    $5, $6, $7, $8, $9, $10, $11, $12, $13
ON CONFLICT DO NOTHING RETURNING run_id;

-- add_event: the state that a run came to
INSERT INTO settlement.run_event (run_id, event_no, state, staff_id)
SELECT $1, 1 + (SELECT count(*) FROM settlement.run_event e WHERE e.run_id = $1), $2, $3;

-- add_lines: a run's lines
INSERT INTO settlement.line (run_id, programme_id, window_no, leg, partner, version, counterparty,
    counterparty_version, debtor, creditor, rate, points_before, billed_before, points, amount)
SELECT $1, $2, $3, l.*
FROM unnest($4::text[], $5::text[], $6::integer[], $7::text[], $8::integer[], $9::text[], $10::text[], $11::text[],
    $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[]) AS l;

-- add_nets: a run's nets
INSERT INTO settlement.net (run_id, party, pays, receives)
SELECT $1, n.* FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS n;

-- add_statements: a run's statements, with what opens the run leaf's commitments
INSERT INTO settlement.statement (run_id, window_no, partner_id, content, sha256, salt, root_index, root_size,
    root_proof)
SELECT $1, $2, s.partner_id, s.content, sha256(s.content), s.salt, s.root_index, $3, s.root_proof
FROM unnest($4::bigint[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bytea[])
    AS s (partner_id, content, salt, root_index, root_proof);

-- move_run: bring a run to a state that may follow its own
UPDATE settlement.run r SET state = $2
FROM settlement.run_transition t
WHERE r.run_id = $1 AND t.state = r.state AND t.following = $2
RETURNING r.run_id;

-- add_maker: who asked that a window be closed and settled
INSERT INTO settlement.maker (programme_id, window_no, staff_id, asked_at) VALUES ($1, $2, $3, $4);

-- standing_tries: how often a window's run was tried since something stands against it
SELECT tries FROM settlement.alert WHERE programme_id = $1 AND window_no = $2 AND cleared_at IS NULL FOR UPDATE;

-- raise_alert: why a window's run could not be made; the same reason again is only noted as tried
INSERT INTO settlement.alert AS a (alert_id, programme_id, window_no, code, explanation, tries, raised_at, tried_at,
    retry_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
ON CONFLICT (programme_id, window_no) WHERE cleared_at IS NULL DO UPDATE
SET tries = excluded.tries, tried_at = excluded.tried_at, retry_at = excluded.retry_at;

-- windows_due: of each programme the first sealed window without a run, unless it is set aside
-- Who failed before comes last. Runs are made in order: behind the last one that stands, only the windows of runs that were given up lack theirs.
SELECT d.programme_id, d.window_no
FROM (
    SELECT DISTINCT ON (w.programme_id) w.programme_id, w.window_no
    FROM (
        SELECT p.programme_id, n.window_no
        FROM parties.programmes p
        LEFT JOIN LATERAL (
            SELECT s.window_no FROM settlement.run s
            WHERE s.programme_id = p.programme_id AND s.state NOT IN ('ABORTED', 'SUPERSEDED')
            ORDER BY s.window_no DESC LIMIT 1
        ) l ON true
        CROSS JOIN LATERAL (
            SELECT n.window_no FROM ledger.settlement_windows n
            WHERE n.programme_id = p.programme_id AND n.window_no > coalesce(l.window_no, 0) AND n.state = 'SEALED'
            ORDER BY n.window_no LIMIT 1
        ) n
        UNION ALL
        SELECT g.programme_id, g.window_no FROM settlement.run g WHERE g.state IN ('ABORTED', 'SUPERSEDED')
    ) w
    LEFT JOIN settlement.run r ON r.programme_id = w.programme_id AND r.window_no = w.window_no
        AND r.state NOT IN ('ABORTED', 'SUPERSEDED')
    WHERE r.run_id IS NULL
    ORDER BY w.programme_id, w.window_no
) d
LEFT JOIN settlement.alert a ON a.programme_id = d.programme_id AND a.window_no = d.window_no AND a.cleared_at IS NULL
WHERE a.alert_id IS NULL OR a.retry_at <= $1
ORDER BY a.tried_at NULLS FIRST, d.programme_id;

-- unsettled_windows: a programme's windows that were flipped and have no published run, the oldest first
SELECT w.window_no, w.state, r.run_id, r.state AS run_state
FROM ledger.settlement_windows w
LEFT JOIN settlement.run r ON r.programme_id = w.programme_id AND r.window_no = w.window_no
    AND r.state NOT IN ('ABORTED', 'SUPERSEDED')
WHERE w.programme_id = $1 AND w.state <> 'OPEN' AND (r.run_id IS NULL OR r.state = 'CALCULATED')
ORDER BY w.window_no;

-- runs_to_publish: of each programme the first run that is not published, unless it is set aside
SELECT d.run_id, d.programme_id, d.window_no
FROM (
    SELECT DISTINCT ON (r.programme_id) r.run_id, r.programme_id, r.window_no, r.calculated_at
    FROM settlement.run r WHERE r.state = 'CALCULATED' ORDER BY r.programme_id, r.window_no
) d
LEFT JOIN settlement.alert a ON a.programme_id = d.programme_id AND a.window_no = d.window_no AND a.cleared_at IS NULL
WHERE a.alert_id IS NULL OR a.retry_at <= $1
ORDER BY a.tried_at NULLS FIRST, d.calculated_at, d.run_id;

-- unpublished_statement: one statement of a run that has no bundle yet
SELECT r.programme_id, pr.code AS programme, r.window_no, r.submission_id, s.partner_id, pa.code AS partner, s.content,
    s.salt, s.root_index, s.root_size, s.root_proof
FROM settlement.statement s
JOIN settlement.run r USING (run_id)
JOIN parties.programmes pr USING (programme_id)
JOIN parties.partners pa ON pa.partner_id = s.partner_id
WHERE s.run_id = $1
    AND NOT EXISTS (SELECT FROM settlement.bundle b WHERE b.run_id = s.run_id AND b.partner_id = s.partner_id)
ORDER BY pa.code LIMIT 1;

-- bundle_before: the partner's published bundle of the last window before one, and the log that it was made under
SELECT r.run_id, r.window_no, c.size, c.root
FROM settlement.statement s
JOIN settlement.run r USING (run_id)
JOIN settlement.bundle_checkpoint c USING (run_id, partner_id)
WHERE s.partner_id = $1 AND s.window_no < $2 AND r.state NOT IN ('CALCULATED', 'ABORTED', 'SUPERSEDED')
ORDER BY s.window_no DESC LIMIT 1;

-- begin_bundle: fix the checkpoint that a partner's bundle is made under, unless somebody has
INSERT INTO settlement.bundle_checkpoint (run_id, partner_id, log_id, size, root, note, extends_run_id)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING;

-- begun_bundle: the checkpoint that a partner's bundle is made under, and the bundle that it extends
SELECT c.log_id, c.size, c.root, c.note, r.window_no AS before_window, b.size AS before_size, b.root AS before_root
FROM settlement.bundle_checkpoint c
LEFT JOIN settlement.bundle_checkpoint b ON b.run_id = c.extends_run_id AND b.partner_id = c.partner_id
LEFT JOIN settlement.run r ON r.run_id = b.run_id
WHERE c.run_id = $1 AND c.partner_id = $2;

-- may_publish: whether a run's leaf is under the signed checkpoint, and every earlier window's run is published
-- A bundle must not be made under a smaller checkpoint than the bundle of the window before it.
SELECT EXISTS (
    SELECT FROM settlement.run r JOIN audit.submissions s USING (submission_id) JOIN audit.logs l USING (log_id)
    WHERE r.run_id = $1 AND s.leaf_index < l.signed_size AND NOT EXISTS (
        SELECT FROM settlement.run e
        WHERE e.programme_id = r.programme_id AND e.window_no < r.window_no AND e.state = 'CALCULATED'));

-- add_bundle: a partner's bundle whose pieces are all there, unless it was archived before
INSERT INTO settlement.bundle (run_id, partner_id, size_bytes, sha256) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- add_bundle_part: one piece of a bundle, unless it is there
INSERT INTO settlement.bundle_part (run_id, partner_id, part_no, content) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING part_no;

-- has_bundle_part: whether the piece of a bundle that is there is this one
SELECT content = $4 FROM settlement.bundle_part WHERE run_id = $1 AND partner_id = $2 AND part_no = $3;

-- windows: a programme's windows with their runs and what stands against one, the newest first
-- What the ledger cannot do for the programme stands against the window that is to be closed next; what stands still in
-- the log stands against a run too: its window is not sealed, or its bundles are not signed, before.
SELECT w.programme_id, w.window_no, w.business_date, w.state, w.opened_at, w.flipped_at, w.closed_at, r.run_id,
    r.state AS run_state, coalesce(a.code, g.code, CASE WHEN l.alert_id IS NOT NULL THEN 'unexpected' END) AS alert,
    coalesce(a.explanation, g.explanation, l.explanation) AS explanation, coalesce(a.tries, l.tries) AS tries,
    coalesce(a.retry_at, l.retry_at) AS retry_at
FROM ledger.settlement_windows w
LEFT JOIN settlement.run r ON r.programme_id = w.programme_id AND r.window_no = w.window_no
    AND r.state NOT IN ('ABORTED', 'SUPERSEDED')
LEFT JOIN settlement.alert a ON a.programme_id = w.programme_id AND a.window_no = w.window_no
    AND a.cleared_at IS NULL
LEFT JOIN (
    SELECT l.alert_id, l.explanation, l.tries, l.retry_at, (
        SELECT min(n.window_no) FROM ledger.settlement_windows n
        WHERE n.programme_id = $1 AND n.state IN ('OPEN', 'CLOSING')) AS window_no
    FROM ledger.alerts l WHERE l.programme_id = $1 AND l.cleared_at IS NULL
    ORDER BY l.raised_at, l.alert_id LIMIT 1
) l ON l.window_no = w.window_no
LEFT JOIN LATERAL (
    SELECT s.code, s.explanation FROM audit.programme_logs p JOIN audit.alerts s USING (log_id)
    WHERE p.programme_id = w.programme_id AND s.cleared_at IS NULL
        AND (s.programme_id = w.programme_id OR s.programme_id IS NULL)
        AND (s.window_no = w.window_no OR (s.window_no IS NULL AND (w.state = 'CLOSED' OR r.state = 'CALCULATED')))
    ORDER BY s.raised_at, s.alert_id LIMIT 1
) g ON true
WHERE w.programme_id = $1 AND ($2::bigint IS NULL OR w.window_no < $2)
ORDER BY w.window_no DESC LIMIT $3;

-- runs: a programme's runs, the newest window first, after one of them
SELECT r.*, w.business_date, p.code AS programme
FROM settlement.run r
JOIN ledger.settlement_windows w USING (programme_id, window_no)
JOIN parties.programmes p USING (programme_id)
WHERE r.programme_id = $1
    AND ($2::bigint IS NULL OR (r.window_no, r.version) < (
        SELECT c.window_no, c.version FROM settlement.run c WHERE c.run_id = $2))
ORDER BY r.window_no DESC, r.version DESC LIMIT $3;

-- runs_waiting: runs of all programmes that wait for a second person, the oldest first
SELECT r.*, w.business_date, p.code AS programme
FROM settlement.run r
JOIN ledger.settlement_windows w USING (programme_id, window_no)
JOIN parties.programmes p USING (programme_id)
WHERE r.state IN ('PUBLISHED', 'OBJECTION')
ORDER BY r.calculated_at, r.run_id LIMIT $1;

-- run: one run
SELECT r.*, w.business_date, p.code AS programme
FROM settlement.run r
JOIN ledger.settlement_windows w USING (programme_id, window_no)
JOIN parties.programmes p USING (programme_id)
WHERE r.run_id = $1;

-- run_parties: the nets of a run with each brand's statement, brands by their code and then the houses
SELECT n.party, n.pays, n.receives, p.partner_id, p.brand, s.content, s.sha256
FROM settlement.run r
JOIN settlement.net n USING (run_id)
LEFT JOIN parties.partners p ON p.programme_id = r.programme_id AND p.code = n.party AND NOT p.operator
LEFT JOIN settlement.statement s ON s.run_id = r.run_id AND s.partner_id = p.partner_id
WHERE r.run_id = $1
ORDER BY p.partner_id IS NULL, n.party;

-- published_statement: a partner's statement of a window, or of the last window that was published
SELECT r.run_id, r.window_no, r.state, pa.partner_id, pa.code AS partner, s.content, s.sha256, b.size_bytes,
    b.sha256 AS bundle_sha256, c.log_id
FROM settlement.statement s
JOIN settlement.run r USING (run_id)
JOIN settlement.bundle b USING (run_id, partner_id)
JOIN settlement.bundle_checkpoint c USING (run_id, partner_id)
JOIN parties.partners pa ON pa.partner_id = s.partner_id
WHERE s.partner_id = $1 AND ($2::bigint IS NULL OR s.window_no = $2)
    AND r.state NOT IN ('CALCULATED', 'ABORTED', 'SUPERSEDED')
ORDER BY s.window_no DESC LIMIT 1;

-- published_statements: a partner's published statements, the newest window first, before one
SELECT r.window_no, r.state, s.content
FROM settlement.statement s
JOIN settlement.run r USING (run_id)
JOIN settlement.bundle b USING (run_id, partner_id)
WHERE s.partner_id = $1 AND ($2::bigint IS NULL OR s.window_no < $2)
    AND r.state NOT IN ('CALCULATED', 'ABORTED', 'SUPERSEDED')
ORDER BY s.window_no DESC LIMIT $3;

-- bundle_part: one piece of a bundle
SELECT content FROM settlement.bundle_part WHERE run_id = $1 AND partner_id = $2 AND part_no = $3;

-- partner_window: a partner's programme, its open window, and the last run that stands
SELECT pa.code AS partner, pr.programme_id, pr.code AS programme, pr.settlement_currency, w.window_no, w.business_date,
    r.run_id, r.window_no AS run_window
FROM parties.partners pa
JOIN parties.programmes pr USING (programme_id)
JOIN ledger.settlement_windows w ON w.programme_id = pr.programme_id AND w.state = 'OPEN'
LEFT JOIN LATERAL (
    SELECT s.run_id, s.window_no FROM settlement.run s
    WHERE s.programme_id = pr.programme_id AND s.state NOT IN ('ABORTED', 'SUPERSEDED')
    ORDER BY s.window_no DESC LIMIT 1
) r ON true
WHERE pa.partner_id = $1;

-- programmes: programmes by code, one or all, with their time
SELECT programme_id, code, name, time_zone, clock_at FROM parties.programmes
WHERE $1::text IS NULL OR code = $1 ORDER BY code;
