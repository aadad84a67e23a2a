-- add_place: a place of a partner
INSERT INTO places.place (place_id, partner_id, programme_id, name, time_zone) VALUES ($1, $2, $3, $4, $5) RETURNING *;

-- place: one place
SELECT * FROM places.place WHERE place_id = $1;

-- identities_known: who has one of these keys at some time from an instant on, in a programme
SELECT i.identity_key, i.place_id, i.valid_from, i.valid_until, pl.partner_id
FROM places.network_identity i JOIN places.place pl USING (place_id)
WHERE i.programme_id = $1 AND i.identity_key = ANY ($2::text[])
    AND (i.valid_until IS NULL OR i.valid_until > $3);

-- add_identities: many keys of one place
INSERT INTO places.network_identity (identity_id, programme_id, place_id, identity_key, valid_from, valid_until)
SELECT asked.identity_id, $1, $2, asked.identity_key, asked.valid_from, asked.valid_until
FROM unnest($3::bigint[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS asked (identity_id, identity_key, valid_from, valid_until);

-- places: places of a partner, or of all, by id, after one
SELECT * FROM places.place
WHERE ($1::bigint IS NULL OR partner_id = $1) AND place_id > $2 ORDER BY place_id LIMIT $3;

-- identities: the keys of places, by place, key and time
SELECT identity_id, place_id, identity_key, valid_from, valid_until FROM places.network_identity
WHERE place_id = ANY ($1::bigint[]) ORDER BY place_id, identity_key, valid_from;
