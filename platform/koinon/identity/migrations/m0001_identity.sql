-- Who may. Nothing here is hot but a session's own row; all of it is small.

CREATE SCHEMA identity;

CREATE TABLE identity.staff (
    staff_id bigint PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT staff_email_unique UNIQUE (email),
    CONSTRAINT staff_email_lower_case CHECK (email = lower(email) AND email LIKE '_%@_%'),
    CONSTRAINT staff_name_given CHECK (name <> '')
);

-- A grant without a partner is the operator's. It ends and is never deleted, so that who could do what when is known.
CREATE TABLE identity.staff_grant (
    grant_id bigint PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES identity.staff,
    partner_id bigint REFERENCES parties.partner,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    CONSTRAINT staff_grant_role CHECK (role IN ('owner', 'marketing', 'finance', 'developer', 'support', 'operator')),
    CONSTRAINT staff_grant_operator CHECK ((role = 'operator') = (partner_id IS NULL))
);
CREATE UNIQUE INDEX staff_grant_once ON identity.staff_grant (staff_id, partner_id, role) NULLS NOT DISTINCT
    WHERE ended_at IS NULL;

-- A system that calls with a key of its own: the operator's (of one member of staff) or a partner's.
CREATE TABLE identity.client (
    client_id bigint PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL,
    staff_id bigint REFERENCES identity.staff,
    partner_id bigint REFERENCES parties.partner,
    programme_id bigint REFERENCES parties.programme,
    public_jwk jsonb NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz,
    CONSTRAINT client_kind CHECK (
        (kind = 'operator' AND staff_id IS NOT NULL AND partner_id IS NULL AND programme_id IS NULL)
        OR (kind = 'partner' AND staff_id IS NULL AND partner_id IS NOT NULL AND programme_id IS NOT NULL)
    )
);
CREATE INDEX client_partner ON identity.client (partner_id) WHERE partner_id IS NOT NULL;
CREATE INDEX client_revoked ON identity.client (revoked_at) WHERE revoked_at IS NOT NULL;

-- A client's assertion is used once; its row goes when the assertion has run out, for then it proves nothing.
CREATE TABLE identity.assertion_used (
    client_id bigint NOT NULL REFERENCES identity.client,
    jti text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, jti)
);
CREATE INDEX assertion_used_expiry ON identity.assertion_used (expires_at);

-- A browser that signed in. The cookie's value is known only as its SHA-256. A member's names the member alone: their
-- account may become another one (a household's, or that of a member who turned out to be the same person).
CREATE TABLE identity.session (
    session_hash bytea PRIMARY KEY,
    kind text NOT NULL,
    programme_id bigint REFERENCES parties.programme,
    member_id bigint,
    staff_id bigint REFERENCES identity.staff,
    partner_id bigint REFERENCES parties.partner,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT session_kind CHECK (
        (kind = 'member' AND member_id IS NOT NULL AND programme_id IS NULL AND staff_id IS NULL AND partner_id IS NULL)
        OR (kind = 'staff' AND staff_id IS NOT NULL AND member_id IS NULL
            AND (partner_id IS NULL) = (programme_id IS NULL))
    )
) WITH (fillfactor = 80);
CREATE INDEX session_member ON identity.session (member_id) WHERE member_id IS NOT NULL;
CREATE INDEX session_staff ON identity.session (staff_id) WHERE staff_id IS NOT NULL;
CREATE INDEX session_expiry ON identity.session (expires_at);

-- The last code asked for by an address, known or not: one row, so that its limits hold under any concurrency.
-- Address and code are keyed hashes: the table tells nobody who asked.
CREATE TABLE identity.sign_in_code (
    address_hash bytea PRIMARY KEY,
    code_hash bytea NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    hour_began_at timestamptz NOT NULL,
    asked_in_hour smallint NOT NULL DEFAULT 1,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX sign_in_code_expiry ON identity.sign_in_code (expires_at);

-- A processor that sends card messages. `secrets` are sealed with the installation's secret, the newest first;
-- two are live while the processor changes from one to the other.
CREATE TABLE identity.source (
    source_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL REFERENCES parties.programme,
    name text NOT NULL,
    secrets bytea[] NOT NULL,
    public_key bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT source_name_unique UNIQUE (programme_id, name),
    CONSTRAINT source_secrets CHECK (cardinality(secrets) BETWEEN 0 AND 2),
    CONSTRAINT source_can_sign CHECK (cardinality(secrets) > 0 OR public_key IS NOT NULL),
    CONSTRAINT source_public_key_length CHECK (octet_length(public_key) = 32)
);
