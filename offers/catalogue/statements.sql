-- add_offer: a partner's offer
INSERT INTO offers.offer (offer_id, programme_id, partner_id, current_version_id, created_at)
VALUES ($1, $2, $3, $4, $5);

-- next_revision: take the next revision of a programme's catalogue; other publishers wait until the end of the transaction
INSERT INTO offers.catalogue AS c (programme_id, revision) VALUES ($1, 1)
ON CONFLICT (programme_id) DO UPDATE SET revision = c.revision + 1
RETURNING revision;

-- next_version: take the next number of a partner's offer for a version, one publisher at a time
UPDATE offers.offer o SET current_version_no = o.current_version_no + 1, current_version_id = $3
WHERE o.offer_id = $1 AND o.partner_id = $2
RETURNING o.current_version_no;

-- add_version: a version of an offer
INSERT INTO offers.offer_version (version_id, offer_id, version_no, programme_id, partner_id, activation_required,
    starts_at, ends_at, places, body, published_at, revision)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- put_budget: an offer's budget, unless purchases have more of it by now
INSERT INTO offers.budget AS b (offer_id, cap_points) VALUES ($1, $2)
ON CONFLICT (offer_id) DO UPDATE SET cap_points = excluded.cap_points
WHERE b.reserved_points + b.spent_points <= excluded.cap_points
RETURNING cap_points;

-- budget_used: what purchases have of an offer's budget
SELECT b.reserved_points + b.spent_points FROM offers.budget b WHERE b.offer_id = $1;

-- own_places: which of some places are a partner's
SELECT pl.place_id FROM places.places pl WHERE pl.place_id = ANY ($1::bigint[]) AND pl.partner_id = $2;

-- place_names: names of places
SELECT pl.place_id, pl.name FROM places.places pl WHERE pl.place_id = ANY ($1::bigint[]);

-- offers: a partner's offers, or everybody's, with their current versions and budgets, the newest first, after one
SELECT o.offer_id, o.partner_id, o.created_at, pa.brand, v.version_id, v.version_no, v.published_at,
    b.cap_points, b.reserved_points, b.spent_points
FROM offers.offer o
JOIN offers.offer_version v ON v.version_id = o.current_version_id
JOIN parties.partners pa ON pa.partner_id = o.partner_id
LEFT JOIN offers.budget b ON b.offer_id = o.offer_id
WHERE ($1::bigint IS NULL OR o.partner_id = $1)
AND (o.created_at, o.offer_id) < (
    CASE WHEN $2::bigint IS NULL THEN 'infinity'::timestamptz
        ELSE (SELECT c.created_at FROM offers.offer c WHERE c.offer_id = $2) END,
    coalesce($2, 0))
ORDER BY o.created_at DESC, o.offer_id DESC LIMIT $3;

-- offer: one offer, of a partner when one is given
SELECT o.offer_id, o.partner_id, o.created_at, pa.brand, v.version_id, v.version_no, v.published_at,
    b.cap_points, b.reserved_points, b.spent_points
FROM offers.offer o
JOIN offers.offer_version v ON v.version_id = o.current_version_id
JOIN parties.partners pa ON pa.partner_id = o.partner_id
LEFT JOIN offers.budget b ON b.offer_id = o.offer_id
WHERE o.offer_id = $1 AND ($2::bigint IS NULL OR o.partner_id = $2);

-- versions: an offer's versions, the newest first
SELECT v.version_id, v.version_no, v.published_at FROM offers.offer_version v
WHERE v.offer_id = $1 ORDER BY v.version_no DESC;

-- pending_points: what an account's purchases are expected to bring, by brand
SELECT pa.code, pa.brand, sum(r.pending_points)::bigint AS points
FROM offers.reward r JOIN parties.partners pa ON pa.partner_id = r.partner_id
WHERE r.account_id = $1 AND r.pending_points > 0
GROUP BY pa.code, pa.brand ORDER BY pa.code;

-- member_offers: offers of a programme as an account sees them, with the version that was switched on or the current one,
-- the newest first, after one; only those that have not ended everywhere, or the one that is asked for
SELECT o.offer_id, pa.code, pa.brand, v.version_id, v.version_no, a.activated_at, a.terms, a.terms_sha256,
    CASE WHEN $4::bigint IS NOT NULL
        THEN offers.ended($3::timestamptz, v.ends_at, v.places, o.partner_id, pr.time_zone) END AS ended
FROM offers.offer o
JOIN parties.programmes pr ON pr.programme_id = o.programme_id
JOIN parties.partners pa ON pa.partner_id = o.partner_id
LEFT JOIN offers.activation a ON a.account_id = $1 AND a.offer_id = o.offer_id
JOIN offers.offer_version v ON v.version_id = coalesce(a.version_id, o.current_version_id)
WHERE o.programme_id = $2
AND (o.offer_id = $4 OR ($4::bigint IS NULL AND v.ends_at > ($3 AT TIME ZONE 'UTC') - interval '12 hours'
    AND (v.ends_at > ($3 AT TIME ZONE 'UTC') + interval '14 hours'
        OR NOT offers.ended($3, v.ends_at, v.places, o.partner_id, pr.time_zone))))
AND (o.created_at, o.offer_id) < (
    CASE WHEN $5::bigint IS NULL THEN 'infinity'::timestamptz
        ELSE (SELECT c.created_at FROM offers.offer c WHERE c.offer_id = $5) END,
    coalesce($5, 0))
ORDER BY o.created_at DESC, o.offer_id DESC LIMIT $6;

-- earned: what an account has from some offers, and is expected to get
SELECT r.offer_id, sum(r.posted_points)::bigint AS posted, sum(r.pending_points)::bigint AS pending
FROM offers.reward r WHERE r.account_id = $1 AND r.offer_id = ANY ($2::bigint[]) GROUP BY r.offer_id;

-- activate: switch an offer on for an account, once
INSERT INTO offers.activation (account_id, offer_id, version_id, member_id, activated_at, ends_at, terms, terms_sha256)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (account_id, offer_id) DO NOTHING;

-- purchases: an account's purchases as far as they are known, the latest seen first, before one
SELECT u.purchase_id, u.occurred_at, pl.name AS place, pa.brand, s.amount_minor, s.currency, s.reversed_at, p.fold,
    coalesce(e.posted, 0) AS posted, coalesce(e.pending, 0) AS pending, coalesce(e.stated, 0) AS stated
FROM offers.purchase u
LEFT JOIN LATERAL (
    SELECT s.amount_minor, s.currency, s.reversed_at FROM offers.till_sighting s
    WHERE s.account_id = u.account_id AND s.purchase_id = u.purchase_id
    ORDER BY s.reversed_at IS NULL DESC, s.sighting_id DESC LIMIT 1
) s ON true
LEFT JOIN LATERAL (
    SELECT p.fold FROM offers.payment p
    WHERE p.account_id = u.account_id AND p.purchase_id = u.purchase_id AND p.merged_into IS NULL
    ORDER BY p.payment_id LIMIT 1
) p ON true
LEFT JOIN LATERAL (
    SELECT sum(r.posted_points)::bigint AS posted, sum(r.pending_points)::bigint AS pending,
        sum(r.posted_points) FILTER (WHERE r.offer_id = 0)::bigint AS stated
    FROM offers.reward r WHERE r.account_id = u.account_id AND r.purchase_id = u.purchase_id
) e ON true
LEFT JOIN places.places pl ON pl.place_id = u.place_id
LEFT JOIN parties.partners pa ON pa.partner_id = pl.partner_id
WHERE u.account_id = $1 AND u.merged_into IS NULL AND ($2::uuid IS NULL OR u.purchase_id < $2)
ORDER BY u.purchase_id DESC LIMIT $3;

-- decisions: the receipts of an account's purchases that are current, the most points first
SELECT d.purchase_id, d.offer_id, d.version_id, d.reason, d.points, pa.brand
FROM offers.decision d
JOIN offers.purchase u ON u.account_id = d.account_id AND u.purchase_id = d.purchase_id
JOIN offers.offer_version v ON v.version_id = d.version_id
JOIN parties.partners pa ON pa.partner_id = v.partner_id
WHERE d.account_id = $1 AND d.purchase_id = ANY ($2::uuid[]) AND d.revision = u.rewarded_revision
ORDER BY d.purchase_id, d.points DESC, d.offer_id;
