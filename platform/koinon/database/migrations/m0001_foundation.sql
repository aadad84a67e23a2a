-- The application's role, and what every context stands on.
-- Ids are bigints made by the application; no sequence means anything (a distributed database has none).

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'koinon_app') THEN
        CREATE ROLE koinon_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server made it at the same moment
END
$$;

CREATE SCHEMA koinon;
CREATE SCHEMA parties;
CREATE SCHEMA places;

-- One row per write that was asked for: the content's hash and the answer, in the transaction of the write itself.
-- Keyed by caller, not by account: on a distributed database the one permitted second shard.
CREATE TABLE koinon.request (
    caller text NOT NULL,
    key text NOT NULL,
    content_hash bytea NOT NULL,
    status smallint NOT NULL,
    answer jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (caller, key),
    CONSTRAINT request_key_length CHECK (length(key) BETWEEN 1 AND 255)
) WITH (fillfactor = 90);

CREATE TABLE parties.programme (
    programme_id bigint PRIMARY KEY,
    code text NOT NULL,
    name text NOT NULL,
    mode text NOT NULL,
    time_zone text NOT NULL,
    settlement_currency text NOT NULL,
    expiry_months integer,
    face_value_num bigint NOT NULL,
    face_value_den bigint NOT NULL,
    unit_id bigint NOT NULL,
    operator_id bigint NOT NULL,
    clock_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT programme_code_unique UNIQUE (code),
    CONSTRAINT programme_mode CHECK (mode IN ('live', 'sandbox')),
    CONSTRAINT programme_code_shape CHECK (code ~ '^[a-z0-9][a-z0-9-]{1,39}$'),
    CONSTRAINT programme_clock_sandbox CHECK (mode = 'sandbox' OR clock_at IS NULL),
    CONSTRAINT programme_expiry_positive CHECK (expiry_months > 0),
    CONSTRAINT programme_face_value CHECK (face_value_num > 0 AND face_value_den > 0)
);

CREATE TABLE parties.partner (
    partner_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL REFERENCES parties.programme,
    code text NOT NULL,
    brand text NOT NULL,
    iban text,
    contact_email text,
    operator boolean NOT NULL DEFAULT false,
    attested_points_per_day bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT partner_code_unique UNIQUE (programme_id, code),
    CONSTRAINT partner_code_shape CHECK (code ~ '^[a-z0-9][a-z0-9-]{1,39}$'),
    CONSTRAINT partner_code_free CHECK (operator OR code NOT IN ('operator', 'pool', 'margin', 'breakage')),
    CONSTRAINT partner_attested_positive CHECK (attested_points_per_day >= 0)
);

-- Rates are exact ratios in minor units of the currency per point; a version never changes.
CREATE TABLE parties.contract (
    partner_id bigint NOT NULL REFERENCES parties.partner,
    version integer NOT NULL,
    currency text NOT NULL,
    price_num bigint NOT NULL,
    price_den bigint NOT NULL,
    fee_num bigint NOT NULL,
    fee_den bigint NOT NULL,
    issue_share_num bigint NOT NULL,
    issue_share_den bigint NOT NULL,
    honour_num bigint NOT NULL,
    honour_den bigint NOT NULL,
    effective_from timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partner_id, version),
    CONSTRAINT contract_effective_unique UNIQUE (partner_id, effective_from),
    CONSTRAINT contract_version_positive CHECK (version > 0),
    CONSTRAINT contract_denominators CHECK (price_den > 0 AND fee_den > 0 AND issue_share_den > 0 AND honour_den > 0),
    CONSTRAINT contract_ranges CHECK (
        price_num > 0 AND fee_num >= 0 AND honour_num >= 0
        AND issue_share_num BETWEEN 0 AND issue_share_den
        AND fee_num::numeric * price_den <= price_num::numeric * fee_den
    )
);

-- Leased headroom of staff-attested redemptions: a process takes a slice of the day's cap at a time,
-- so that no redemption waits on another's row; a slice is taken before it is used, so the cap is never overrun.
CREATE TABLE parties.attested_lease (
    partner_id bigint NOT NULL REFERENCES parties.partner,
    business_date date NOT NULL,
    leased_points bigint NOT NULL,
    PRIMARY KEY (partner_id, business_date),
    CONSTRAINT attested_lease_positive CHECK (leased_points >= 0)
);

CREATE TABLE places.place (
    place_id bigint PRIMARY KEY,
    partner_id bigint NOT NULL REFERENCES parties.partner,
    programme_id bigint NOT NULL REFERENCES parties.programme,
    name text NOT NULL,
    time_zone text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX place_partner ON places.place (partner_id, time_zone);

-- What the networks call a place, each for a span of time: a bare merchant id is not a key (its acquirer belongs to it).
CREATE TABLE places.network_identity (
    identity_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL REFERENCES parties.programme,
    place_id bigint NOT NULL REFERENCES places.place,
    identity_key text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    CONSTRAINT network_identity_span CHECK (valid_until > valid_from)
);
CREATE INDEX network_identity_lookup ON places.network_identity (programme_id, identity_key);
