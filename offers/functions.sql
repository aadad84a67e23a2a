-- Budgets. A share is grown before its points are posted, in a transaction of its own, and set to what stands in the
-- ledger by the transaction that posts: so no point is posted that no budget paid for, and what is given back is given
-- back with the points. A call goes in the order of offers, so that two calls never wait for each other in a circle.

-- Grow what purchases have of their offers' budgets (`p_grow`), as far as the budgets go, or set it to exactly `spent`
-- and `reserved`; gives what they have then. Asked again the same changes nothing, an older revision never does.
-- A budget's row is written once a call, whatever the number of purchases.
CREATE OR REPLACE FUNCTION offers.set_budget_shares(p_shares jsonb, p_grow boolean)
RETURNS TABLE (offer_id bigint, purchase_id uuid, granted_points bigint) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    wanted bigint;
    budget offers.budget;
    asked record;
    standing bigint;
    total bigint;
    spent bigint;
    changed offers.budget_share[];
BEGIN
    FOR wanted IN
        SELECT DISTINCT s.offer_id FROM jsonb_to_recordset(p_shares) AS s (offer_id bigint) ORDER BY 1
    LOOP
        SELECT * INTO budget FROM offers.budget b WHERE b.offer_id = wanted FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        changed := '{}';
        FOR asked IN
            SELECT s.*, h.revision AS had_revision, coalesce(h.reserved_points, 0) AS had_reserved,
                coalesce(h.spent_points, 0) AS had_spent
            FROM jsonb_to_recordset(p_shares) AS s (
                offer_id bigint, purchase_id uuid, account_id bigint, revision integer, spent bigint, reserved bigint)
            LEFT JOIN offers.budget_share h ON h.offer_id = wanted AND h.purchase_id = s.purchase_id
            WHERE s.offer_id = wanted
            ORDER BY s.purchase_id
        LOOP
            standing := asked.had_reserved + asked.had_spent;
            total := least(
                asked.spent + asked.reserved,
                budget.cap_points - budget.reserved_points - budget.spent_points + standing);
            spent := least(asked.spent, total);
            IF p_grow THEN
                total := greatest(total, standing);
                spent := asked.had_spent;
            END IF;
            offer_id := asked.offer_id; purchase_id := asked.purchase_id; granted_points := total;
            IF asked.had_revision > asked.revision THEN
                granted_points := standing;
            ELSIF total <> standing OR spent <> asked.had_spent THEN
                budget.reserved_points := budget.reserved_points - asked.had_reserved + total - spent;
                budget.spent_points := budget.spent_points - asked.had_spent + spent;
                changed := changed || (
                    asked.offer_id, asked.purchase_id, asked.account_id, asked.revision, total - spent, spent,
                    clock_timestamp())::offers.budget_share;
            END IF;
            RETURN NEXT;
        END LOOP;
        IF cardinality(changed) > 0 THEN
            UPDATE offers.budget b
            SET reserved_points = budget.reserved_points, spent_points = budget.spent_points
            WHERE b.offer_id = wanted;
            INSERT INTO offers.budget_share AS h
            SELECT c.* FROM unnest(changed) c
            ON CONFLICT (offer_id, purchase_id) DO UPDATE SET revision = excluded.revision,
                reserved_points = excluded.reserved_points, spent_points = excluded.spent_points,
                changed_at = excluded.changed_at;
        END IF;
    END LOOP;
END
$$;

-- Queues. A worker chooses candidates without a lock and then takes each by its key, here: over several shards nobody can
-- lock rows that he does not name. What another worker has is passed over; what was done meanwhile is not done again.

CREATE OR REPLACE FUNCTION offers.take_messages(
    p_card_keys bigint[], p_source_ids bigint[], p_message_ids text[], p_limit integer)
RETURNS TABLE (card_key bigint, source_id bigint, message_id text, programme_id bigint, body text,
    received_at timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    candidate record;
    taken integer := 0;
BEGIN
    FOR candidate IN
        SELECT * FROM unnest(p_card_keys, p_source_ids, p_message_ids) AS g (card_key, source_id, message_id)
    LOOP
        RETURN QUERY
        SELECT i.card_key, i.source_id, i.message_id, i.programme_id, i.body, i.received_at FROM offers.inbox i
        WHERE i.card_key = candidate.card_key AND i.source_id = candidate.source_id
            AND i.message_id = candidate.message_id AND i.state = 'new' AND i.set_aside_at IS NULL
        FOR UPDATE SKIP LOCKED;
        taken := taken + found::integer;
        EXIT WHEN taken >= p_limit;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION offers.take_purchases(p_account_ids bigint[], p_purchase_ids uuid[], p_limit integer)
RETURNS TABLE (account_id bigint, purchase_id uuid) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    candidate record;
    taken integer := 0;
BEGIN
    FOR candidate IN SELECT * FROM unnest(p_account_ids, p_purchase_ids) AS g (account_id, purchase_id) LOOP
        RETURN QUERY
        SELECT u.account_id, u.purchase_id FROM offers.purchase u
        WHERE u.account_id = candidate.account_id AND u.purchase_id = candidate.purchase_id
            AND u.settled_revision < u.revision AND u.set_aside_at IS NULL
        FOR UPDATE SKIP LOCKED;
        taken := taken + found::integer;
        EXIT WHEN taken >= p_limit;
    END LOOP;
END
$$;

-- Whoever changes accounts' purchases holds their lanes: each by its key, in one order for all.
CREATE OR REPLACE FUNCTION offers.lock_lanes(p_accounts bigint[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    wanted bigint;
BEGIN
    FOR wanted IN SELECT DISTINCT g.account_id FROM unnest(p_accounts) AS g (account_id) ORDER BY 1 LOOP
        PERFORM FROM offers.lane l WHERE l.account_id = wanted FOR UPDATE;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION offers.take_budgets(p_offer_ids bigint[], p_before timestamptz)
RETURNS TABLE (offer_id bigint, swept_at timestamptz) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    candidate bigint;
BEGIN
    FOREACH candidate IN ARRAY p_offer_ids LOOP
        RETURN QUERY
        SELECT b.offer_id, b.swept_at FROM offers.budget b
        WHERE b.offer_id = candidate AND b.swept_at < p_before
        FOR UPDATE SKIP LOCKED;
    END LOOP;
END
$$;

-- Whether an offer's end has passed at every place that it counts at, on the places' own clocks; at a brand without places,
-- on its programme's. The zones of a brand are few and its places may be thousands: each zone is one look at the index.
CREATE OR REPLACE FUNCTION offers.ended(
    p_now timestamptz, p_ends_at timestamp, p_places bigint[], p_partner_id bigint, p_time_zone text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    WITH RECURSIVE zone (name) AS (
        SELECT min(pl.time_zone) FROM places.places pl WHERE pl.partner_id = p_partner_id AND p_places = '{}'
        UNION ALL
        SELECT (SELECT min(pl.time_zone) FROM places.places pl
                WHERE pl.partner_id = p_partner_id AND pl.time_zone > z.name)
        FROM zone z WHERE z.name IS NOT NULL
    )
    SELECT coalesce(min(p_now AT TIME ZONE each.name), p_now AT TIME ZONE p_time_zone) >= p_ends_at
    FROM (
        SELECT z.name FROM zone z WHERE z.name IS NOT NULL
        UNION ALL
        SELECT pl.time_zone FROM places.places pl WHERE pl.place_id = ANY (p_places)
    ) each (name)
$$;

GRANT USAGE ON SCHEMA offers TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA offers TO koinon_app;
GRANT UPDATE ON offers.inbox, offers.lane, offers.purchase, offers.payment, offers.payment_key, offers.decision,
    offers.reward, offers.budget, offers.budget_share TO koinon_app;
GRANT UPDATE (payment_id) ON offers.payment_message TO koinon_app;
GRANT UPDATE (par, unlinked_at) ON offers.card TO koinon_app;
GRANT UPDATE (card_keys, ended_at) ON offers.payment_account TO koinon_app;
GRANT UPDATE (reversed_at) ON offers.till_sighting TO koinon_app;
GRANT UPDATE (current_version_id, current_version_no) ON offers.offer TO koinon_app;
GRANT UPDATE (revision) ON offers.catalogue TO koinon_app;
