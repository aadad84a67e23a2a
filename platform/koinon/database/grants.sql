-- What the application's role may do. A schema of a context grants its own at the end of its functions.sql.

GRANT USAGE ON SCHEMA koinon, parties, places TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA koinon, parties, places TO koinon_app;
GRANT UPDATE ON koinon.request, parties.programme, parties.attested_lease TO koinon_app;
GRANT UPDATE (valid_until) ON places.network_identity TO koinon_app;
GRANT UPDATE (brand, iban, contact_email, attested_points_per_day) ON parties.partner TO koinon_app;
