-- terms_in_force: for each (partner, instant or null for now): programme, time, and the contract version in force, in order
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

-- programme_facts: what wallets and activations ask of a programme
SELECT unit_id, clock_at, time_zone, settlement_currency, face_value_num, face_value_den
FROM parties.programme WHERE programme_id = $1;
