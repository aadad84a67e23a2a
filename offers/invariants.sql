-- What must hold between the offers' books and the ledger's, each as a query for what breaks it
-- (koinon/ledger/invariants.sql says how they are written and which parameters they take).

-- i11_rewards: what a purchase's rewards say is posted is what the ledger issued for it, less what it took back
SELECT format('purchase %s of account %s, issuer %s: its rewards say that %s points are posted, and its lots %s',
    purchase_id, account_id, issuer_id, posted, issued)
FROM (
    SELECT account_id, purchase_id, issuer_id, sum(posted) AS posted, sum(issued) AS issued
    FROM (
        SELECT account_id, purchase_id, partner_id AS issuer_id, posted_points AS posted, 0 AS issued
        FROM offers.reward WHERE $1::bigint[] IS NULL OR account_id = ANY ($1)
        UNION ALL
        SELECT l.account_id, l.purchase_id, l.issuer_id, 0,
            CASE m.debit_kind WHEN 'issued' THEN m.amount ELSE -m.amount END
        FROM ledger.lots l JOIN ledger.movements m ON m.account_id = l.account_id AND m.lot_id = l.lot_id
        WHERE l.purchase_id IS NOT NULL AND 'issued' IN (m.debit_kind, m.credit_kind)
            AND ($1::bigint[] IS NULL OR l.account_id = ANY ($1))
    ) both_sides
    GROUP BY account_id, purchase_id, issuer_id
) purchases
WHERE posted <> issued
LIMIT $2;
