-- clock: a programme's test clock
SELECT clock_at FROM parties.programmes WHERE programme_id = $1;

-- take_messages: put messages whose id is new into the inbox; gives the ids that were new
WITH given AS (
    SELECT DISTINCT ON (g.message_id) g.*
    FROM unnest($3::text[], $4::bytea[], $5::bigint[], $6::text[], $7::timestamptz[]) WITH ORDINALITY
        AS g (message_id, content_hash, card_key, body, occurred_at, position)
    ORDER BY g.message_id, g.position
), fresh AS (
    INSERT INTO offers.message (source_id, message_id, content_hash, occurred_at)
    SELECT $1, g.message_id, g.content_hash, g.occurred_at FROM given g ORDER BY g.message_id
    ON CONFLICT DO NOTHING
    RETURNING message_id
), boxed AS (
    INSERT INTO offers.inbox (card_key, source_id, message_id, programme_id, body)
    SELECT g.card_key, $1, g.message_id, $2, g.body FROM given g JOIN fresh USING (message_id)
)
SELECT message_id FROM fresh;

-- known_messages: what message ids of a source stand for
SELECT m.message_id, m.content_hash FROM offers.message m WHERE m.source_id = $1 AND m.message_id = ANY ($2::text[]);

-- source_clocks: every source with its programme's test clock
SELECT s.source_id, pr.clock_at FROM identity.sources s JOIN parties.programmes pr USING (programme_id) ORDER BY s.source_id;

-- forget_messages: drop ids of a source's messages that happened before an instant, a slice at a time
DELETE FROM offers.message m WHERE m.source_id = $1 AND m.message_id IN (
    SELECT o.message_id FROM offers.message o WHERE o.source_id = $1 AND o.occurred_at < $2
    ORDER BY o.occurred_at LIMIT $3);

-- inbox_done: messages that arrived before an instant and are done, the longest there first
SELECT i.card_key, i.source_id, i.message_id FROM offers.inbox i
WHERE i.state <> 'new' AND i.received_at < $1 ORDER BY i.received_at LIMIT $2;

-- forget_done: drop messages that are done from the inbox
DELETE FROM offers.inbox i
USING unnest($1::bigint[], $2::bigint[], $3::text[]) AS g (card_key, source_id, message_id)
WHERE i.card_key = g.card_key AND i.source_id = g.source_id AND i.message_id = g.message_id
AND i.card_key = ANY ($1::bigint[]) AND i.state <> 'new';
