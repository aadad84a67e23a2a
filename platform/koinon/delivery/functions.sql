-- What the application's role may do in this schema.

GRANT USAGE ON SCHEMA delivery TO koinon_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.mail TO koinon_app;
