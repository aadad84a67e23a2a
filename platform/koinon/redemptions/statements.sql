-- till_facts: what a till's call needs to know, in one look: programme and time ($4 is the machine's), the caller's contract, member, place
SELECT pr.programme_id, pr.code AS programme, pr.time_zone, pr.unit_id, pr.settlement_currency,
    pr.face_value_num, pr.face_value_den, coalesce(pr.clock_at, $4::timestamptz) AS now,
    pa.code AS partner, pa.attested_points_per_day,
    (SELECT c.version FROM parties.contracts c
     WHERE c.partner_id = pa.partner_id AND c.effective_from <= coalesce(pr.clock_at, $4::timestamptz)
     ORDER BY c.effective_from DESC LIMIT 1) AS version,
    (SELECT m.account_id FROM members.members m
     WHERE m.member_id = $2 AND m.programme_id = pr.programme_id) AS account_id,
    EXISTS (SELECT FROM places.places pl WHERE pl.place_id = $3 AND pl.partner_id = pa.partner_id) AS own_place,
    k.key_version, k.master_version, k.wrapped
FROM parties.partners pa JOIN parties.programmes pr USING (programme_id)
LEFT JOIN members.member_keys k ON k.member_id = $2
WHERE pa.partner_id = $1;

-- lease_attested: take a slice of a partner's headroom for staff-attested redemptions of a day; no row when none is left
INSERT INTO redemptions.attested_lease AS l (partner_id, business_date, leased_points)
SELECT $1, $2, $3 WHERE $3::bigint <= $4::bigint
ON CONFLICT (partner_id, business_date) DO UPDATE SET leased_points = l.leased_points + excluded.leased_points
WHERE l.leased_points + excluded.leased_points <= $4::bigint
RETURNING leased_points;

-- return_attested: give headroom of a day back that was leased and not used
UPDATE redemptions.attested_lease SET leased_points = leased_points - $3 WHERE partner_id = $1 AND business_date = $2;

-- redemption: a redemption with its end, as its partner sees it
SELECT h.hold_id, h.amount, h.state, h.proof_kind, h.attested_by, h.member_id, h.sealed_receipt, h.place_id, h.occurred_at, h.expires_at,
    EXISTS (SELECT FROM ledger.journals j
     WHERE j.account_id = h.account_id AND j.hold_id = h.hold_id AND j.kind = 'reverse_burn') AS reversed
FROM ledger.holds h WHERE h.account_id = $1 AND h.hold_id = $2 AND h.acceptor_id = $3;
