-- Card links and the inbox are keyed by card; payments, purchases and rewards by account, beside the ledger's rows;
-- offers are few and known everywhere; budgets are keyed by offer.

CREATE SCHEMA offers;

-- A token that a source asserted to be a member's. card_key is made from programme, source and token (offers/feeds/messages.py).
-- A link names the member alone: which account their purchases belong to is asked when a message is matched.
CREATE TABLE offers.card (
    card_key bigint NOT NULL,
    link_id uuid NOT NULL,
    programme_id bigint NOT NULL,
    source_id bigint NOT NULL,
    token text NOT NULL,
    par text,
    last4 text,
    network text,
    member_id bigint NOT NULL,
    linked_at timestamptz NOT NULL,
    unlinked_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (card_key, link_id)
);
CREATE UNIQUE INDEX card_one_active ON offers.card (card_key) WHERE unlinked_at IS NULL;
CREATE INDEX card_par ON offers.card (programme_id, par) WHERE par IS NOT NULL AND unlinked_at IS NULL;

-- Which member a payment account reference belongs to: it stays when the card is issued again under another number.
CREATE TABLE offers.payment_account (
    par_key bigint NOT NULL,
    link_id uuid NOT NULL,
    programme_id bigint NOT NULL,
    par text NOT NULL,
    member_id bigint NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (par_key, link_id)
);
CREATE UNIQUE INDEX payment_account_one_active ON offers.payment_account (par_key) WHERE ended_at IS NULL;

-- Every message id that a source has used, with what it stood for: keyed by source, as no card is known from an id.
-- It is kept as long as the message would be taken in by its own time (offers/feeds/retention.py).
CREATE TABLE offers.message (
    source_id bigint NOT NULL,
    message_id text NOT NULL,
    content_hash bytea NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source_id, message_id)
);
CREATE INDEX message_occurred ON offers.message (source_id, occurred_at);

-- What was taken in and is to be folded. The body leaves the inbox with the fold; a card that nobody linked leaves none.
-- What failed is tried again from `next_try_at` on, until it is set aside (offers/queues.py).
CREATE TABLE offers.inbox (
    card_key bigint NOT NULL,
    source_id bigint NOT NULL,
    message_id text NOT NULL,
    programme_id bigint NOT NULL,
    body text,
    state text NOT NULL DEFAULT 'new',
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tries integer NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    set_aside_at timestamptz,
    failure text,
    failed_where text,
    PRIMARY KEY (card_key, source_id, message_id),
    CONSTRAINT inbox_state CHECK (state IN ('new', 'folded', 'unlinked'))
) WITH (fillfactor = 70);
-- The two halves of the queue, which hold nothing that is done: by arrival, and the few that failed. What is done is
-- found to be forgotten.
CREATE INDEX inbox_arrived ON offers.inbox (received_at) WHERE state = 'new' AND next_try_at IS NULL;
CREATE INDEX inbox_done ON offers.inbox (received_at) WHERE state <> 'new';
CREATE INDEX inbox_failed ON offers.inbox (card_key, next_try_at) WHERE state = 'new' AND next_try_at IS NOT NULL;

-- One row an account, locked by whoever changes its purchases: a till and the worker never miss each other's sighting.
CREATE TABLE offers.lane (
    account_id bigint PRIMARY KEY
);

CREATE TABLE offers.purchase (
    account_id bigint NOT NULL,
    purchase_id uuid NOT NULL,
    programme_id bigint NOT NULL,
    member_id bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    place_id bigint,
    revision integer NOT NULL DEFAULT 1,
    rewarded_revision integer NOT NULL DEFAULT 0,
    merged_into uuid,  -- the purchase that this one turned out to be
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    waiting_since timestamptz NOT NULL DEFAULT clock_timestamp(),  -- since when more is known than was rewarded
    tries integer NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    set_aside_at timestamptz,
    failure text,
    failed_where text,
    PRIMARY KEY (account_id, purchase_id),
    CONSTRAINT purchase_revision CHECK (rewarded_revision <= revision)
) WITH (fillfactor = 80);
CREATE INDEX purchase_waiting ON offers.purchase (waiting_since)
    WHERE rewarded_revision < revision AND next_try_at IS NULL;
CREATE INDEX purchase_failed ON offers.purchase (account_id, next_try_at)
    WHERE rewarded_revision < revision AND next_try_at IS NOT NULL;
CREATE INDEX purchase_merged ON offers.purchase (account_id, merged_into) WHERE merged_into IS NOT NULL;

-- What a till said about a purchase: points stated by the brand, or none (its offers decide). What was taken back may
-- be rung up again: of a purchase's sightings one stands at most. The till's receipt is sealed under the member's key.
CREATE TABLE offers.till_sighting (
    account_id bigint NOT NULL,
    sighting_id uuid NOT NULL DEFAULT uuidv7(),
    purchase_id uuid NOT NULL,
    partner_id bigint NOT NULL,
    place_id bigint NOT NULL,
    sealed_receipt bytea,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    stated_points bigint,
    card_token text,
    source_id bigint,
    auth_code text,
    occurred_at timestamptz NOT NULL,
    reversed_at timestamptz,
    PRIMARY KEY (account_id, sighting_id),
    CONSTRAINT till_amount CHECK (amount_minor > 0),
    CONSTRAINT till_points CHECK (stated_points > 0)
);
CREATE UNIQUE INDEX till_sighting_one_stands ON offers.till_sighting (account_id, purchase_id) WHERE reversed_at IS NULL;
CREATE INDEX till_sighting_purchase ON offers.till_sighting (account_id, purchase_id);
CREATE INDEX till_sighting_tender ON offers.till_sighting (account_id, auth_code)
    WHERE auth_code IS NOT NULL AND reversed_at IS NULL;

CREATE TABLE offers.payment (
    account_id bigint NOT NULL,
    payment_id uuid NOT NULL,
    purchase_id uuid NOT NULL,
    linked_at timestamptz,
    fold text NOT NULL,
    auth_codes text[] NOT NULL,
    merged_into uuid,
    PRIMARY KEY (account_id, payment_id)
) WITH (fillfactor = 70);
CREATE INDEX payment_purchase ON offers.payment (account_id, purchase_id);

-- From a message's join key to its payment (offers/payments/joins.py).
CREATE TABLE offers.payment_key (
    account_id bigint NOT NULL,
    join_key text NOT NULL,
    payment_id uuid NOT NULL,
    PRIMARY KEY (account_id, join_key)
);

CREATE TABLE offers.payment_message (
    account_id bigint NOT NULL,
    source_id bigint NOT NULL,
    message_id text NOT NULL,
    payment_id uuid NOT NULL,
    body text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, source_id, message_id)
);
CREATE INDEX payment_message_payment ON offers.payment_message (account_id, payment_id);

CREATE TABLE offers.offer (
    offer_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL,
    partner_id bigint NOT NULL,
    current_version_id bigint NOT NULL,
    current_version_no integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL
);
CREATE INDEX offer_programme ON offers.offer (programme_id, created_at, offer_id);
CREATE INDEX offer_partner ON offers.offer (partner_id, created_at, offer_id);

-- How far a programme's offers have come: each version takes the next revision, and whoever publishes holds the row until
-- the commit. So revisions become visible in their order, and who knows one knows all before it.
CREATE TABLE offers.catalogue (
    programme_id bigint PRIMARY KEY,
    revision bigint NOT NULL
);

-- A version never changes; `body` is the OfferVersion (offers/model.py), and the columns are what it is found by: its span
-- on the places' own clocks, and the places that it lists (none: all of the brand's).
CREATE TABLE offers.offer_version (
    version_id bigint PRIMARY KEY,
    offer_id bigint NOT NULL REFERENCES offers.offer,
    version_no integer NOT NULL,
    programme_id bigint NOT NULL,
    partner_id bigint NOT NULL,
    activation_required boolean NOT NULL,
    starts_at timestamp NOT NULL,
    ends_at timestamp NOT NULL,
    places bigint[] NOT NULL,
    body text NOT NULL,
    published_at timestamptz NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT offer_version_unique UNIQUE (offer_id, version_no),
    CONSTRAINT offer_version_revision UNIQUE (programme_id, revision)
);

-- The version, and the words that were shown, are frozen when the member switches the offer on; `ends_at` is the version's,
-- so that what has ended is not read again with every purchase.
CREATE TABLE offers.activation (
    account_id bigint NOT NULL,
    offer_id bigint NOT NULL,
    version_id bigint NOT NULL,
    member_id bigint NOT NULL,
    activated_at timestamptz NOT NULL,
    ends_at timestamp NOT NULL,
    terms text NOT NULL,
    terms_sha256 bytea NOT NULL,
    PRIMARY KEY (account_id, offer_id)
);
CREATE INDEX activation_end ON offers.activation (account_id, ends_at);

-- The receipt of a purchase and an offer: which rules held, and why it earns what it earns.
CREATE TABLE offers.decision (
    account_id bigint NOT NULL,
    purchase_id uuid NOT NULL,
    offer_id bigint NOT NULL,
    version_id bigint NOT NULL,
    revision integer NOT NULL,
    reason text,
    points bigint NOT NULL,
    receipt text NOT NULL,
    PRIMARY KEY (account_id, purchase_id, offer_id)
) WITH (fillfactor = 80);

-- What a purchase has earned so far from one offer (0: what the till stated): `posted` stands in the ledger, under one
-- contract version and expiry. `shortfall` is what should have been taken back and was spent.
CREATE TABLE offers.reward (
    account_id bigint NOT NULL,
    purchase_id uuid NOT NULL,
    offer_id bigint NOT NULL,
    partner_id bigint NOT NULL,
    pending_points bigint NOT NULL,
    posted_points bigint NOT NULL,
    shortfall_points bigint NOT NULL DEFAULT 0,
    issuer_version integer,
    expires_on date,
    revision integer NOT NULL,
    PRIMARY KEY (account_id, purchase_id, offer_id),
    CONSTRAINT reward_not_negative CHECK (pending_points >= 0 AND posted_points >= 0 AND shortfall_points >= 0)
) WITH (fillfactor = 80);
CREATE INDEX reward_pending ON offers.reward (account_id) WHERE pending_points > 0;

CREATE TABLE offers.budget (
    offer_id bigint PRIMARY KEY,
    cap_points bigint NOT NULL,
    reserved_points bigint NOT NULL DEFAULT 0,
    spent_points bigint NOT NULL DEFAULT 0,
    swept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT budget_never_overrun CHECK (
        reserved_points >= 0 AND spent_points >= 0 AND reserved_points + spent_points <= cap_points)
) WITH (fillfactor = 50);

-- What a purchase has of a budget. Up to `swept_at` of its budget, no share is left of a purchase that was never written.
CREATE TABLE offers.budget_share (
    offer_id bigint NOT NULL,
    purchase_id uuid NOT NULL,
    account_id bigint NOT NULL,
    revision integer NOT NULL,
    reserved_points bigint NOT NULL,
    spent_points bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (offer_id, purchase_id)
) WITH (fillfactor = 80);
CREATE INDEX budget_share_changed ON offers.budget_share (offer_id, changed_at);
