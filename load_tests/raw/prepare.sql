-- What the benchmark's database holds before it begins: one programme with its window, 100 partners' worth of ids,
-- accounts with wallets, and calls made beforehand, so that making them is no part of what is measured.
-- $ACCOUNTS$, $TEMPLATES$, $BATCH$ and $BATCHES$ are put in by load_tests/bench/database.py.

INSERT INTO parties.programme (programme_id, code, name, mode, time_zone, settlement_currency, face_value_num,
    face_value_den, unit_id, operator_id) VALUES (1, 'bench', 'Benchmark', 'sandbox', 'UTC', 'EUR', 1, 1, 1, 1);
INSERT INTO ledger.unit (unit_id, programme_id, code) VALUES (1, 1, 'points');
INSERT INTO ledger.settlement_window (programme_id, window_no, business_date, state, opened_at)
VALUES (1, 1, current_date, 'OPEN', now());
INSERT INTO ledger.account (account_id, programme_id, opened_at) SELECT g, 1, now() FROM generate_series(1, $ACCOUNTS$) g;
INSERT INTO ledger.wallet (account_id, unit_id) SELECT g, 1 FROM generate_series(1, $ACCOUNTS$) g;

-- One earn as the platform's own code writes it; as text, because text is what reaches the database.
CREATE OR REPLACE FUNCTION raw.command(p_position integer, p_account bigint, p_partner bigint, p_key text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '[{"position":' || p_position || ',"kind":"earn","caller":"bench","key":"' || p_key || '","content_hash":"'
        || '00000000000000000000000000000000000000000000000000000000000000aa","account_id":' || p_account
        || ',"unit_id":1,"occurred_at":"2026-03-02T09:00:00Z","member_id":null,"place_id":null,"reason":null,'
        || '"partner_id":' || p_partner || ',"version":1,"points":10,"expires_on":null,"purchase_id":null}]'
$$;

CREATE TABLE raw.template (
    partner_count integer NOT NULL,
    template_id integer NOT NULL,
    accounts bigint[] NOT NULL,
    partners bigint[] NOT NULL,
    points bigint[] NOT NULL,
    commands text NOT NULL,
    PRIMARY KEY (partner_count, template_id)
);
INSERT INTO raw.template (partner_count, template_id, accounts, partners, points, commands)
SELECT drawn.partner_count, drawn.template_id, array_agg(drawn.account), array_agg(drawn.partner),
    array_agg(10::bigint),
    '[' || string_agg(btrim(raw.command(drawn.place - 1, drawn.account, drawn.partner, '@:' || drawn.place), '[]'), ','
        ORDER BY drawn.place) || ']'
FROM (
    SELECT c.partner_count, t.template_id, p.place::integer AS place,
        1 + floor(random() * $ACCOUNTS$)::bigint AS account, 1 + floor(random() * c.partner_count)::bigint AS partner
    FROM (VALUES (1), (100)) c (partner_count), generate_series(1, $TEMPLATES$) t (template_id),
        generate_series(1, $BATCH$) p (place)
) drawn
GROUP BY drawn.partner_count, drawn.template_id;

-- A batch of the feed: bodies as long as a plain clearing's.
CREATE TABLE raw.bodies (bodies text[] NOT NULL);
INSERT INTO raw.bodies
SELECT array_agg('{"message_id":"' || g || '",' || repeat('"field":"value of it",', 25) || '"type":"clearing"}')
FROM generate_series(1, 500) g;

-- Batches of clearings by accounts at 100 offers with budgets that no run uses up; bodies as above.
INSERT INTO offers.budget (offer_id, cap_points) SELECT g, 1000000000000 FROM generate_series(1, 100) g;
CREATE TABLE raw.batch (
    batch_id integer PRIMARY KEY,
    accounts bigint[] NOT NULL,
    offers bigint[] NOT NULL,
    bodies text[] NOT NULL
);
INSERT INTO raw.batch (batch_id, accounts, offers, bodies)
SELECT t.batch_id, array_agg(1 + floor(random() * $ACCOUNTS$)::bigint), array_agg(1 + floor(random() * 100)::bigint),
    (SELECT b.bodies FROM raw.bodies b)
FROM generate_series(1, $BATCHES$) t (batch_id), generate_series(1, 500) p (place)
GROUP BY t.batch_id;

GRANT USAGE ON SCHEMA raw TO koinon_app;
GRANT SELECT ON ALL TABLES IN SCHEMA raw TO koinon_app;
ANALYZE;
