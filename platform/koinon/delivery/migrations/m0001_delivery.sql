-- What is to leave.

CREATE SCHEMA delivery;

-- Mail that is to leave, written in the transaction of what it tells about. Once it left, or nobody can want it any
-- more, recipient and body are emptied: what stays is that it was sent, and when.
CREATE TABLE delivery.mail (
    mail_id bigint PRIMARY KEY,
    recipient text,
    subject text NOT NULL,
    body text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_error text,
    sent_at timestamptz,
    given_up_at timestamptz,
    CONSTRAINT mail_readable CHECK (
        sent_at IS NOT NULL OR given_up_at IS NOT NULL OR (recipient IS NOT NULL AND body IS NOT NULL)
    )
) WITH (fillfactor = 80);
CREATE INDEX mail_due ON delivery.mail (next_attempt_at) WHERE sent_at IS NULL AND given_up_at IS NULL;
