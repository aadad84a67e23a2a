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
JOIN parties.partners p ON p.partner_id = c.partner_id
LEFT JOIN members.consent_withdrawal w ON w.member_id = c.member_id AND w.receipt_id = c.receipt_id
WHERE c.member_id = $1 AND ($2::bigint IS NULL OR c.partner_id = $2) AND ($3::uuid IS NULL OR c.receipt_id < $3)
ORDER BY c.receipt_id DESC LIMIT $4;

-- member_by_contact: whom a contact belongs to, by its keyed hash
SELECT member_id FROM members.contact WHERE contact_hash = $1 AND programme_id = $2;

-- account_of: a member's programme and account
SELECT programme_id, account_id FROM members.member WHERE member_id = $1;

-- accounts_of: members' accounts
SELECT member_id, account_id FROM members.member WHERE member_id = ANY ($1::bigint[]);

-- profile: what a member told of themselves, sealed
SELECT sealed_name, locale, enrolled_at FROM members.member WHERE member_id = $1;

-- contacts_of: what a member is reached at, sealed
SELECT kind, sealed_value FROM members.contact WHERE member_id = $1;

-- add_key: keep a member's key, wrapped
INSERT INTO members.member_key (member_id, key_version, master_version, wrapped) VALUES ($1, $2, $3, $4);

-- key_of: a member's key, wrapped
SELECT key_version, master_version, wrapped FROM members.member_key WHERE member_id = $1;

-- destroy_key: forget a member's key, and with it all that it sealed
DELETE FROM members.member_key WHERE member_id = $1 RETURNING member_id;

-- keys_under_older: how many members' keys a master key before $1 wraps
SELECT count(*) FROM members.member_key WHERE master_version < $1;

-- slice_under_older: members' keys that a master key before $1 wraps, after member $2
SELECT member_id, key_version, master_version, wrapped FROM members.member_key
WHERE master_version < $1 AND member_id > $2 ORDER BY member_id LIMIT $3;

-- rewrap: put members' keys under master key $1; one that was changed or destroyed meanwhile is left alone
UPDATE members.member_key k SET wrapped = g.wrapped, master_version = $1
FROM unnest($2::bigint[], $3::bytea[], $4::bytea[]) AS g (member_id, wrapped, before)
WHERE k.member_id = g.member_id AND k.member_id = ANY ($2::bigint[]) AND k.wrapped = g.before
RETURNING k.member_id;
