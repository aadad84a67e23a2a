\set account random(1, :accounts)
\set partner random(1, :partners)
\set key random(1, 9000000000000000000)
SELECT status FROM ledger.post(1, raw.command(0, :account, :partner, :key::text)::jsonb);
