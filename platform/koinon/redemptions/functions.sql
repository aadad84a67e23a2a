-- What the application's role may do with leased headroom.
GRANT USAGE ON SCHEMA redemptions TO koinon_app;
GRANT SELECT, INSERT, UPDATE ON redemptions.attested_lease TO koinon_app;
