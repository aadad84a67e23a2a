-- What the application's role may do in this schema.

GRANT USAGE ON SCHEMA identity TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA identity TO koinon_app;
GRANT UPDATE (name) ON identity.staff TO koinon_app;
GRANT UPDATE (ended_at) ON identity.staff_grant TO koinon_app;
GRANT UPDATE (revoked_at) ON identity.client TO koinon_app;
GRANT UPDATE (last_seen_at, ended_at) ON identity.session TO koinon_app;
GRANT UPDATE ON identity.sign_in_code TO koinon_app;
GRANT UPDATE (secrets, public_key) ON identity.source TO koinon_app;
-- These three prove nothing once they have run out, and a session says when somebody was where: they go.
GRANT DELETE ON identity.assertion_used, identity.session, identity.sign_in_code TO koinon_app;
