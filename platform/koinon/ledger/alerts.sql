-- programmes: those that are not set aside for a piece of work, who failed before after who did not, and their windows
SELECT p.programme_id, p.code, p.time_zone, p.clock_at, o.business_date AS open_date, c.programme_id IS NOT NULL AS closing,
    a.alert_id, a.tries
FROM parties.programmes p
LEFT JOIN ledger.settlement_window o ON o.programme_id = p.programme_id AND o.state = 'OPEN'
LEFT JOIN (SELECT DISTINCT programme_id FROM ledger.settlement_window WHERE state = 'CLOSING') c
    ON c.programme_id = p.programme_id
LEFT JOIN ledger.alert a ON a.programme_id = p.programme_id AND a.work = $1 AND a.cleared_at IS NULL
WHERE a.alert_id IS NULL OR a.retry_at <= $2
ORDER BY a.tried_at NULLS FIRST, p.code;

-- raise_alert: set a programme aside for a piece of work; the same again counts a try, and the next one comes later
INSERT INTO ledger.alert AS a (alert_id, programme_id, work, explanation, tries, raised_at, tried_at, retry_at)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
ON CONFLICT (programme_id, work) WHERE cleared_at IS NULL DO UPDATE
SET explanation = excluded.explanation, tries = excluded.tries, tried_at = excluded.tried_at,
    retry_at = excluded.retry_at;

-- clear_alert: a piece of work goes on
UPDATE ledger.alert SET cleared_at = $2 WHERE alert_id = $1 AND cleared_at IS NULL;
