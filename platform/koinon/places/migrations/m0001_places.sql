-- Where cards are taken.

CREATE SCHEMA places;

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
