-- candidates: the places that identity keys of a programme name, each for a span of time
SELECT i.place_id, i.identity_key, i.valid_from, i.valid_until
FROM places.network_identities i WHERE i.programme_id = $1 AND i.identity_key = ANY ($2::text[]);
