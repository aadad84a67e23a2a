-- What the application's role may do with persons: add; a consent is never changed, its withdrawal is added beside it.

GRANT USAGE ON SCHEMA members TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA members TO koinon_app;
-- A member's key is wrapped anew, and goes with what it sealed.
GRANT UPDATE (wrapped, master_version), DELETE ON members.member_key TO koinon_app;
