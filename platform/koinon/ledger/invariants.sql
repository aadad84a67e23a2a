-- What must hold at every moment, each as a query for what breaks it: one text per finding, none when all is well.
-- Parameters: the accounts to look at, or NULL for all; how many findings are wanted. The numbers are those that the
-- auditor reports by. Each is one statement that reads each row once and compares an account with itself alone, so that
-- on every shard it looks at one snapshot, and writers may go on.

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
    SELECT m.account_id, m.journal_id, 'a movement' AS what
    FROM ledger.movement m
    LEFT JOIN ledger.journal j ON j.account_id = m.account_id AND j.journal_id = m.journal_id
    LEFT JOIN ledger.lot l ON l.account_id = m.account_id AND l.lot_id = m.lot_id
    WHERE ($1::bigint[] IS NULL OR m.account_id = ANY ($1)) AND (j.journal_id IS NULL OR l.lot_id IS NULL)
    UNION ALL
    SELECT o.account_id, o.journal_id, 'a mark'
    FROM ledger.outbox o
    LEFT JOIN ledger.journal j ON j.account_id = o.account_id AND j.journal_id = o.journal_id
    WHERE ($1::bigint[] IS NULL OR o.account_id = ANY ($1)) AND j.journal_id IS NULL
    UNION ALL
    SELECT j.account_id, j.journal_id, 'an unmarked entry'
    FROM ledger.journal j
    LEFT JOIN ledger.outbox o ON o.account_id = j.account_id AND o.journal_id = j.journal_id
    WHERE ($1::bigint[] IS NULL OR j.account_id = ANY ($1)) AND o.journal_id IS NULL
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

-- i5_outstanding: of an account's points, what an issuer has outstanding is issued - honoured - expired, in every unit
SELECT format('account %s issuer %s unit %s: %s issued, %s honoured, %s expired, %s outstanding', account_id, issuer_id,
    unit_id, issued, honoured, expired, outstanding)
FROM (
    SELECT account_id, issuer_id, unit_id, sum(outstanding) AS outstanding, sum(issued) AS issued,
        sum(honoured) AS honoured, sum(expired) AS expired
    FROM (
        SELECT account_id, issuer_id, unit_id, remaining AS outstanding, 0 AS issued, 0 AS honoured, 0 AS expired
        FROM ledger.lot WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)
        UNION ALL
        SELECT account_id, issuer_id, unit_id, 0,
            CASE 'issued' WHEN debit_kind THEN amount WHEN credit_kind THEN -amount ELSE 0 END,
            CASE 'honoured' WHEN credit_kind THEN amount WHEN debit_kind THEN -amount ELSE 0 END,
            CASE 'expired' WHEN credit_kind THEN amount WHEN debit_kind THEN -amount ELSE 0 END
        FROM ledger.movement WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)
    ) both_sides
    GROUP BY account_id, issuer_id, unit_id
) sums
WHERE outstanding <> issued - honoured - expired
LIMIT $2;

-- i7_windows: a journal stands in a window of its account's programme, its movements and its mark in the same one
SELECT format('journal %s of account %s in window %s: its account is of programme %s, its rows are in windows %s',
    j.journal_id, j.account_id, j.window_no, a.programme_id, array_agg(DISTINCT r.window_no))
FROM ledger.journal j
LEFT JOIN (
    SELECT account_id, journal_id, window_no, unit_id, NULL::bigint AS programme_id FROM ledger.movement
    WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)
    UNION ALL
    SELECT account_id, journal_id, window_no, NULL, programme_id FROM ledger.outbox
    WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)
) r ON r.account_id = j.account_id AND r.journal_id = j.journal_id
LEFT JOIN (
    SELECT account_id, programme_id FROM ledger.account WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)
) a ON a.account_id = j.account_id
LEFT JOIN ledger.settlement_window w ON w.programme_id = j.programme_id AND w.window_no = j.window_no
WHERE ($1::bigint[] IS NULL OR j.account_id = ANY ($1))
    AND (w.window_no IS NULL OR a.programme_id IS DISTINCT FROM j.programme_id
        OR r.window_no IS DISTINCT FROM j.window_no OR coalesce(r.unit_id, j.unit_id) <> j.unit_id
        OR coalesce(r.programme_id, j.programme_id) <> j.programme_id)
GROUP BY j.account_id, j.journal_id, j.window_no, a.programme_id
LIMIT $2;

-- i7_wallets: a wallet names the latest window of its account's journals in its unit
SELECT format('account %s unit %s: its wallet names window %s, its journals %s', account_id, unit_id, w.window_no,
    j.window_no)
FROM (
    SELECT account_id, unit_id, window_no FROM ledger.wallet WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)
) w
LEFT JOIN (
    SELECT account_id, unit_id, max(window_no) AS window_no
    FROM ledger.journal WHERE $1::bigint[] IS NULL OR account_id = ANY ($1) GROUP BY account_id, unit_id
) j USING (account_id, unit_id)
WHERE w.window_no <> coalesce(j.window_no, 0)
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

-- i8_answers: every journal is the one answer of one request of its caller, with its window, and no answer lacks its own
SELECT format('journal %s of account %s stands %s times and is answered by %s requests', journal_id, account_id,
    journals, requests)
FROM (
    SELECT account_id, journal_id, caller, window_no, sum(journals) AS journals, sum(requests) AS requests
    FROM (
        SELECT account_id, journal_id::text AS journal_id, caller, window_no, 1 AS journals, 0 AS requests
        FROM ledger.journal WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)
        UNION ALL
        SELECT (answer ->> 'account_id')::bigint, answer ->> 'journal_id', caller, (answer ->> 'window_no')::bigint, 0, 1
        FROM koinon.request
        WHERE answer ->> 'journal_id' IS NOT NULL AND answer ->> 'account_id' IS NOT NULL
            AND ($1::bigint[] IS NULL OR (answer ->> 'account_id')::bigint = ANY ($1))
    ) both_sides
    GROUP BY account_id, journal_id, caller, window_no
) answers
WHERE journals <> 1 OR requests <> 1
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
SELECT format('journal %s of account %s undoes %s otherwise than it was done', journal_id, account_id, reverses)
FROM (
    SELECT r.account_id, r.journal_id, r.reverses, m.lot_id, m.issuer_id, m.issuer_version, m.acceptor_id,
        m.acceptor_version, sum(CASE m.journal_id WHEN r.reverses THEN m.amount ELSE -m.amount END) AS apart
    FROM (
        SELECT account_id, journal_id, reverses, journal_id AS side
        FROM ledger.journal WHERE kind = 'reverse_burn' AND ($1::bigint[] IS NULL OR account_id = ANY ($1))
        UNION ALL
        SELECT account_id, journal_id, reverses, reverses
        FROM ledger.journal WHERE kind = 'reverse_burn' AND ($1::bigint[] IS NULL OR account_id = ANY ($1))
    ) r
    JOIN ledger.movement m ON m.account_id = r.account_id AND m.journal_id = r.side
    GROUP BY r.account_id, r.journal_id, r.reverses, m.lot_id, m.issuer_id, m.issuer_version, m.acceptor_id,
        m.acceptor_version
) lots
WHERE apart <> 0
GROUP BY account_id, journal_id, reverses
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
JOIN parties.programmes p USING (programme_id)
JOIN ledger.movement m ON m.account_id = j.account_id AND m.journal_id = j.journal_id
JOIN ledger.lot l ON l.account_id = m.account_id AND l.lot_id = m.lot_id
WHERE j.kind = 'expire' AND ($1::bigint[] IS NULL OR j.account_id = ANY ($1))
    AND l.expires_on > (j.occurred_at AT TIME ZONE p.time_zone)::date
LIMIT $2;

-- i14_ends: a hold begins once, with what its lots gave, and ends at most once, whole, as its state says
SELECT format('hold %s of account %s: %s of %s points; it began %s times, was captured %s and released %s times',
    h.hold_id, h.account_id, h.state, h.amount, coalesce(j.begun, 0), coalesce(j.captured, 0), coalesce(j.released, 0))
FROM ledger.hold h
LEFT JOIN (
    SELECT account_id, hold_id, count(*) FILTER (WHERE kind = 'hold') AS begun,
        count(*) FILTER (WHERE kind = 'capture') AS captured, count(*) FILTER (WHERE kind = 'release') AS released,
        min(amount) AS least, max(amount) AS most,
        min(acceptor_id) AS acceptor_min, max(acceptor_id) AS acceptor_max,
        min(version_min) AS version_min, max(version_max) AS version_max
    FROM (
        SELECT j.account_id, j.hold_id, j.kind, sum(m.amount) AS amount, min(m.acceptor_id) AS acceptor_id,
            min(m.acceptor_version) AS version_min, max(m.acceptor_version) AS version_max
        FROM ledger.journal j
        JOIN ledger.movement m ON m.account_id = j.account_id AND m.journal_id = j.journal_id
        WHERE j.kind IN ('hold', 'capture', 'release') AND ($1::bigint[] IS NULL OR j.account_id = ANY ($1))
        GROUP BY j.account_id, j.hold_id, j.journal_id, j.kind
    ) ends
    GROUP BY account_id, hold_id
) j ON j.account_id = h.account_id AND j.hold_id = h.hold_id
LEFT JOIN (
    SELECT account_id, hold_id, sum(amount) AS amount
    FROM ledger.hold_lot WHERE $1::bigint[] IS NULL OR account_id = ANY ($1) GROUP BY account_id, hold_id
) p ON p.account_id = h.account_id AND p.hold_id = h.hold_id
WHERE ($1::bigint[] IS NULL OR h.account_id = ANY ($1))
    AND ((j.begun, j.captured, j.released, j.least, j.most, j.acceptor_min, j.acceptor_max, j.version_min,
        j.version_max, p.amount)
    IS DISTINCT FROM (1::bigint, CASE h.state WHEN 'captured' THEN 1 ELSE 0 END::bigint,
        CASE h.state WHEN 'released' THEN 1 ELSE 0 END::bigint, h.amount::numeric, h.amount::numeric, h.acceptor_id,
        h.acceptor_id, h.acceptor_version, h.acceptor_version, h.amount::numeric))
LIMIT $2;
