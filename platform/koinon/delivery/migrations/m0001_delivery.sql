-- What is to leave.

CREATE SCHEMA delivery;

-- Mail that is to leave, written in the transaction of what it tells about. Recipient and body are sealed under a key
-- of the installation, for it may be for somebody who has no key of their own. Once it left, or nobody can want it any
-- more, they are emptied: what stays is that it was sent, and when.
CREATE TABLE delivery.mail (
    mail_id bigint PRIMARY KEY,
    subject text NOT NULL,
    sealed_letter bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_error text,
    sent_at timestamptz,
    given_up_at timestamptz,
    CONSTRAINT mail_kept_while_waiting CHECK (
        (sealed_letter IS NULL) = (sent_at IS NOT NULL OR given_up_at IS NOT NULL)
    )
) WITH (fillfactor = 80);
CREATE INDEX mail_due ON delivery.mail (next_attempt_at) WHERE sent_at IS NULL AND given_up_at IS NULL;
CREATE INDEX mail_settled ON delivery.mail (coalesce(sent_at, given_up_at)) WHERE sealed_letter IS NULL;
