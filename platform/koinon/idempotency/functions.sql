-- What the application's role may do with requests.
GRANT USAGE ON SCHEMA koinon TO koinon_app;
GRANT SELECT, INSERT, UPDATE ON koinon.request TO koinon_app;
