GRANT USAGE ON SCHEMA audit TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA audit TO koinon_app;
GRANT UPDATE (hashes) ON audit.tile TO koinon_app;
GRANT UPDATE (size, root, signed_size, note) ON audit.log TO koinon_app;
GRANT UPDATE (counter) ON audit.counter TO koinon_app;
GRANT UPDATE (points, entries) ON audit.total TO koinon_app;
GRANT UPDATE (leaf_index) ON audit.submission TO koinon_app;
GRANT UPDATE (explanation, tries, tried_at, retry_at, cleared_at) ON audit.alert TO koinon_app;
