-- The baseline of a feed: a batch of card messages as rows of the same two tables, whatever stands in them.

CREATE SCHEMA IF NOT EXISTS raw;

CREATE OR REPLACE FUNCTION raw.take_messages(p_programme bigint, p_source bigint, p_key text, p_bodies text[])
RETURNS bigint LANGUAGE sql VOLATILE AS $$
    WITH given AS MATERIALIZED (
        SELECT p_key || ':' || g.place AS message_id, g.body
        FROM unnest(p_bodies) WITH ORDINALITY AS g (body, place)
    ), ids AS (
        INSERT INTO offers.message (source_id, message_id, content_hash, occurred_at)
        SELECT p_source, g.message_id, sha256(g.message_id::bytea), now() FROM given g
        ON CONFLICT DO NOTHING RETURNING message_id
    ), kept AS (
        INSERT INTO offers.inbox (card_key, source_id, message_id, programme_id, body)
        SELECT hashtextextended(g.message_id, 0), p_source, g.message_id, p_programme, g.body
        FROM given g JOIN ids USING (message_id)
        RETURNING 1
    )
    SELECT count(*) FROM kept
$$;
