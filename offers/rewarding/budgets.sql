-- standing_shares: what purchases have of budgets
SELECT h.offer_id, h.purchase_id, h.reserved_points + h.spent_points AS points
FROM unnest($1::bigint[], $2::uuid[]) AS g (offer_id, purchase_id)
JOIN offers.budget_share h ON h.offer_id = g.offer_id AND h.purchase_id = g.purchase_id;

-- set_budget_shares: grow or set shares of budgets; gives what is had then
SELECT offer_id, purchase_id, granted_points FROM offers.set_budget_shares($1::jsonb, $2);

-- budgets_due: budgets whose shares were not looked at for a while, the longest so first
SELECT b.offer_id FROM offers.budget b WHERE b.swept_at < $1 ORDER BY b.swept_at, b.offer_id LIMIT $2;

-- take_budgets: of these budgets those that no other worker has
SELECT t.offer_id, t.swept_at FROM offers.take_budgets($1::bigint[], $2) t;

-- shares_since: shares of budgets that changed between two moments
SELECT h.offer_id, h.purchase_id, h.account_id, h.revision
FROM unnest($1::bigint[], $2::timestamptz[]) AS g (offer_id, since)
JOIN offers.budget_share h ON h.offer_id = g.offer_id AND h.changed_at >= g.since AND h.changed_at < $3
WHERE h.offer_id = ANY ($1::bigint[]) AND h.reserved_points + h.spent_points > 0;

-- known_purchases: which of some purchases were written
SELECT u.account_id, u.purchase_id FROM offers.purchase u
WHERE u.account_id = ANY ($1::bigint[]) AND u.purchase_id = ANY ($2::uuid[]);

-- note_swept: until when budgets' shares were looked at
UPDATE offers.budget SET swept_at = $2 WHERE offer_id = ANY ($1::bigint[]);
