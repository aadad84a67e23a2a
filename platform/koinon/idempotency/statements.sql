-- claim: record a request before it is carried out; no row when its caller used the key before
INSERT INTO koinon.request (caller, key, content_hash, status, used_on) VALUES ($1, $2, decode($3, 'hex'), $4, $5)
ON CONFLICT DO NOTHING RETURNING key;

-- known: what a caller was answered for a key, for which content, and when that was last given
SELECT content_hash, status, answer, used_on, emptied FROM koinon.request WHERE caller = $1 AND key = $2;

-- used: note the day on which a body was given again
UPDATE koinon.request SET used_on = $3 WHERE caller = $1 AND key = $2 AND used_on < $3;

-- answer: keep the answer of a request that was claimed
UPDATE koinon.request SET answer = $3, status = $4 WHERE caller = $1 AND key = $2;

-- bodies_due: requests whose bodies were last given before a day, the longest ago first
SELECT caller, key FROM koinon.request WHERE used_on < $1 ORDER BY used_on LIMIT $2;

-- empty_bodies: leave the ids of what was made of answers that nobody asked for again
UPDATE koinon.request r SET answer = koinon.ids_of(r.answer), used_on = NULL, emptied = true
FROM unnest($1::text[], $2::text[]) AS g (caller, key)
WHERE r.caller = g.caller AND r.key = g.key AND r.used_on < $3;

-- requests_due: requests that were recorded before an instant, the oldest first
SELECT caller, key FROM koinon.request WHERE recorded_at < $1 ORDER BY recorded_at LIMIT $2;

-- forget_requests: forget requests that were recorded before an instant
SELECT koinon.forget_requests($1::text[], $2::text[], $3);
