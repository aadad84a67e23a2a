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

-- consents: a member's consents, of one partner or all, the newest first, with their withdrawals
SELECT c.member_id, c.receipt_id, c.purpose, c.text_sha256, c.locale, c.channel, c.given_at, w.withdrawn_at,
    p.code AS partner, p.brand
FROM members.consent c
JOIN parties.partner p ON p.partner_id = c.partner_id
LEFT JOIN members.consent_withdrawal w ON w.member_id = c.member_id AND w.receipt_id = c.receipt_id
WHERE c.member_id = $1 AND ($2::bigint IS NULL OR c.partner_id = $2) AND ($3::uuid IS NULL OR c.receipt_id < $3)
ORDER BY c.receipt_id DESC LIMIT $4;
