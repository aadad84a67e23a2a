-- standings: for each (partner, instant or null for now): programme, time, and the contract version in force, in order
SELECT asked.place, pa.partner_id, pa.code AS partner, pa.brand, pa.operator, pa.attested_points_per_day,
    pr.programme_id, pr.code AS programme, pr.mode, pr.clock_at, pr.time_zone, pr.settlement_currency,
    pr.expiry_months, pr.face_value_num, pr.face_value_den, pr.unit_id, pr.operator_id,
    c.version, c.price_num, c.price_den, c.fee_num, c.fee_den, c.issue_share_num, c.issue_share_den,
    c.honour_num, c.honour_den
FROM unnest($1::bigint[], $2::timestamptz[]) WITH ORDINALITY AS asked (partner_id, at, place)
JOIN parties.partner pa ON pa.partner_id = asked.partner_id
JOIN parties.programme pr ON pr.programme_id = pa.programme_id
LEFT JOIN LATERAL (
    SELECT * FROM parties.contract k
    WHERE k.partner_id = pa.partner_id AND k.effective_from <= coalesce(asked.at, pr.clock_at, $3)
    ORDER BY k.effective_from DESC LIMIT 1
) c ON true
ORDER BY asked.place;

-- programme: one programme
SELECT * FROM parties.programme WHERE programme_id = $1;

-- programme_locked: one programme, until the transaction ends no other writer's who locks it too
SELECT * FROM parties.programme WHERE programme_id = $1 FOR NO KEY UPDATE;

-- programmes: programmes by code, after one
SELECT * FROM parties.programme WHERE $1::text IS NULL OR code > $1 ORDER BY code LIMIT $2;

-- add_programme: a programme, unless its code is taken
INSERT INTO parties.programme (programme_id, code, name, mode, time_zone, settlement_currency, expiry_months,
    face_value_num, face_value_den, unit_id, operator_id, clock_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (code) DO NOTHING RETURNING *;

-- add_unit: what a programme counts
INSERT INTO ledger.unit (unit_id, programme_id, code) VALUES ($1, $2, $3);

-- move_clock: set a sandbox programme's test clock
UPDATE parties.programme SET clock_at = $2 WHERE programme_id = $1 RETURNING *;

-- add_partner: a partner, unless its code is taken in the programme
INSERT INTO parties.partner (partner_id, programme_id, code, brand, iban, contact_email, operator,
    attested_points_per_day)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (programme_id, code) DO NOTHING RETURNING *;

-- partner: one partner
SELECT * FROM parties.partner WHERE partner_id = $1;

-- partners: partners of a programme, or of all, by code and id, after one
SELECT pa.* FROM parties.partner pa
WHERE ($1::bigint IS NULL OR pa.programme_id = $1)
    AND ($2::text IS NULL OR (pa.code, pa.partner_id) > ($2, $3::bigint))
ORDER BY pa.code, pa.partner_id LIMIT $4;

-- add_contract: one more version of a partner's terms
INSERT INTO parties.contract (partner_id, version, currency, price_num, price_den, fee_num, fee_den,
    issue_share_num, issue_share_den, honour_num, honour_den, effective_from)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
RETURNING *;

-- contracts: a partner's contract versions, after one
SELECT * FROM parties.contract WHERE partner_id = $1 AND version > $2 ORDER BY version LIMIT $3;

-- programme_contracts: every contract version of every partner of a programme
SELECT pa.code AS partner, c.* FROM parties.contract c JOIN parties.partner pa USING (partner_id)
WHERE pa.programme_id = $1 ORDER BY pa.code, c.version;

-- partner_client: a partner's client, when it is this partner's
SELECT client_id, name, scopes, created_at, revoked_at FROM identity.client WHERE client_id = $1 AND partner_id = $2;

-- partner_clients: a partner's clients, after one
SELECT client_id, name, scopes, created_at, revoked_at FROM identity.client
WHERE partner_id = $1 AND client_id > $2 ORDER BY client_id LIMIT $3;
