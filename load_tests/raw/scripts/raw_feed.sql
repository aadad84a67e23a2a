\set key random(1, 9000000000000000000)
SELECT raw.take_messages(1, 1, :key::text, t.bodies) FROM raw.bodies t;
