-- waiting_purchases: purchases about which more is known than was settled, the longest so first, and those that are due
-- to be tried again
(SELECT u.account_id, u.purchase_id FROM offers.purchase u
 WHERE u.settled_revision < u.revision AND u.next_try_at IS NULL ORDER BY u.waiting_since LIMIT $2)
UNION ALL
(SELECT u.account_id, u.purchase_id FROM offers.purchase u
 WHERE u.settled_revision < u.revision AND u.next_try_at <= $1 AND u.set_aside_at IS NULL
 ORDER BY u.next_try_at LIMIT $2);

-- take_purchases: of these purchases those that no other worker has, up to a number
SELECT t.account_id, t.purchase_id FROM offers.take_purchases($1::bigint[], $2::uuid[], $3) t;

-- put_off_purchase: note that settling a purchase failed, and when it is tried again; gives what became of it
UPDATE offers.purchase u
SET tries = u.tries + 1, next_try_at = $3::timestamptz + ($4::interval[])[least(u.tries + 1, cardinality($4))],
    set_aside_at = CASE WHEN u.tries >= cardinality($4) THEN $3::timestamptz END, failure = $5, failed_where = $6
WHERE u.account_id = $1 AND u.purchase_id = $2 AND u.settled_revision < u.revision
AND (u.next_try_at IS NULL OR u.next_try_at <= $3)
RETURNING u.programme_id, u.tries, u.set_aside_at;

-- short_purchases: purchases of which points should have been taken back that were spent then and are there again, the
-- longest untouched first, without those that wait to be settled anyway
SELECT DISTINCT r.account_id, r.purchase_id, u.waiting_since
FROM offers.reward r
JOIN offers.purchase u ON u.account_id = r.account_id AND u.purchase_id = r.purchase_id
    AND u.settled_revision = u.revision
JOIN ledger.lots l ON l.account_id = r.account_id AND l.purchase_id = r.purchase_id AND l.issuer_id = r.partner_id
WHERE r.shortfall_points > 0 AND l.remaining > l.held
ORDER BY u.waiting_since, r.account_id, r.purchase_id LIMIT $1;

-- purchase_facts: purchases with what a till said of them and their programme
SELECT u.account_id, u.purchase_id, u.programme_id, u.member_id, u.occurred_at, u.revision, u.merged_into,
    pr.time_zone, pr.expiry_months, pr.unit_id,
    s.partner_id AS till_partner_id, s.place_id AS till_place_id, s.amount_minor, s.currency, s.stated_points,
    s.occurred_at AS till_occurred_at, tp.code AS till_partner, pl.time_zone AS till_zone
FROM unnest($1::bigint[], $2::uuid[]) AS g (account_id, purchase_id)
JOIN offers.purchase u ON u.account_id = g.account_id AND u.purchase_id = g.purchase_id
JOIN parties.programmes pr ON pr.programme_id = u.programme_id
LEFT JOIN offers.till_sighting s
    ON s.account_id = u.account_id AND s.purchase_id = u.purchase_id AND s.reversed_at IS NULL
LEFT JOIN parties.partners tp ON tp.partner_id = s.partner_id
LEFT JOIN places.places pl ON pl.place_id = s.place_id
ORDER BY u.account_id, u.purchase_id;

-- payments_at: the card payments of purchases
SELECT p.account_id, p.purchase_id, p.fold, p.linked_at
FROM unnest($1::bigint[], $2::uuid[]) AS g (account_id, purchase_id)
JOIN offers.payment p ON p.account_id = g.account_id AND p.purchase_id = g.purchase_id AND p.merged_into IS NULL;

-- rewards_of: what purchases have earned so far
SELECT r.account_id, r.purchase_id, r.offer_id, r.partner_id, r.posted_points, r.issuer_version, r.expires_on
FROM offers.reward r WHERE r.account_id = ANY ($1::bigint[]) AND r.purchase_id = ANY ($2::uuid[]);

-- carried_to: what still stands in the ledger for purchases that turned out to be these
SELECT u.account_id, u.merged_into AS purchase_id, r.offer_id, sum(r.posted_points)::bigint AS points
FROM unnest($1::bigint[], $2::uuid[]) AS g (account_id, purchase_id)
JOIN offers.purchase u ON u.account_id = g.account_id AND u.merged_into = g.purchase_id
JOIN offers.reward r ON r.account_id = u.account_id AND r.purchase_id = u.purchase_id
WHERE r.posted_points > 0
GROUP BY u.account_id, u.merged_into, r.offer_id;

-- activations_since: the offers that accounts have switched on and that ended, on the places' clocks, after a moment of theirs
SELECT a.account_id, a.offer_id, a.version_id, a.activated_at
FROM unnest($1::bigint[], $2::timestamp[]) AS g (account_id, since)
JOIN offers.activation a ON a.account_id = g.account_id AND a.ends_at > g.since
WHERE a.account_id = ANY ($1::bigint[]);

-- activations_of: the activations of some offers by accounts, ended or not
SELECT a.account_id, a.offer_id, a.version_id, a.activated_at
FROM unnest($1::bigint[], $2::bigint[]) AS g (account_id, offer_id)
JOIN offers.activation a ON a.account_id = g.account_id AND a.offer_id = g.offer_id
WHERE a.account_id = ANY ($1::bigint[]);

-- versions_since: where and when the versions count that programmes' catalogues have gained after a revision, in order
SELECT v.programme_id, v.revision, v.offer_id, v.version_id, v.activation_required, v.places, v.starts_at, v.ends_at,
    v.published_at, (SELECT pa.code FROM parties.partners pa WHERE pa.partner_id = v.partner_id) AS partner
FROM unnest($1::bigint[], $2::bigint[]) AS g (programme_id, revision)
CROSS JOIN LATERAL (
    SELECT * FROM offers.offer_version o
    WHERE o.programme_id = g.programme_id AND o.revision > g.revision ORDER BY o.revision LIMIT $3
) v
ORDER BY v.programme_id, v.revision;

-- place_facts: places with their partner's code
SELECT pl.place_id, pl.time_zone, pa.code FROM places.places pl JOIN parties.partners pa USING (partner_id)
WHERE pl.place_id = ANY ($1::bigint[]);

-- contract_versions: partners' contract versions with the instant from which each holds
SELECT c.partner_id, c.version, c.effective_from FROM parties.contracts c
WHERE c.partner_id = ANY ($1::bigint[]) ORDER BY c.partner_id, c.effective_from;

-- lock_wallets: wait for whoever posts to these accounts
SELECT ledger.lock_wallets($1::bigint[], $2::bigint[]);

-- put_rewards: what purchases have earned by now
INSERT INTO offers.reward AS r (account_id, purchase_id, offer_id, partner_id, pending_points, posted_points,
    shortfall_points, issuer_version, expires_on, revision)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::integer[], $9::date[], $10::integer[])
ON CONFLICT (account_id, purchase_id, offer_id) DO UPDATE SET pending_points = excluded.pending_points,
    posted_points = excluded.posted_points, shortfall_points = excluded.shortfall_points,
    issuer_version = excluded.issuer_version, expires_on = excluded.expires_on, revision = excluded.revision;

-- put_decisions: the receipts of purchases and offers
INSERT INTO offers.decision AS d (account_id, purchase_id, offer_id, version_id, revision, reason, points, receipt)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::integer[], $6::text[], $7::bigint[],
    $8::text[])
ON CONFLICT (account_id, purchase_id, offer_id) DO UPDATE SET version_id = excluded.version_id,
    revision = excluded.revision, reason = excluded.reason, points = excluded.points, receipt = excluded.receipt;

-- set_settled: what is known of purchases is settled
UPDATE offers.purchase u
SET settled_revision = g.revision, place_id = coalesce(g.place_id, u.place_id), occurred_at = g.occurred_at,
    tries = 0, next_try_at = NULL, set_aside_at = NULL, failure = NULL, failed_where = NULL
FROM unnest($1::bigint[], $2::uuid[], $3::integer[], $4::bigint[], $5::timestamptz[])
    AS g (account_id, purchase_id, revision, place_id, occurred_at)
WHERE u.account_id = ANY ($1::bigint[]) AND u.account_id = g.account_id AND u.purchase_id = g.purchase_id;

-- versions: versions of offers with their funding partners
SELECT v.version_id, v.partner_id, v.body FROM offers.offer_version v WHERE v.version_id = ANY ($1::bigint[]);

-- leave_purchases: let purchases be settled again
UPDATE offers.purchase u
SET revision = u.revision + 1,
    waiting_since = CASE WHEN u.settled_revision = u.revision THEN statement_timestamp() ELSE u.waiting_since END,
    next_try_at = NULL, set_aside_at = NULL
FROM unnest($1::bigint[], $2::uuid[]) AS g (account_id, purchase_id)
WHERE u.account_id = ANY ($1::bigint[]) AND u.account_id = g.account_id AND u.purchase_id = g.purchase_id;
