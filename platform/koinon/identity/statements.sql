-- revoked_clients: the clients revoked within a token's life of $1 seconds, and one minute for clocks that differ
SELECT client_id FROM identity.client WHERE revoked_at > clock_timestamp() - make_interval(secs => $1 + 60);

-- use_assertion: take a client's assertion, once; nothing when it was taken before
INSERT INTO identity.assertion_used (client_id, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING jti;

-- open_session: remember a browser that signed in
INSERT INTO identity.session (session_hash, kind, programme_id, member_id, staff_id, partner_id,
    created_at, last_seen_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8);

-- session: a living session by its hash, with the roles that its member of staff has for its partner now
SELECT s.kind, s.programme_id, s.member_id, s.staff_id, s.partner_id, s.last_seen_at,
    ARRAY(
        SELECT g.role FROM identity.staff_grant g
        WHERE g.staff_id = s.staff_id AND g.partner_id IS NOT DISTINCT FROM s.partner_id AND g.ended_at IS NULL
    ) AS roles
FROM identity.session s
WHERE s.session_hash = $1 AND s.ended_at IS NULL AND s.expires_at > $2
    AND (s.kind = 'member' OR s.last_seen_at > $3);

-- see_session: note that a session was used
UPDATE identity.session SET last_seen_at = $2 WHERE session_hash = $1 AND last_seen_at < $2;

-- end_session: sign one browser out
UPDATE identity.session SET ended_at = $2 WHERE session_hash = $1 AND ended_at IS NULL;

-- end_member_sessions: sign a member out everywhere
UPDATE identity.session SET ended_at = $2 WHERE member_id = $1 AND ended_at IS NULL;

-- end_staff_sessions: sign a member of staff out everywhere at a partner, or as the operator
UPDATE identity.session SET ended_at = $3
WHERE staff_id = $1 AND partner_id IS NOT DISTINCT FROM $2 AND ended_at IS NULL;

-- source: a source with its sealed secrets, the newest first
SELECT programme_id, name, secrets, public_key FROM identity.source WHERE source_id = $1;

-- rotate_source: put a new secret before the newest one, which stays when $3
UPDATE identity.source SET secrets = ARRAY[$2::bytea] || CASE WHEN $3 THEN secrets[1:1] ELSE '{}'::bytea[] END
WHERE source_id = $1 RETURNING source_id;

-- make_code: give an address a new code, unless it asked for $6 within the hour that began after $5
INSERT INTO identity.sign_in_code AS known (address_hash, code_hash, hour_began_at, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (address_hash) DO UPDATE SET
    code_hash = excluded.code_hash,
    attempts = 0,
    used_at = NULL,
    expires_at = excluded.expires_at,
    hour_began_at = CASE WHEN known.hour_began_at <= $5 THEN excluded.hour_began_at ELSE known.hour_began_at END,
    asked_in_hour = CASE WHEN known.hour_began_at <= $5 THEN 1 ELSE known.asked_in_hour + 1 END
WHERE known.hour_began_at <= $5 OR known.asked_in_hour < $6
RETURNING asked_in_hour;

-- hour_of_codes: when the hour began in which an address's codes are counted
SELECT hour_began_at FROM identity.sign_in_code WHERE address_hash = $1;

-- use_code: try a code; true when it is right, which uses it up, and nothing when none can be tried
UPDATE identity.sign_in_code SET attempts = attempts + 1, used_at = CASE WHEN code_hash = $2 THEN $3::timestamptz END
WHERE address_hash = $1 AND used_at IS NULL AND expires_at > $3 AND attempts < $4
RETURNING used_at IS NOT NULL;

-- staff_grants: whom a member of staff acts for, the operator first, by address
SELECT DISTINCT staff.staff_id, staff_grant.partner_id, partner.programme_id, partner.code
FROM identity.staff JOIN identity.staff_grant USING (staff_id) LEFT JOIN parties.partners partner USING (partner_id)
WHERE staff.email = $1 AND staff_grant.ended_at IS NULL
ORDER BY partner.code NULLS FIRST;

-- forget_assertions: drop used assertions that have run out, a slice at a time
DELETE FROM identity.assertion_used WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM identity.assertion_used WHERE expires_at < $1 ORDER BY expires_at LIMIT $2));

-- forget_codes: drop codes that have run out and whose hour has passed, a slice at a time
DELETE FROM identity.sign_in_code WHERE address_hash = ANY (ARRAY(
    SELECT address_hash FROM identity.sign_in_code
    WHERE expires_at < $1 AND hour_began_at < $1::timestamptz - interval '1 hour' ORDER BY expires_at LIMIT $2));

-- forget_sessions: drop sessions that ran out a day ago, a slice at a time
DELETE FROM identity.session WHERE session_hash = ANY (ARRAY(
    SELECT session_hash FROM identity.session
    WHERE expires_at < $1::timestamptz - interval '1 day' ORDER BY expires_at LIMIT $2));
