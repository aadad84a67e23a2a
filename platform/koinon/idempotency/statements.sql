-- claim: record a request before it is carried out; no row when its caller used the key before
INSERT INTO koinon.request (caller, key, content_hash, status) VALUES ($1, $2, decode($3, 'hex'), $4)
ON CONFLICT DO NOTHING RETURNING key;

-- known: what a caller was answered for a key, and for which content
SELECT content_hash, status, answer FROM koinon.request WHERE caller = $1 AND key = $2;

-- answer: keep the answer of a request that was claimed
UPDATE koinon.request SET answer = $3, status = $4 WHERE caller = $1 AND key = $2;
