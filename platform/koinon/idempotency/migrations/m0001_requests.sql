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
-- `used_on` is the day on which a body was last given; answers of ids and figures alone have none, they stay as long as
-- the key. An answer that was emptied is the ids that stood in it.
CREATE TABLE koinon.request (
    caller text NOT NULL,
    key text NOT NULL,
    content_hash bytea NOT NULL,
    status smallint NOT NULL,
    answer jsonb,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_on date,
    emptied boolean NOT NULL DEFAULT false,
    PRIMARY KEY (caller, key),
    CONSTRAINT request_key_length CHECK (length(key) BETWEEN 1 AND 255)
) WITH (fillfactor = 90);
CREATE INDEX request_recorded ON koinon.request (recorded_at);
CREATE INDEX request_used ON koinon.request (used_on) WHERE used_on IS NOT NULL;

-- Before which instant requests may be gone: one row once any was forgotten. What is held against the requests asks it.
CREATE TABLE koinon.forgetting (
    only_one boolean PRIMARY KEY DEFAULT true,
    kept_since timestamptz NOT NULL,
    CONSTRAINT forgetting_once CHECK (only_one)
);
