-- A payment account names its linked cards itself: to let go of it, nobody has to look for cards on other shards, and
-- every key of a card starts with the card.

ALTER TABLE offers.payment_account ADD COLUMN card_keys bigint[] NOT NULL DEFAULT '{}';
UPDATE offers.payment_account a SET card_keys = ARRAY(
    SELECT c.card_key FROM offers.card c
    WHERE c.programme_id = a.programme_id AND c.par = a.par AND c.unlinked_at IS NULL ORDER BY c.card_key)
WHERE a.ended_at IS NULL;
DROP INDEX offers.card_par;
