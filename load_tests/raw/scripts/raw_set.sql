\set template random(1, :templates)
\set key random(1, 9000000000000000000)
SELECT raw.earn_many(1, 1, t.accounts, t.partners, t.points, :key::text, :logged::boolean)
FROM raw.template t WHERE t.partner_count = :partners AND t.template_id = :template;
