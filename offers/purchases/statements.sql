-- arrived_messages: messages that are to be folded, the longest there first, and those that are due to be tried again
(SELECT i.card_key, i.source_id, i.message_id FROM offers.inbox i
 WHERE i.state = 'new' AND i.next_try_at IS NULL ORDER BY i.received_at LIMIT $2)
UNION ALL
(SELECT i.card_key, i.source_id, i.message_id FROM offers.inbox i
 WHERE i.state = 'new' AND i.next_try_at <= $1 AND i.set_aside_at IS NULL ORDER BY i.next_try_at LIMIT $2);

-- take_messages: of these messages those that no other worker has, up to a number
SELECT t.card_key, t.source_id, t.message_id, t.programme_id, t.body, t.received_at
FROM offers.take_messages($1::bigint[], $2::bigint[], $3::text[], $4) t;

-- put_off_message: note that a message failed, and when it is tried again; gives what became of it
UPDATE offers.inbox i
SET tries = i.tries + 1, next_try_at = $4::timestamptz + ($5::interval[])[least(i.tries + 1, cardinality($5))],
    set_aside_at = CASE WHEN i.tries >= cardinality($5) THEN $4::timestamptz END, failure = $6, failed_where = $7
WHERE i.card_key = $1 AND i.source_id = $2 AND i.message_id = $3 AND i.state = 'new'
AND (i.next_try_at IS NULL OR i.next_try_at <= $4)
RETURNING i.programme_id, i.tries, i.set_aside_at;

-- cards_of: the links of cards, ended or not, in the order in which they held
SELECT c.card_key, c.member_id, c.linked_at, c.unlinked_at
FROM offers.card c WHERE c.card_key = ANY ($1::bigint[]) ORDER BY c.card_key, c.linked_at, c.recorded_at;

-- open_lanes: make the lanes of accounts that have none yet
INSERT INTO offers.lane (account_id) SELECT DISTINCT unnest($1::bigint[]) ORDER BY 1 ON CONFLICT DO NOTHING;

-- lock_lanes: wait for whoever changes these accounts' purchases
SELECT offers.lock_lanes($1::bigint[]);

-- known_keys: the payments that join keys belong to
SELECT k.account_id, k.join_key, k.payment_id
FROM unnest($1::bigint[], $2::text[]) AS g (account_id, join_key)
JOIN offers.payment_key k ON k.account_id = g.account_id AND k.join_key = g.join_key;

-- put_keys: let join keys belong to payments
INSERT INTO offers.payment_key AS k (account_id, join_key, payment_id)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::uuid[])
ON CONFLICT (account_id, join_key) DO UPDATE SET payment_id = excluded.payment_id
WHERE k.payment_id <> excluded.payment_id;

-- keep_messages: put messages to their payments
INSERT INTO offers.payment_message (account_id, source_id, message_id, payment_id, body, received_at)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[])
ON CONFLICT DO NOTHING;

-- merge_messages: move the messages of payments that turned out to be one
UPDATE offers.payment_message m SET payment_id = g.into_id
FROM unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS g (account_id, payment_id, into_id)
WHERE m.account_id = ANY ($1::bigint[]) AND m.account_id = g.account_id AND m.payment_id = g.payment_id;

-- merge_keys: move the keys of payments that turned out to be one
UPDATE offers.payment_key k SET payment_id = g.into_id
FROM unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS g (account_id, payment_id, into_id)
WHERE k.account_id = ANY ($1::bigint[]) AND k.account_id = g.account_id AND k.payment_id = g.payment_id;

-- merge_payments: note into which payment others were merged; gives what they leave behind
UPDATE offers.payment p SET merged_into = g.into_id
FROM unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS g (account_id, payment_id, into_id)
WHERE p.account_id = ANY ($1::bigint[]) AND p.account_id = g.account_id AND p.payment_id = g.payment_id
RETURNING p.account_id, p.purchase_id, p.merged_into, p.linked_at;

-- messages_of: all messages of payments
SELECT m.account_id, m.payment_id, m.body
FROM unnest($1::bigint[], $2::uuid[]) AS g (account_id, payment_id)
JOIN offers.payment_message m ON m.account_id = g.account_id AND m.payment_id = g.payment_id;

-- purchases_of: the purchases of payments, and whether a till has seen them
SELECT p.account_id, p.payment_id, p.purchase_id,
    EXISTS (SELECT FROM offers.till_sighting s
            WHERE s.account_id = p.account_id AND s.purchase_id = p.purchase_id AND s.reversed_at IS NULL) AS at_till
FROM unnest($1::bigint[], $2::uuid[]) AS g (account_id, payment_id)
JOIN offers.payment p ON p.account_id = g.account_id AND p.payment_id = g.payment_id AND p.merged_into IS NULL;

-- open_tenders: till sightings of accounts that name an authorisation code and have no card payment yet
SELECT s.account_id, s.purchase_id, s.place_id, s.amount_minor, s.currency, s.card_token, s.source_id, s.auth_code,
    s.occurred_at
FROM offers.till_sighting s
WHERE s.account_id = ANY ($1::bigint[]) AND s.auth_code IS NOT NULL AND s.reversed_at IS NULL
AND NOT EXISTS (SELECT FROM offers.payment p
                WHERE p.account_id = s.account_id AND p.purchase_id = s.purchase_id AND p.merged_into IS NULL)
ORDER BY s.account_id, s.occurred_at, s.purchase_id;

-- free_payments: card payments of accounts that carry one of these authorisation codes and stand at no till; `rung`:
-- they did, until the till took it back
SELECT p.account_id, p.payment_id, p.purchase_id, p.fold, u.programme_id,
    EXISTS (SELECT FROM offers.till_sighting s
            WHERE s.account_id = p.account_id AND s.purchase_id = p.purchase_id) AS rung
FROM offers.payment p JOIN offers.purchase u ON u.account_id = p.account_id AND u.purchase_id = p.purchase_id
WHERE p.account_id = ANY ($1::bigint[]) AND p.auth_codes && $2::text[] AND p.merged_into IS NULL
AND NOT EXISTS (SELECT FROM offers.till_sighting s
                WHERE s.account_id = p.account_id AND s.purchase_id = p.purchase_id AND s.reversed_at IS NULL)
ORDER BY p.account_id, p.payment_id;

-- put_payments: write the folds of payments
INSERT INTO offers.payment AS p (account_id, payment_id, purchase_id, linked_at, fold, auth_codes)
SELECT g.account_id, g.payment_id, g.purchase_id, g.linked_at, g.fold, string_to_array(g.auth_codes, ',')
FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[])
    AS g (account_id, payment_id, purchase_id, linked_at, fold, auth_codes)
ON CONFLICT (account_id, payment_id) DO UPDATE SET purchase_id = excluded.purchase_id, fold = excluded.fold,
    auth_codes = excluded.auth_codes, linked_at = least(p.linked_at, excluded.linked_at);

-- touch_purchases: make purchases, or let known ones be settled again
INSERT INTO offers.purchase AS u (account_id, purchase_id, programme_id, member_id, occurred_at, place_id)
SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[])
ON CONFLICT (account_id, purchase_id) DO UPDATE SET revision = u.revision + 1,
    waiting_since = CASE WHEN u.settled_revision = u.revision THEN statement_timestamp() ELSE u.waiting_since END,
    next_try_at = NULL, set_aside_at = NULL;

-- merge_purchases: let purchases that their payment left be settled again, and note which purchase they turned out to be;
-- what a till has seen stays a purchase
UPDATE offers.purchase u
SET revision = u.revision + (u.purchase_id = g.purchase_id)::integer,
    waiting_since = CASE WHEN u.settled_revision = u.revision THEN statement_timestamp() ELSE u.waiting_since END,
    next_try_at = NULL, set_aside_at = NULL,
    merged_into = CASE WHEN NOT EXISTS (
        SELECT FROM offers.till_sighting s
        WHERE s.account_id = u.account_id AND s.purchase_id = u.purchase_id AND s.reversed_at IS NULL) THEN g.into_id END
FROM unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS g (account_id, purchase_id, into_id)
WHERE u.account_id = ANY ($1::bigint[]) AND u.account_id = g.account_id
AND (u.purchase_id = g.purchase_id OR u.merged_into = g.purchase_id);

-- leave_inbox: note that messages were folded, or that nobody had linked the card; the body goes
UPDATE offers.inbox i SET state = g.state, body = NULL, next_try_at = NULL, failure = NULL, failed_where = NULL
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS g (card_key, source_id, message_id, state)
WHERE i.card_key = ANY ($1::bigint[]) AND i.card_key = g.card_key AND i.source_id = g.source_id
AND i.message_id = g.message_id;

-- stale_payments: payments that points are waited for and that should have cleared long ago
SELECT p.account_id, p.payment_id, p.fold, p.linked_at, u.programme_id, u.member_id
FROM (SELECT DISTINCT r.account_id, r.purchase_id FROM offers.reward r WHERE r.pending_points > 0) r
JOIN offers.purchase u ON u.account_id = r.account_id AND u.purchase_id = r.purchase_id
JOIN parties.programmes pr ON pr.programme_id = u.programme_id
JOIN offers.payment p ON p.account_id = r.account_id AND p.purchase_id = r.purchase_id AND p.merged_into IS NULL
WHERE u.occurred_at < coalesce(pr.clock_at, $1::timestamptz) - $2::interval
AND NOT EXISTS (SELECT FROM offers.payment_message m
                WHERE m.account_id = p.account_id AND m.payment_id = p.payment_id
                AND m.message_id = 'expiry:' || p.payment_id)
ORDER BY u.occurred_at, p.payment_id LIMIT $3;
