GRANT USAGE ON SCHEMA audit TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA audit TO koinon_app;
GRANT UPDATE ON audit.log, audit.tile TO koinon_app;
GRANT UPDATE (leaf_index) ON audit.submission TO koinon_app;
