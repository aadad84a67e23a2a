-- Budgets. One call for many purchases, in the order of offers, so that two calls never wait for each other in a circle.

-- Set what purchases have of their offers' budgets to `pending` reserved and `confirmed` spent, as of a revision; gives
-- what was granted. An older revision changes nothing, the same one asked again neither: shares are set, not added.
-- What is left is granted when all is not to be had.
CREATE OR REPLACE FUNCTION offers.set_budget_shares(p_shares jsonb)
RETURNS TABLE (offer_id bigint, purchase_id uuid, granted_points bigint) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    asked record;
    budget offers.budget;
    share offers.budget_share;
    total bigint;
    confirmed bigint;
BEGIN
    FOR asked IN
        SELECT s.* FROM jsonb_to_recordset(p_shares)
            AS s (offer_id bigint, purchase_id uuid, revision integer, confirmed bigint, pending bigint)
        ORDER BY s.offer_id, s.purchase_id
    LOOP
        SELECT * INTO budget FROM offers.budget b WHERE b.offer_id = asked.offer_id FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        SELECT * INTO share FROM offers.budget_share h
        WHERE h.offer_id = asked.offer_id AND h.purchase_id = asked.purchase_id;
        IF FOUND AND share.revision > asked.revision THEN
            offer_id := asked.offer_id; purchase_id := asked.purchase_id;
            granted_points := share.reserved_points + share.spent_points;
            RETURN NEXT;
            CONTINUE;
        END IF;
        IF NOT FOUND THEN
            share := (asked.offer_id, asked.purchase_id, 0, 0, 0);
        END IF;
        total := least(
            asked.confirmed + asked.pending,
            budget.cap_points - budget.reserved_points - budget.spent_points
                + share.reserved_points + share.spent_points);
        confirmed := least(asked.confirmed, total);
        UPDATE offers.budget b
        SET reserved_points = b.reserved_points - share.reserved_points + total - confirmed,
            spent_points = b.spent_points - share.spent_points + confirmed
        WHERE b.offer_id = asked.offer_id;
        INSERT INTO offers.budget_share AS h (offer_id, purchase_id, revision, reserved_points, spent_points)
        VALUES (asked.offer_id, asked.purchase_id, asked.revision, total - confirmed, confirmed)
        ON CONFLICT (offer_id, purchase_id) DO UPDATE SET revision = excluded.revision,
            reserved_points = excluded.reserved_points, spent_points = excluded.spent_points;
        offer_id := asked.offer_id; purchase_id := asked.purchase_id; granted_points := total;
        RETURN NEXT;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA offers TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA offers TO koinon_app;
GRANT UPDATE ON offers.inbox, offers.lane, offers.purchase, offers.payment, offers.payment_key, offers.decision,
    offers.reward, offers.budget, offers.budget_share TO koinon_app;
GRANT UPDATE (payment_id) ON offers.payment_message TO koinon_app;
GRANT UPDATE (unlinked_at) ON offers.card TO koinon_app;
GRANT UPDATE (ended_at) ON offers.payment_account TO koinon_app;
GRANT UPDATE (reversed_at) ON offers.till_sighting TO koinon_app;
