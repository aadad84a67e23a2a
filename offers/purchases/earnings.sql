-- till_facts: what tills' earnings need to know, in one look: programme and time, the caller's code, member, place,
-- contract, and what was answered for the key before
SELECT g.position, pr.programme_id, pr.code AS programme, pr.unit_id, pr.time_zone, pr.expiry_months,
    coalesce(pr.clock_at, $6::timestamptz) AS now, pa.code AS partner, m.account_id, pl.time_zone AS place_zone,
    k.key_version, k.master_version, k.wrapped,
    EXISTS (SELECT FROM parties.contracts c
            WHERE c.partner_id = pa.partner_id AND c.effective_from <= g.occurred_at) AS contracted,
    EXISTS (SELECT FROM identity.sources so
            WHERE so.source_id = g.source_id AND so.programme_id = pr.programme_id) AS known_source,
    r.content_hash, r.answer
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bigint[], $7::text[], $8::text[])
    WITH ORDINALITY AS g (partner_id, member_id, place_id, occurred_at, source_id, caller, key, position)
JOIN parties.partners pa ON pa.partner_id = g.partner_id
JOIN parties.programmes pr ON pr.programme_id = pa.programme_id
LEFT JOIN members.members m ON m.member_id = g.member_id AND m.programme_id = pr.programme_id
LEFT JOIN members.member_keys k ON k.member_id = m.member_id
LEFT JOIN places.places pl ON pl.place_id = g.place_id AND pl.partner_id = pa.partner_id
LEFT JOIN koinon.request r ON r.caller = g.caller AND r.key = g.key
ORDER BY g.position;

-- known_requests: what callers were answered for keys
SELECT g.position - 1 AS position, r.content_hash, r.answer
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (caller, key, position)
JOIN koinon.request r ON r.caller = g.caller AND r.key = g.key;

-- card_owners: whose cards some are now
SELECT c.card_key, c.member_id FROM offers.card c WHERE c.card_key = ANY ($1::bigint[]) AND c.unlinked_at IS NULL;

-- unreversed_tenders: tills' standing reports of payments by account and authorisation code
SELECT s.account_id, s.sighting_id, s.source_id, s.card_token, s.auth_code, s.place_id, s.amount_minor, s.occurred_at
FROM unnest($1::bigint[], $2::text[]) AS g (account_id, auth_code)
JOIN offers.till_sighting s ON s.account_id = g.account_id AND s.auth_code = g.auth_code AND s.reversed_at IS NULL;

-- record_earnings: new purchases that tills report and that are rewarded, what the tills said, and what they are answered;
-- gives how many of the keys were new. Each row is written once, whole.
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[],
        $7::bigint[], $8::bytea[], $9::bigint[], $10::text[], $11::bigint[], $12::text[], $13::bigint[], $14::text[])
    AS g (account_id, purchase_id, programme_id, member_id, occurred_at, partner_id, place_id, sealed_receipt, amount_minor,
        currency, stated_points, card_token, source_id, auth_code)
), purchases AS (
    INSERT INTO offers.purchase (account_id, purchase_id, programme_id, member_id, occurred_at, place_id, revision,
        rewarded_revision)
    SELECT g.account_id, g.purchase_id, g.programme_id, g.member_id, g.occurred_at, g.place_id, 1, 1 FROM given g
), sightings AS (
    INSERT INTO offers.till_sighting (account_id, sighting_id, purchase_id, partner_id, place_id, sealed_receipt,
        amount_minor, currency, stated_points, card_token, source_id, auth_code, occurred_at)
    SELECT g.account_id, g.purchase_id, g.purchase_id, g.partner_id, g.place_id, g.sealed_receipt, g.amount_minor, g.currency,
        g.stated_points, g.card_token, g.source_id, g.auth_code, g.occurred_at FROM given g
), requests AS (
    INSERT INTO koinon.request (caller, key, content_hash, status, answer)
    SELECT r.caller, r.key, decode(r.content_hash, 'hex'), 201, r.answer::jsonb
    FROM unnest($15::text[], $16::text[], $17::text[], $18::text[]) AS r (caller, key, content_hash, answer)
    ORDER BY r.caller, r.key
    ON CONFLICT DO NOTHING
    RETURNING key
)
SELECT count(*) FROM requests;

-- add_sightings: what tills said of purchases that their cards have shown
INSERT INTO offers.till_sighting (account_id, sighting_id, purchase_id, partner_id, place_id, sealed_receipt, amount_minor,
    currency, stated_points, card_token, source_id, auth_code, occurred_at)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[],
    $8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::text[], $13::timestamptz[]);

-- reverse_sighting: a till takes its earning back, once; gives its purchase
WITH reversed AS (
    UPDATE offers.till_sighting s SET reversed_at = $4
    WHERE s.account_id = $1 AND s.sighting_id = $2 AND s.partner_id = $3 AND s.reversed_at IS NULL
    RETURNING account_id, purchase_id
)
UPDATE offers.purchase u SET revision = u.revision + 1
FROM reversed r WHERE u.account_id = r.account_id AND u.purchase_id = r.purchase_id
RETURNING u.purchase_id;

-- shortfall: points of a purchase that should have been taken back and were spent
SELECT coalesce(sum(r.shortfall_points), 0)::bigint FROM offers.reward r WHERE r.account_id = $1 AND r.purchase_id = $2;

-- sighting: whether there is such an earning of a partner
SELECT EXISTS (SELECT FROM offers.till_sighting s
               WHERE s.account_id = $1 AND s.sighting_id = $2 AND s.partner_id = $3);

-- partner_facts: a partner's programme and time
SELECT pr.programme_id, pr.code AS programme, pr.unit_id, coalesce(pr.clock_at, $2::timestamptz) AS now,
    pa.code AS partner
FROM parties.partners pa JOIN parties.programmes pr USING (programme_id) WHERE pa.partner_id = $1;

-- capture_of: the journal that captured a redemption
SELECT j.journal_id FROM ledger.journals j
WHERE j.account_id = $1 AND j.hold_id = $2 AND j.kind = 'capture' AND j.partner_id = $3;
