\set template random(1, :templates)
\set key random(1, 9000000000000000000)
SELECT count(*) FROM raw.template t, LATERAL ledger.post(1, replace(t.commands, '@', :key::text)::jsonb)
WHERE t.partner_count = :partners AND t.template_id = :template;
