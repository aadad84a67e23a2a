-- Persons. Keys start with member_id, but for contacts, which are looked up by what a person is reached at.
-- What a person is called and reached at is sealed under a key of their own: without its row in members.member_key
-- nobody reads it again, here or in a copy that was made before and lacks that row.

CREATE SCHEMA members;

-- The member's account is an id of its own: journals name accounts, and a household's account has several members.
CREATE TABLE members.member (
    member_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL,
    account_id bigint NOT NULL,
    sealed_name bytea,
    locale text,
    enrolled_by bigint NOT NULL,
    enrolled_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A member's own key (data encryption key), wrapped by a master key that the keys' folder holds.
CREATE TABLE members.member_key (
    member_id bigint PRIMARY KEY REFERENCES members.member,
    key_version integer NOT NULL,
    master_version integer NOT NULL,
    wrapped bytea NOT NULL,
    CONSTRAINT member_key_versions CHECK (key_version > 0 AND master_version > 0)
);

-- An e-mail address or a phone number belongs to one member of a programme: this key makes parallel enrolments one.
-- It is known by a keyed hash; what it says is sealed. Its key is the hash, so that one who is enrolled is found on one
-- shard. No foreign key: on a distributed database a contact and its member stand on different shards.
CREATE TABLE members.contact (
    contact_hash bytea NOT NULL,
    programme_id bigint NOT NULL,
    kind text NOT NULL,
    member_id bigint NOT NULL,
    sealed_value bytea NOT NULL,
    PRIMARY KEY (contact_hash, programme_id),
    CONSTRAINT contact_hash_length CHECK (octet_length(contact_hash) = 32),
    CONSTRAINT contact_kind CHECK (kind IN ('email', 'phone'))
);
CREATE INDEX contact_member ON members.contact (member_id);

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
