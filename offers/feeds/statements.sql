-- clock: a programme's test clock
SELECT clock_at FROM parties.programmes WHERE programme_id = $1;

-- take_messages: put messages whose id is new into the inbox; gives the ids that were new
WITH given AS (
    SELECT DISTINCT ON (g.message_id) g.*
    FROM unnest($3::text[], $4::bytea[], $5::bigint[], $6::text[]) WITH ORDINALITY
        AS g (message_id, content_hash, card_key, body, position)
    ORDER BY g.message_id, g.position
), fresh AS (
    INSERT INTO offers.message (source_id, message_id, content_hash)
    SELECT $1, g.message_id, g.content_hash FROM given g ORDER BY g.message_id
    ON CONFLICT DO NOTHING
    RETURNING message_id
), boxed AS (
    INSERT INTO offers.inbox (card_key, source_id, message_id, programme_id, body)
    SELECT g.card_key, $1, g.message_id, $2, g.body FROM given g JOIN fresh USING (message_id)
)
SELECT message_id FROM fresh;

-- known_messages: what message ids of a source stand for
SELECT m.message_id, m.content_hash FROM offers.message m WHERE m.source_id = $1 AND m.message_id = ANY ($2::text[]);
