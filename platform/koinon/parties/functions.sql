-- What the application's role may do with the parties.
GRANT USAGE ON SCHEMA parties TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA parties TO koinon_app;
GRANT UPDATE ON parties.programme TO koinon_app;
GRANT UPDATE (brand, iban, contact_email, attested_points_per_day) ON parties.partner TO koinon_app;
