-- What must hold at every moment, each as a query for what breaks it: one text per finding, none when all is well.
-- Parameters: the accounts to look at, or NULL for all; how many findings are wanted. Each is one statement, and so
-- looks at one snapshot, and writers may go on. The numbers are those that the auditor reports by.

-- i1_kinds: a journal has movements, each between the two kinds that its own kind moves between
SELECT format('journal %s of account %s: %s moves %s to %s', j.journal_id, j.account_id, j.kind,
    coalesce(m.debit_kind, 'nothing'), coalesce(m.credit_kind, 'nothing'))
FROM ledger.journal j
LEFT JOIN ledger.movement m ON m.account_id = j.account_id AND m.journal_id = j.journal_id
WHERE ($1::bigint[] IS NULL OR j.account_id = ANY ($1))
    AND (m.journal_id IS NULL OR m.amount <= 0 OR (j.kind NOT IN ('transfer', 'adjust')
        AND (j.kind, m.debit_kind, m.credit_kind) NOT IN (
            ('earn', 'issued', 'wallet'), ('hold', 'wallet', 'held'), ('capture', 'held', 'honoured'),
            ('release', 'held', 'wallet'), ('reverse_earn', 'wallet', 'issued'),
            ('reverse_burn', 'honoured', 'wallet'), ('expire', 'wallet', 'expired'))))
LIMIT $2;

-- i2_wallets: a wallet's available and held points are those of its account's lots in that unit
SELECT format('account %s unit %s: wallet %s and %s held, lots %s and %s held', account_id, unit_id,
    w.available, w.held, l.available, l.held)
FROM (SELECT * FROM ledger.wallet WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)) w
FULL JOIN (
    SELECT account_id, unit_id, sum(remaining - held) AS available, sum(held) AS held
    FROM ledger.lot WHERE $1::bigint[] IS NULL OR account_id = ANY ($1) GROUP BY account_id, unit_id
) l USING (account_id, unit_id)
WHERE (w.available, w.held) IS DISTINCT FROM (coalesce(l.available, 0), coalesce(l.held, 0))
LIMIT $2;

-- i3_lots: a lot's quantity, remainder and held points are the sums of its movements, all at its issuer and version
SELECT format('lot %s of account %s: %s, %s remaining, %s held; its movements make %s, %s, %s', l.lot_id, l.account_id,
    l.quantity, l.remaining, l.held, m.quantity, m.remaining, m.held)
FROM ledger.lot l
LEFT JOIN (
    SELECT account_id, lot_id,
        sum(amount) FILTER (WHERE debit_kind = 'issued') AS quantity,
        sum(CASE WHEN debit_kind IN ('wallet', 'held') THEN -amount ELSE 0 END
            + CASE WHEN credit_kind IN ('wallet', 'held') THEN amount ELSE 0 END) AS remaining,
        sum(CASE WHEN debit_kind = 'held' THEN -amount WHEN credit_kind = 'held' THEN amount ELSE 0 END) AS held,
        min(issuer_id) AS issuer_min, max(issuer_id) AS issuer_max,
        min(issuer_version) AS version_min, max(issuer_version) AS version_max,
        min(unit_id) AS unit_min, max(unit_id) AS unit_max
    FROM ledger.movement WHERE $1::bigint[] IS NULL OR account_id = ANY ($1) GROUP BY account_id, lot_id
) m USING (account_id, lot_id)
WHERE ($1::bigint[] IS NULL OR l.account_id = ANY ($1))
    AND (l.quantity, l.remaining, l.held, l.issuer_id, l.issuer_id, l.issuer_version, l.issuer_version,
        l.unit_id, l.unit_id)
    IS DISTINCT FROM (m.quantity, m.remaining, m.held, m.issuer_min, m.issuer_max, m.version_min, m.version_max,
        m.unit_min, m.unit_max)
LIMIT $2;

-- i3_orphans: every movement and every mark for the log stands under a journal, and every movement under a lot
SELECT format('%s of journal %s of account %s stands alone', what, journal_id, account_id)
FROM (
    SELECT 'a movement' AS what, m.account_id, m.journal_id FROM ledger.movement m
    WHERE ($1::bigint[] IS NULL OR m.account_id = ANY ($1)) AND (
        NOT EXISTS (SELECT FROM ledger.journal j WHERE j.account_id = m.account_id AND j.journal_id = m.journal_id)
        OR NOT EXISTS (SELECT FROM ledger.lot l WHERE l.account_id = m.account_id AND l.lot_id = m.lot_id))
    UNION ALL
    SELECT 'a mark', o.account_id, o.journal_id FROM ledger.outbox o
    WHERE ($1::bigint[] IS NULL OR o.account_id = ANY ($1))
        AND NOT EXISTS (SELECT FROM ledger.journal j WHERE j.account_id = o.account_id AND j.journal_id = o.journal_id)
    UNION ALL
    SELECT 'an unmarked entry', j.account_id, j.journal_id FROM ledger.journal j
    WHERE ($1::bigint[] IS NULL OR j.account_id = ANY ($1))
        AND NOT EXISTS (SELECT FROM ledger.outbox o WHERE o.account_id = j.account_id AND o.journal_id = j.journal_id)
) alone
LIMIT $2;

-- i4_holds: no lot is below nothing or held above what remains, and what is held is what open holds hold
SELECT format('lot %s of account %s: %s, %s remaining, %s held; open holds hold %s', l.lot_id, l.account_id,
    l.quantity, l.remaining, l.held, coalesce(h.held, 0))
FROM ledger.lot l
LEFT JOIN (
    SELECT p.account_id, p.lot_id, sum(p.amount) AS held
    FROM ledger.hold h JOIN ledger.hold_lot p ON p.account_id = h.account_id AND p.hold_id = h.hold_id
    WHERE h.state = 'reserved' AND ($1::bigint[] IS NULL OR h.account_id = ANY ($1))
    GROUP BY p.account_id, p.lot_id
) h USING (account_id, lot_id)
WHERE ($1::bigint[] IS NULL OR l.account_id = ANY ($1))
    AND NOT (0 <= l.held AND l.held <= l.remaining AND l.remaining <= l.quantity AND l.held = coalesce(h.held, 0))
LIMIT $2;

-- i5_outstanding: an issuer's outstanding points are issued - honoured - expired, in every unit
SELECT format('issuer %s unit %s: %s issued, %s honoured, %s expired, %s outstanding', issuer_id, unit_id,
    m.issued, m.honoured, m.expired, l.outstanding)
FROM (
    SELECT issuer_id, unit_id, sum(remaining) AS outstanding
    FROM ledger.lot WHERE $1::bigint[] IS NULL OR account_id = ANY ($1) GROUP BY issuer_id, unit_id
) l
FULL JOIN (
    SELECT issuer_id, unit_id,
        sum(CASE 'issued' WHEN debit_kind THEN amount WHEN credit_kind THEN -amount ELSE 0 END) AS issued,
        sum(CASE 'honoured' WHEN credit_kind THEN amount WHEN debit_kind THEN -amount ELSE 0 END) AS honoured,
        sum(CASE 'expired' WHEN credit_kind THEN amount WHEN debit_kind THEN -amount ELSE 0 END) AS expired
    FROM ledger.movement WHERE $1::bigint[] IS NULL OR account_id = ANY ($1) GROUP BY issuer_id, unit_id
) m USING (issuer_id, unit_id)
WHERE l.outstanding IS DISTINCT FROM m.issued - m.honoured - m.expired
LIMIT $2;

-- i7_windows: a journal stands in a window of its account's programme, its movements and its mark in the same one
SELECT format('journal %s of account %s in window %s: its account is of programme %s, its rows are in windows %s',
    j.journal_id, j.account_id, j.window_no, a.programme_id, array_agg(DISTINCT r.window_no))
FROM ledger.journal j
LEFT JOIN ledger.account a USING (account_id)
LEFT JOIN ledger.settlement_window w ON w.programme_id = j.programme_id AND w.window_no = j.window_no
LEFT JOIN LATERAL (
    SELECT m.window_no, m.unit_id, j.programme_id AS programme_id FROM ledger.movement m
    WHERE m.account_id = j.account_id AND m.journal_id = j.journal_id
    UNION ALL
    SELECT o.window_no, j.unit_id, o.programme_id FROM ledger.outbox o
    WHERE o.account_id = j.account_id AND o.journal_id = j.journal_id
) r ON true
WHERE ($1::bigint[] IS NULL OR j.account_id = ANY ($1))
    AND (w.window_no IS NULL OR a.programme_id IS DISTINCT FROM j.programme_id
        OR (r.window_no, r.unit_id, r.programme_id) IS DISTINCT FROM (j.window_no, j.unit_id, j.programme_id))
GROUP BY j.journal_id, j.account_id, j.window_no, a.programme_id
LIMIT $2;

-- i7_barrier: nothing entered a window after its barrier: whoever read the window had an id from before it
SELECT format('journal %s of account %s entered window %s of programme %s after its close', j.journal_id,
    j.account_id, j.window_no, j.programme_id)
FROM ledger.journal j JOIN ledger.settlement_window w USING (programme_id, window_no)
WHERE ($1::bigint[] IS NULL OR j.account_id = ANY ($1)) AND j.transaction_id >= w.barrier_xid
LIMIT $2;

-- i7_calendar: windows are dense, their dates ascend, the last one alone is open, and no closed one lacks its barrier
SELECT format('programme %s window %s: %s, %s', programme_id, window_no, business_date, state)
FROM (
    SELECT w.*, row_number() OVER numbers AS place, lag(business_date) OVER numbers AS before,
        lead(window_no) OVER numbers IS NULL AS is_last
    FROM ledger.settlement_window w
    WHERE $1::bigint[] IS NULL
        OR programme_id IN (SELECT a.programme_id FROM ledger.account a WHERE a.account_id = ANY ($1))
    WINDOW numbers AS (PARTITION BY programme_id ORDER BY window_no)
) w
WHERE window_no <> place OR business_date <= before OR (state = 'OPEN') <> is_last
    OR (state IN ('CLOSED', 'SEALED') AND (barrier_xid IS NULL OR closed_at IS NULL))
LIMIT $2;

-- i8_answers: every journal is the one answer of one request of its caller, with its window
SELECT format('journal %s of account %s is answered by %s requests', j.journal_id, j.account_id, count(r.key))
FROM ledger.journal j
LEFT JOIN koinon.request r ON r.caller = j.caller AND r.answer ->> 'journal_id' = j.journal_id::text
    AND (r.answer ->> 'window_no')::bigint = j.window_no
WHERE $1::bigint[] IS NULL OR j.account_id = ANY ($1)
GROUP BY j.account_id, j.journal_id
HAVING count(r.key) <> 1
LIMIT $2;

-- i9_once: nothing is reversed twice, and what is reversed is an earn or a capture of the same account and unit
SELECT format('journal %s of account %s is reversed by %s, %s times', j.reverses, j.account_id, min(j.kind), count(*))
FROM ledger.journal j
LEFT JOIN ledger.journal o ON o.account_id = j.account_id AND o.journal_id = j.reverses
WHERE j.reverses IS NOT NULL AND ($1::bigint[] IS NULL OR j.account_id = ANY ($1))
GROUP BY j.account_id, j.reverses
HAVING count(*) > 1 OR bool_or(
    (j.kind, o.kind, o.unit_id, o.partner_id) IS DISTINCT FROM ('reverse_earn', 'earn', j.unit_id, j.partner_id)
    AND (j.kind, o.kind, o.unit_id, o.partner_id) IS DISTINCT FROM ('reverse_burn', 'capture', j.unit_id, j.partner_id))
LIMIT $2;

-- i9_whole: a reversed burn moves what the capture moved, lot by lot, at the same versions
SELECT format('journal %s of account %s undoes %s otherwise than it was done', r.journal_id, r.account_id, r.reverses)
FROM ledger.journal r
WHERE r.kind = 'reverse_burn' AND ($1::bigint[] IS NULL OR r.account_id = ANY ($1)) AND (
    SELECT array_agg((m.lot_id, m.amount, m.issuer_id, m.issuer_version, m.acceptor_id, m.acceptor_version)::text
        ORDER BY m.lot_id)
    FROM ledger.movement m WHERE m.account_id = r.account_id AND m.journal_id = r.journal_id
) IS DISTINCT FROM (
    SELECT array_agg((m.lot_id, m.amount, m.issuer_id, m.issuer_version, m.acceptor_id, m.acceptor_version)::text
        ORDER BY m.lot_id)
    FROM ledger.movement m WHERE m.account_id = r.account_id AND m.journal_id = r.reverses
)
LIMIT $2;

-- i9_lots: no lot gave back more than it was issued with
SELECT format('lot %s of account %s: %s issued, %s taken back', m.lot_id, m.account_id,
    sum(m.amount) FILTER (WHERE m.debit_kind = 'issued'), sum(m.amount) FILTER (WHERE m.credit_kind = 'issued'))
FROM ledger.movement m
WHERE 'issued' IN (m.debit_kind, m.credit_kind) AND ($1::bigint[] IS NULL OR m.account_id = ANY ($1))
GROUP BY m.account_id, m.lot_id
HAVING coalesce(sum(m.amount) FILTER (WHERE m.credit_kind = 'issued'), 0)
    > coalesce(sum(m.amount) FILTER (WHERE m.debit_kind = 'issued'), 0)
LIMIT $2;

-- i10_expiry: what expired was due on the business date of its expiry
SELECT format('lot %s of account %s expired at %s and was good before %s', l.lot_id, l.account_id, j.occurred_at,
    l.expires_on)
FROM ledger.journal j
JOIN parties.programme p USING (programme_id)
JOIN ledger.movement m ON m.account_id = j.account_id AND m.journal_id = j.journal_id
JOIN ledger.lot l ON l.account_id = m.account_id AND l.lot_id = m.lot_id
WHERE j.kind = 'expire' AND ($1::bigint[] IS NULL OR j.account_id = ANY ($1))
    AND l.expires_on > (j.occurred_at AT TIME ZONE p.time_zone)::date
LIMIT $2;

-- i14_ends: a hold begins once, with what its lots gave, and ends at most once, whole, as its state says
SELECT format('hold %s of account %s: %s of %s points; it began %s times, was captured %s and released %s times',
    h.hold_id, h.account_id, h.state, h.amount, count(*) FILTER (WHERE j.kind = 'hold'),
    count(*) FILTER (WHERE j.kind = 'capture'), count(*) FILTER (WHERE j.kind = 'release'))
FROM ledger.hold h
LEFT JOIN LATERAL (
    SELECT j.kind, sum(m.amount) AS amount, min(m.acceptor_id) AS acceptor_id, max(m.acceptor_version) AS version
    FROM ledger.journal j JOIN ledger.movement m ON m.account_id = j.account_id AND m.journal_id = j.journal_id
    WHERE j.account_id = h.account_id AND j.hold_id = h.hold_id AND j.kind IN ('hold', 'capture', 'release')
    GROUP BY j.journal_id, j.kind
) j ON true
WHERE $1::bigint[] IS NULL OR h.account_id = ANY ($1)
GROUP BY h.account_id, h.hold_id, h.state, h.amount, h.acceptor_id, h.acceptor_version
HAVING count(*) FILTER (WHERE j.kind = 'hold') <> 1
    OR count(*) FILTER (WHERE j.kind = 'capture') <> CASE h.state WHEN 'captured' THEN 1 ELSE 0 END
    OR count(*) FILTER (WHERE j.kind = 'release') <> CASE h.state WHEN 'released' THEN 1 ELSE 0 END
    OR bool_or((j.amount, j.acceptor_id, j.version)
        IS DISTINCT FROM (h.amount::numeric, h.acceptor_id, h.acceptor_version))
    OR h.amount <> (SELECT sum(p.amount) FROM ledger.hold_lot p
                    WHERE p.account_id = h.account_id AND p.hold_id = h.hold_id)
LIMIT $2;
