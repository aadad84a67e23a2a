-- The application's role, and the requests that callers make.
-- Ids are bigints made by the application; no sequence means anything (a distributed database has none).

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'koinon_app') THEN
        CREATE ROLE koinon_app NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server made it at the same moment
END
$$;

CREATE SCHEMA koinon;

-- One row per write that was asked for: the content's hash and the answer, in the transaction of the write itself.
-- Keyed by caller, not by account: on a distributed database the one permitted second shard.
CREATE TABLE koinon.request (
    caller text NOT NULL,
    key text NOT NULL,
    content_hash bytea NOT NULL,
    status smallint NOT NULL,
    answer jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (caller, key),
    CONSTRAINT request_key_length CHECK (length(key) BETWEEN 1 AND 255)
) WITH (fillfactor = 90);
