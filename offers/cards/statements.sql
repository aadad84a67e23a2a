-- member: a member of a programme, with the programme's clock
SELECT p.clock_at
FROM members.members m JOIN parties.programmes p USING (programme_id)
WHERE m.programme_id = $1 AND m.member_id = $2;

-- programme_clock: a programme's test clock
SELECT clock_at FROM parties.programmes WHERE programme_id = $1;

-- claim_par: the member that a payment account belongs to, after this claim of it for a card
INSERT INTO offers.payment_account AS a (par_key, link_id, programme_id, par, member_id, card_keys)
VALUES ($1, $2, $3, $4, $5, ARRAY[$6::bigint])
ON CONFLICT (par_key) WHERE ended_at IS NULL DO UPDATE
SET card_keys = CASE WHEN $6 = ANY (a.card_keys) THEN a.card_keys ELSE a.card_keys || $6 END
RETURNING member_id;

-- claim_card: the active link of a card, after this claim; a payment account that nobody told before is noted
INSERT INTO offers.card AS c (card_key, link_id, programme_id, source_id, token, par, last4, network, member_id, linked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (card_key) WHERE unlinked_at IS NULL DO UPDATE SET par = coalesce(c.par, excluded.par)
RETURNING card_key, link_id, token, par, member_id, last4, linked_at;

-- end_card: end an active link
UPDATE offers.card c SET unlinked_at = $5
WHERE c.card_key = $1 AND c.link_id = $2 AND c.programme_id = $3 AND c.source_id = $4 AND c.unlinked_at IS NULL
RETURNING c.card_key, c.link_id, c.member_id, c.last4, c.linked_at, c.par;

-- leave_par: take a card off its payment account, and let go of that with its last card
UPDATE offers.payment_account a
SET card_keys = array_remove(a.card_keys, $2), ended_at = CASE WHEN a.card_keys <@ ARRAY[$2::bigint] THEN $3::timestamptz END
WHERE a.par_key = $1 AND a.ended_at IS NULL;

-- owner: the member whose card a token is now
SELECT c.member_id FROM offers.card c
WHERE c.card_key = $1 AND c.programme_id = $2 AND c.source_id = $3 AND c.token = $4 AND c.unlinked_at IS NULL;
