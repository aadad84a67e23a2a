-- What the application's role may do in this schema: what a run says is written once.

GRANT USAGE ON SCHEMA settlement TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA settlement TO koinon_app;
REVOKE INSERT ON settlement.run_transition FROM koinon_app;
GRANT UPDATE (state) ON settlement.run TO koinon_app;
GRANT UPDATE (tries, tried_at, retry_at, cleared_at) ON settlement.alert TO koinon_app;
