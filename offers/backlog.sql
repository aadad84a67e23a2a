-- backlog: what the worker has still to do for a programme, all in one look, and the window that is open
SELECT i.inbox, u.unsettled, o.unlogged, b.unsealed, w.window_no, w.business_date
FROM ledger.settlement_window w, (
    SELECT count(*) AS inbox FROM offers.inbox WHERE state = 'new' AND programme_id = $1
) i, (
    SELECT count(*) AS unsettled FROM offers.purchase WHERE settled_revision < revision AND programme_id = $1
) u, (
    SELECT count(*) AS unlogged FROM ledger.outbox WHERE leaf_index IS NULL AND programme_id = $1
) o, (
    SELECT count(*) AS unsealed FROM ledger.settlement_window
    WHERE programme_id = $1 AND state IN ('CLOSING', 'CLOSED')
) b
WHERE w.programme_id = $1 AND w.state = 'OPEN';

-- figures: what a programme's purchases have come to
SELECT
    (SELECT count(*) FROM offers.purchase u WHERE u.programme_id = $1) AS purchases,
    r.rewards, r.posted_points, r.pending_points, b.accounts, b.available_points, b.held_points
FROM (
    SELECT count(*) FILTER (WHERE r.posted_points > 0 OR r.pending_points > 0) AS rewards,
        coalesce(sum(r.posted_points), 0)::bigint AS posted_points,
        coalesce(sum(r.pending_points), 0)::bigint AS pending_points
    FROM offers.reward r JOIN parties.partner p USING (partner_id) WHERE p.programme_id = $1
) r, (
    SELECT count(*) AS accounts, coalesce(sum(w.available), 0)::bigint AS available_points,
        coalesce(sum(w.held), 0)::bigint AS held_points
    FROM ledger.account a JOIN ledger.wallet w USING (account_id) WHERE a.programme_id = $1
) b;
