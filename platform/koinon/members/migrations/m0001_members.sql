-- Persons. Keys start with member_id, but for contacts, which are looked up by what a person is reached at.
-- Personal data stands in members.member and members.contact alone, so that a person can be erased.

CREATE SCHEMA members;

-- The member's account is an id of its own: journals name accounts, and a household's account has several members.
CREATE TABLE members.member (
    member_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL,
    account_id bigint NOT NULL,
    email text,
    phone text,
    name text,
    locale text,
    enrolled_by bigint NOT NULL,
    enrolled_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- An e-mail address or a phone number belongs to one member of a programme: this key makes parallel enrolments one.
-- No foreign key: on a distributed database a contact and its member stand on different shards.
CREATE TABLE members.contact (
    value text NOT NULL,
    programme_id bigint NOT NULL,
    kind text NOT NULL,
    member_id bigint NOT NULL,
    PRIMARY KEY (value, programme_id),
    CONSTRAINT contact_kind CHECK (kind IN ('email', 'phone'))
);

-- What was consented to, word for word; the same words stand once.
CREATE TABLE members.consent_text (
    text_sha256 bytea PRIMARY KEY,
    body text NOT NULL,
    CONSTRAINT consent_text_digest CHECK (text_sha256 = sha256(convert_to(body, 'UTF8')))
);

-- A consent for one partner and one purpose; its id is the receipt. It never changes: withdrawing it is a row beside it.
CREATE TABLE members.consent (
    member_id bigint NOT NULL REFERENCES members.member,
    receipt_id uuid NOT NULL,
    partner_id bigint NOT NULL REFERENCES parties.partner,
    purpose text NOT NULL,
    text_sha256 bytea NOT NULL REFERENCES members.consent_text,
    locale text NOT NULL,
    channel text,
    given_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (member_id, receipt_id)
);
CREATE INDEX consent_purpose ON members.consent (member_id, partner_id, purpose);

CREATE TABLE members.consent_withdrawal (
    member_id bigint NOT NULL,
    receipt_id uuid NOT NULL,
    withdrawn_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (member_id, receipt_id),
    FOREIGN KEY (member_id, receipt_id) REFERENCES members.consent
);
