-- Budgets. A share is grown before its points are posted, in a transaction of its own, and set to what stands in the
-- ledger by the transaction that posts: so no point is posted that no budget paid for, and what is given back is given
-- back with the points. A call goes in the order of offers, so that two calls never wait for each other in a circle.

-- Grow what purchases have of their offers' budgets (`p_grow`), as far as the budgets go, or set it to exactly `spent`
-- and `reserved`; gives what they have then. Asked again the same changes nothing, an older revision never does.
DROP FUNCTION IF EXISTS offers.set_budget_shares(jsonb);
CREATE OR REPLACE FUNCTION offers.set_budget_shares(p_shares jsonb, p_grow boolean)
RETURNS TABLE (offer_id bigint, purchase_id uuid, granted_points bigint) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    asked record;
    budget offers.budget;
    share offers.budget_share;
    standing bigint;
    total bigint;
    spent bigint;
BEGIN
    FOR asked IN
        SELECT s.* FROM jsonb_to_recordset(p_shares) AS s (
            offer_id bigint, purchase_id uuid, account_id bigint, revision integer, spent bigint, reserved bigint)
        ORDER BY s.offer_id, s.purchase_id
    LOOP
        SELECT * INTO budget FROM offers.budget b WHERE b.offer_id = asked.offer_id FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        SELECT * INTO share FROM offers.budget_share h
        WHERE h.offer_id = asked.offer_id AND h.purchase_id = asked.purchase_id;
        standing := coalesce(share.reserved_points + share.spent_points, 0);
        total := least(
            asked.spent + asked.reserved,
            budget.cap_points - budget.reserved_points - budget.spent_points + standing);
        spent := least(asked.spent, total);
        IF p_grow THEN
            total := greatest(total, standing);
            spent := coalesce(share.spent_points, 0);
        END IF;
        offer_id := asked.offer_id; purchase_id := asked.purchase_id; granted_points := total;
        IF share.revision > asked.revision THEN
            granted_points := standing;
        ELSIF total <> standing OR spent <> coalesce(share.spent_points, 0) THEN
            UPDATE offers.budget b
            SET reserved_points = b.reserved_points - coalesce(share.reserved_points, 0) + total - spent,
                spent_points = b.spent_points - coalesce(share.spent_points, 0) + spent
            WHERE b.offer_id = asked.offer_id;
            INSERT INTO offers.budget_share AS h (offer_id, purchase_id, account_id, revision, reserved_points,
                spent_points)
            VALUES (asked.offer_id, asked.purchase_id, asked.account_id, asked.revision, total - spent, spent)
            ON CONFLICT (offer_id, purchase_id) DO UPDATE SET revision = excluded.revision,
                reserved_points = excluded.reserved_points, spent_points = excluded.spent_points,
                changed_at = excluded.changed_at;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA offers TO koinon_app;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA offers TO koinon_app;
GRANT UPDATE ON offers.inbox, offers.lane, offers.purchase, offers.payment, offers.payment_key, offers.decision,
    offers.reward, offers.budget, offers.budget_share TO koinon_app;
GRANT UPDATE (payment_id) ON offers.payment_message TO koinon_app;
GRANT UPDATE (par, unlinked_at) ON offers.card TO koinon_app;
GRANT UPDATE (ended_at) ON offers.payment_account TO koinon_app;
GRANT UPDATE (reversed_at) ON offers.till_sighting TO koinon_app;
GRANT UPDATE (current_version_id, current_version_no) ON offers.offer TO koinon_app;
