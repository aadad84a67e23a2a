-- What must hold between what runs recorded, each as a query for what breaks it (koinon/ledger/invariants.sql says how
-- they are written). No account stands in a run: the first parameter is the programmes to look at, or NULL for all.

-- i6_zero: what all parties of a run pay is what all receive, and each pays and receives what its lines move
SELECT format('run %s: %s pays %s and receives %s, and its lines come to %s and %s', run_id, party, pays, receives,
    debits, credits)
FROM (
    SELECT run_id, party, sum(pays) AS pays, sum(receives) AS receives, sum(debits) AS debits, sum(credits) AS credits
    FROM (
        SELECT n.run_id, n.party, n.pays, n.receives, 0 AS debits, 0 AS credits
        FROM settlement.net n JOIN settlement.run r USING (run_id)
        WHERE $1::bigint[] IS NULL OR r.programme_id = ANY ($1)
        UNION ALL
        SELECT run_id, debtor, 0, 0, amount, 0 FROM settlement.line
        WHERE $1::bigint[] IS NULL OR programme_id = ANY ($1)
        UNION ALL
        SELECT run_id, creditor, 0, 0, 0, amount FROM settlement.line
        WHERE $1::bigint[] IS NULL OR programme_id = ANY ($1)
    ) sides
    GROUP BY run_id, party
) parties
WHERE pays <> debits OR receives <> credits
LIMIT $2;

-- i6_carried: of the runs that stand, each line of a cell starts where its line before ended
SELECT format('%s of %s, version %s, in window %s of programme %s starts from %s points and %s billed, after %s and %s',
    leg, partner, version, window_no, programme_id, points_before, billed_before, points_then, billed_then)
FROM (
    SELECT l.*, lag(l.points_before + l.points, 1, 0::bigint) OVER cell AS points_then,
        lag(l.billed_before + l.amount, 1, 0::bigint) OVER cell AS billed_then
    FROM settlement.line l JOIN settlement.run r USING (run_id)
    WHERE r.state NOT IN ('ABORTED', 'SUPERSEDED') AND ($1::bigint[] IS NULL OR l.programme_id = ANY ($1))
    WINDOW cell AS (
        PARTITION BY l.programme_id, l.leg, l.partner, l.version, l.counterparty, l.counterparty_version
        ORDER BY l.window_no)
) cells
WHERE (points_before, billed_before) <> (points_then, billed_then)
LIMIT $2;

-- i6_pool: the pool has what the run before left in it, and what this run's parties bring
SELECT format('run %s of window %s: the pool goes from %s to %s by %s, and the run before left %s', run_id, window_no,
    pool_before, pool_balance, net, left_before)
FROM (
    SELECT r.*, n.receives - n.pays AS net,
        lag(r.pool_balance, 1, 0::bigint) OVER (PARTITION BY r.programme_id ORDER BY r.window_no) AS left_before
    FROM settlement.run r LEFT JOIN settlement.net n ON n.run_id = r.run_id AND n.party = 'pool'
    WHERE r.state NOT IN ('ABORTED', 'SUPERSEDED') AND ($1::bigint[] IS NULL OR r.programme_id = ANY ($1))
) runs
WHERE pool_before IS DISTINCT FROM left_before OR pool_balance IS DISTINCT FROM pool_before + net
LIMIT $2;
