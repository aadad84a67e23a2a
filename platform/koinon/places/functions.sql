-- What the application's role may do with places.
GRANT USAGE ON SCHEMA places TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA places TO koinon_app;
GRANT UPDATE (valid_until) ON places.network_identity TO koinon_app;
