-- member: a member of a programme, with the programme's clock
SELECT m.account_id, p.clock_at
FROM members.member m JOIN parties.programme p USING (programme_id)
WHERE m.programme_id = $1 AND m.member_id = $2;

-- programme_clock: a programme's test clock
SELECT clock_at FROM parties.programme WHERE programme_id = $1;

-- claim_par: the member that a payment account belongs to, after this claim
WITH claimed AS (
    INSERT INTO offers.payment_account (par_key, link_id, programme_id, par, member_id)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (par_key) WHERE ended_at IS NULL DO UPDATE SET ended_at = NULL
    RETURNING member_id
)
SELECT member_id FROM claimed;

-- claim_card: the active link of a card, after this claim; a payment account that nobody told before is noted
INSERT INTO offers.card AS c (card_key, link_id, programme_id, source_id, token, par, last4, network, member_id, account_id,
    linked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (card_key) WHERE unlinked_at IS NULL DO UPDATE SET par = coalesce(c.par, excluded.par)
RETURNING card_key, link_id, token, par, member_id, last4, linked_at;

-- end_card: end an active link
UPDATE offers.card c SET unlinked_at = $5
WHERE c.card_key = $1 AND c.link_id = $2 AND c.programme_id = $3 AND c.source_id = $4 AND c.unlinked_at IS NULL
RETURNING c.card_key, c.link_id, c.member_id, c.last4, c.linked_at, c.par;

-- lock_par: wait for whoever claims a payment account: it may be about to link another card of it
SELECT a.link_id FROM offers.payment_account a WHERE a.par_key = $1 AND a.ended_at IS NULL FOR UPDATE;

-- end_par: let go of a payment account that no active card has any more
UPDATE offers.payment_account a SET ended_at = $2
WHERE a.par_key = $1 AND a.ended_at IS NULL AND NOT EXISTS (
    SELECT FROM offers.card c WHERE c.programme_id = $3 AND c.par = $4 AND c.unlinked_at IS NULL);

-- owner: the member whose card a token is now
SELECT c.member_id FROM offers.card c
WHERE c.card_key = $1 AND c.programme_id = $2 AND c.source_id = $3 AND c.token = $4 AND c.unlinked_at IS NULL;
