-- What of an answer stays when its body goes: the ids of what was made, as callers know them.
CREATE OR REPLACE FUNCTION koinon.ids_of(p_answer jsonb)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}')
    FROM jsonb_each_text(CASE jsonb_typeof(p_answer) WHEN 'object' THEN p_answer ELSE '{}' END) e
    WHERE e.value ~ '^[a-z]+_[0-9a-hjkmnp-tv-z]{13,}$'
$$;

-- Forget requests that were recorded before an instant, and note that they may be gone. With its owner's rights: the
-- application's role deletes no request but by its age.
CREATE OR REPLACE FUNCTION koinon.forget_requests(p_callers text[], p_keys text[], p_before timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- A plan that was made while the table was small must not scan it whole when it is not.
SET enable_seqscan = off AS $$
DECLARE
    forgotten bigint;
BEGIN
    INSERT INTO koinon.forgetting AS f (kept_since) VALUES (p_before)
    ON CONFLICT (only_one) DO UPDATE SET kept_since = excluded.kept_since WHERE f.kept_since < excluded.kept_since;
    DELETE FROM koinon.request r
    USING unnest(p_callers, p_keys) AS g (caller, key)
    WHERE r.caller = g.caller AND r.key = g.key AND r.recorded_at < p_before;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;
REVOKE ALL ON FUNCTION koinon.forget_requests FROM PUBLIC;

-- Since when no request is gone; a view is what others may read.
CREATE OR REPLACE VIEW koinon.kept_requests AS
SELECT coalesce(max(kept_since), '-infinity') AS kept_since FROM koinon.forgetting;

-- What the application's role may do with requests.
GRANT USAGE ON SCHEMA koinon TO koinon_app;
GRANT SELECT, INSERT, UPDATE ON koinon.request TO koinon_app;
GRANT SELECT ON koinon.forgetting, koinon.kept_requests TO koinon_app;
GRANT EXECUTE ON FUNCTION koinon.forget_requests TO koinon_app;
