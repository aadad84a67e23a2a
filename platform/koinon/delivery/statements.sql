-- queue_mail: write mail that is to leave when this transaction is committed
INSERT INTO delivery.mail (mail_id, subject, sealed_letter, expires_at) VALUES ($1, $2, $3, $4);

-- claim_mail: take up to $2 that are due, for $3 seconds; another worker takes others, and a crash gives them back
UPDATE delivery.mail SET attempts = attempts + 1, next_attempt_at = $1::timestamptz + make_interval(secs => $3)
WHERE mail_id IN (
    SELECT mail_id FROM delivery.mail
    WHERE sent_at IS NULL AND given_up_at IS NULL AND next_attempt_at <= $1
    ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING mail_id, subject, sealed_letter, created_at, attempts, expires_at;

-- mail_sent: note that it left, and forget to whom and what
UPDATE delivery.mail SET sent_at = $2, sealed_letter = NULL, last_error = NULL
WHERE mail_id = $1 AND sent_at IS NULL;

-- mail_failed: note why it did not leave, and when it is tried again
UPDATE delivery.mail SET last_error = $2, next_attempt_at = $3 WHERE mail_id = $1 AND sent_at IS NULL;

-- mail_given_up: note that it will not leave, and forget to whom and what
UPDATE delivery.mail SET given_up_at = $2, last_error = $3, sealed_letter = NULL WHERE mail_id = $1 AND sent_at IS NULL;

-- forget_mail: drop mail that left or was given up before an instant, a slice at a time
DELETE FROM delivery.mail WHERE mail_id = ANY (ARRAY(
    SELECT mail_id FROM delivery.mail WHERE sealed_letter IS NULL AND coalesce(sent_at, given_up_at) < $1
    ORDER BY coalesce(sent_at, given_up_at) LIMIT $2 FOR UPDATE SKIP LOCKED));
