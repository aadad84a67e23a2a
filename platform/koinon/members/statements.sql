-- known_contacts: whose these e-mail addresses and telephone numbers are in a programme
SELECT value, kind, member_id FROM members.contact WHERE programme_id = $1 AND value = ANY ($2::text[]);

-- claim_contacts: make contacts a member's, those that nobody has; in one order, so that two who cross do not deadlock
INSERT INTO members.contact (value, programme_id, kind, member_id)
SELECT asked.value, $1, asked.kind, $2 FROM unnest($3::text[], $4::text[]) AS asked (value, kind) ORDER BY asked.value
ON CONFLICT DO NOTHING RETURNING value;

-- add_member: a person with an account of their own
INSERT INTO members.member (member_id, programme_id, account_id, email, phone, name, locale, enrolled_by, enrolled_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- add_consents: consents of a member for one partner, and the words that are not kept yet
WITH given AS (
    SELECT asked.receipt_id, asked.purpose, asked.body, sha256(convert_to(asked.body, 'UTF8')) AS text_sha256,
        asked.locale, asked.channel
    FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[])
        AS asked (receipt_id, purpose, body, locale, channel)
), words AS (
    INSERT INTO members.consent_text (text_sha256, body)
    SELECT DISTINCT g.text_sha256, g.body FROM given g ORDER BY g.text_sha256
    ON CONFLICT DO NOTHING
)
INSERT INTO members.consent (member_id, receipt_id, partner_id, purpose, text_sha256, locale, channel, given_at)
SELECT $1, g.receipt_id, $2, g.purpose, g.text_sha256, g.locale, g.channel, $3 FROM given g;

-- accounts: the accounts of members of a programme
SELECT member_id, account_id FROM members.member WHERE programme_id = $1 AND member_id = ANY ($2::bigint[]);

-- consents: a member's consents, of one partner or all, the newest first, with their withdrawals
SELECT c.member_id, c.receipt_id, c.purpose, c.text_sha256, c.locale, c.channel, c.given_at, w.withdrawn_at,
    p.code AS partner, p.brand
FROM members.consent c
JOIN parties.partner p ON p.partner_id = c.partner_id
LEFT JOIN members.consent_withdrawal w ON w.member_id = c.member_id AND w.receipt_id = c.receipt_id
WHERE c.member_id = $1 AND ($2::bigint IS NULL OR c.partner_id = $2) AND ($3::uuid IS NULL OR c.receipt_id < $3)
ORDER BY c.receipt_id DESC LIMIT $4;

-- consent: one consent of a member with its withdrawal
SELECT c.receipt_id, w.withdrawn_at
FROM members.consent c
LEFT JOIN members.consent_withdrawal w ON w.member_id = c.member_id AND w.receipt_id = c.receipt_id
WHERE c.member_id = $1 AND c.receipt_id = $2;

-- withdraw_consent: end a consent, once
INSERT INTO members.consent_withdrawal (member_id, receipt_id, withdrawn_at) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING withdrawn_at;
