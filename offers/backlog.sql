-- backlog: what the worker has still to do for a programme, all in one look, and the window that is open
-- Each queue is counted by its two halves, which have an index each and hold nothing that is done.
SELECT i.inbox, u.unsettled, o.unlogged, b.unsealed, w.window_no, w.business_date
FROM ledger.settlement_windows w, (
    SELECT count(*) AS inbox FROM (
        SELECT card_key FROM offers.inbox WHERE state = 'new' AND next_try_at IS NULL AND programme_id = $1
        UNION ALL
        SELECT card_key FROM offers.inbox
        WHERE state = 'new' AND next_try_at IS NOT NULL AND set_aside_at IS NULL AND programme_id = $1
    ) halves
) i, (
    SELECT count(*) AS unsettled FROM (
        SELECT account_id FROM offers.purchase
        WHERE settled_revision < revision AND next_try_at IS NULL AND programme_id = $1
        UNION ALL
        SELECT account_id FROM offers.purchase
        WHERE settled_revision < revision AND next_try_at IS NOT NULL AND set_aside_at IS NULL AND programme_id = $1
    ) halves
) u, (
    SELECT count(*) AS unlogged FROM ledger.unlogged_journals WHERE programme_id = $1
) o, (
    SELECT count(*) AS unsealed FROM ledger.settlement_windows
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
    FROM offers.reward r JOIN parties.partners p USING (partner_id) WHERE p.programme_id = $1
) r, (
    SELECT count(*) AS accounts, coalesce(sum(w.available), 0)::bigint AS available_points,
        coalesce(sum(w.held), 0)::bigint AS held_points
    FROM ledger.accounts a JOIN ledger.wallets w USING (account_id) WHERE a.programme_id = $1
) b;

-- set_aside: what of a programme failed in all its tries, by what it is, why and where, the oldest first
SELECT 'card-message' AS what, i.failure, i.failed_where, count(*) AS count, min(i.received_at) AS oldest
FROM offers.inbox i
WHERE i.state = 'new' AND i.next_try_at IS NOT NULL AND i.set_aside_at IS NOT NULL AND i.programme_id = $1
GROUP BY i.failure, i.failed_where
UNION ALL
SELECT 'purchase', u.failure, u.failed_where, count(*), min(u.waiting_since)
FROM offers.purchase u
WHERE u.settled_revision < u.revision AND u.next_try_at IS NOT NULL AND u.set_aside_at IS NOT NULL
AND u.programme_id = $1
GROUP BY u.failure, u.failed_where
ORDER BY oldest, what, failed_where;

-- messages_again: let a programme's messages that were set aside be tried again, as if they had never failed
UPDATE offers.inbox i
SET tries = 0, next_try_at = NULL, set_aside_at = NULL, failure = NULL, failed_where = NULL
WHERE i.state = 'new' AND i.next_try_at IS NOT NULL AND i.set_aside_at IS NOT NULL AND i.programme_id = $1;

-- purchases_again: let a programme's purchases that were set aside be tried again, as if they had never failed
UPDATE offers.purchase u
SET tries = 0, next_try_at = NULL, set_aside_at = NULL, failure = NULL, failed_where = NULL
WHERE u.settled_revision < u.revision AND u.next_try_at IS NOT NULL AND u.set_aside_at IS NOT NULL
AND u.programme_id = $1;
