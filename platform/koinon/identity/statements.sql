-- revoked_clients: the clients revoked within a token's life of $1 seconds, and one minute for clocks that differ
SELECT client_id FROM identity.client WHERE revoked_at > clock_timestamp() - make_interval(secs => $1 + 60);

-- client: a client by its id
SELECT client_id, kind, name, public_jwk, scopes, staff_id, partner_id, programme_id, revoked_at IS NOT NULL AS revoked
FROM identity.client WHERE client_id = $1;

-- use_assertion: take a client's assertion, once; nothing when it was taken before
INSERT INTO identity.assertion_used (client_id, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING jti;

-- register_client: make a client
INSERT INTO identity.client (client_id, name, kind, staff_id, partner_id, programme_id, public_jwk, scopes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- revoke_client: end a client's access; nothing when there is no such client or it was revoked before
UPDATE identity.client SET revoked_at = clock_timestamp() WHERE client_id = $1 AND revoked_at IS NULL RETURNING client_id;

-- make_staff: know a person by their address; the name of one who is known stays
INSERT INTO identity.staff (staff_id, email, name) VALUES ($1, $2, $3)
ON CONFLICT (email) DO UPDATE SET name = identity.staff.name RETURNING staff_id;

-- grant_role: give a member of staff a role, once
INSERT INTO identity.staff_grant (grant_id, staff_id, partner_id, role) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- end_grant: take a role away
UPDATE identity.staff_grant SET ended_at = clock_timestamp()
WHERE staff_id = $1 AND partner_id IS NOT DISTINCT FROM $2 AND role = $3 AND ended_at IS NULL;

-- open_session: remember a browser that signed in
INSERT INTO identity.session (session_hash, kind, programme_id, member_id, account_id, staff_id, partner_id,
    created_at, last_seen_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9);

-- session: a living session by its hash, with the roles that its member of staff has for its partner now
SELECT s.kind, s.programme_id, s.member_id, s.account_id, s.staff_id, s.partner_id, s.last_seen_at,
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
UPDATE identity.session SET ended_at = clock_timestamp() WHERE member_id = $1 AND ended_at IS NULL;
