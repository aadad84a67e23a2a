\set account random(1, :accounts)
\set partner random(1, :partners)
\set key random(1, 9000000000000000000)
SELECT raw.earn(1, 1, :account, :partner, 10, :key::text, :logged::boolean);
