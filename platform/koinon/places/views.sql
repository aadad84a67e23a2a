-- What others read of places. A view is named in the plural; its columns are the contract with its readers.

CREATE OR REPLACE VIEW places.places AS
SELECT place_id, partner_id, programme_id, name, time_zone
FROM places.place;

CREATE OR REPLACE VIEW places.network_identities AS
SELECT identity_id, programme_id, place_id, identity_key, valid_from, valid_until
FROM places.network_identity;

REVOKE ALL ON places.places, places.network_identities FROM koinon_app;
GRANT SELECT ON places.places, places.network_identities TO koinon_app;
