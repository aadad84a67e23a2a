-- What others read of identity. A view is named in the plural; its columns are the contract with its readers.

CREATE OR REPLACE VIEW identity.sources AS
SELECT source_id, programme_id, name
FROM identity.source;

REVOKE ALL ON identity.sources FROM koinon_app;
GRANT SELECT ON identity.sources TO koinon_app;
