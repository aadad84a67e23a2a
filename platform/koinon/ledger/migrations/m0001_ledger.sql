-- The ledger. Every key starts with account_id: one operation touches one account, on one shard.
-- A movement has one amount, a debit kind and a credit kind: an imbalance cannot be written.

CREATE SCHEMA ledger;

CREATE TABLE ledger.unit (
    unit_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL REFERENCES parties.programme,
    code text NOT NULL,
    CONSTRAINT unit_code_unique UNIQUE (programme_id, code)
);

-- The span between two nightly closes. Exactly one window of a programme is open.
CREATE TABLE ledger.settlement_window (
    programme_id bigint NOT NULL REFERENCES parties.programme,
    window_no bigint NOT NULL,
    business_date date NOT NULL,
    state text NOT NULL,
    opened_at timestamptz NOT NULL,
    flipped_at timestamptz,
    barrier_xid xid8,
    closed_at timestamptz,
    PRIMARY KEY (programme_id, window_no),
    CONSTRAINT settlement_window_state CHECK (state IN ('OPEN', 'CLOSING', 'CLOSED', 'SEALED'))
);
CREATE UNIQUE INDEX settlement_window_one_open ON ledger.settlement_window (programme_id) WHERE state = 'OPEN';
CREATE INDEX settlement_window_unsealed ON ledger.settlement_window (programme_id, window_no) WHERE state <> 'SEALED';

-- What the worker could not do for a programme, and when it is tried again: others go on meanwhile.
CREATE TABLE ledger.alert (
    alert_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL REFERENCES parties.programme,
    work text NOT NULL,
    explanation text NOT NULL,
    tries integer NOT NULL,
    raised_at timestamptz NOT NULL,
    tried_at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    cleared_at timestamptz
);
CREATE UNIQUE INDEX alert_open ON ledger.alert (programme_id, work) WHERE cleared_at IS NULL;

CREATE TABLE ledger.account (
    account_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL,
    opened_at timestamptz NOT NULL
);

CREATE TABLE ledger.wallet (
    account_id bigint NOT NULL,
    unit_id bigint NOT NULL,
    available bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0,
    window_no bigint NOT NULL DEFAULT 0,  -- the latest window that moved it: who asks what moved since, asks it first
    PRIMARY KEY (account_id, unit_id),
    CONSTRAINT wallet_not_negative CHECK (available >= 0 AND held >= 0)
) WITH (fillfactor = 70);

CREATE TABLE ledger.journal (
    account_id bigint NOT NULL,
    journal_id uuid NOT NULL,
    programme_id bigint NOT NULL,
    unit_id bigint NOT NULL,
    window_no bigint NOT NULL,
    transaction_id xid8 NOT NULL,
    kind text NOT NULL,
    partner_id bigint,
    member_id bigint,
    caller text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    place_id bigint,
    purchase_id uuid,
    hold_id uuid,
    reverses uuid,
    reason text,
    PRIMARY KEY (account_id, journal_id),
    CONSTRAINT journal_kind CHECK (kind IN (
        'earn', 'hold', 'capture', 'release', 'reverse_earn', 'reverse_burn', 'expire', 'transfer', 'adjust'))
);
CREATE INDEX journal_reverses ON ledger.journal (account_id, reverses) WHERE reverses IS NOT NULL;
CREATE INDEX journal_hold ON ledger.journal (account_id, hold_id) WHERE hold_id IS NOT NULL;

CREATE TABLE ledger.lot (
    account_id bigint NOT NULL,
    lot_id uuid NOT NULL,
    unit_id bigint NOT NULL,
    journal_id uuid NOT NULL,
    issuer_id bigint NOT NULL,
    issuer_version integer NOT NULL,
    contributor_id bigint,
    purchase_id uuid,
    issued_at timestamptz NOT NULL,
    expires_on date NOT NULL,
    quantity bigint NOT NULL,
    remaining bigint NOT NULL,
    held bigint NOT NULL DEFAULT 0,
    origin_lot_id uuid,
    PRIMARY KEY (account_id, lot_id),
    CONSTRAINT lot_bounds CHECK (quantity > 0 AND held >= 0 AND held <= remaining AND remaining <= quantity)
) WITH (fillfactor = 80);
CREATE INDEX lot_soonest_expiry ON ledger.lot (account_id, unit_id, expires_on, issued_at, lot_id) WHERE remaining > 0;
CREATE INDEX lot_purchase ON ledger.lot (account_id, purchase_id) WHERE purchase_id IS NOT NULL;

-- No foreign key to its journal and its lot: one function writes all three, the application deletes none of them, and to
-- look up what was just written took a quarter of a batch's time. The invariant i3_orphans finds what a key would refuse.
CREATE TABLE ledger.movement (
    account_id bigint NOT NULL,
    journal_id uuid NOT NULL,
    leg integer NOT NULL,
    unit_id bigint NOT NULL,
    window_no bigint NOT NULL,
    debit_kind text NOT NULL,
    credit_kind text NOT NULL,
    amount bigint NOT NULL,
    lot_id uuid NOT NULL,
    issuer_id bigint NOT NULL,
    issuer_version integer NOT NULL,
    acceptor_id bigint,
    acceptor_version integer,
    PRIMARY KEY (account_id, journal_id, leg),
    CONSTRAINT movement_amount CHECK (amount > 0),
    CONSTRAINT movement_kinds CHECK (
        debit_kind <> credit_kind
        AND debit_kind IN ('issued', 'wallet', 'held', 'honoured', 'expired', 'transit', 'adjusted', 'owed')
        AND credit_kind IN ('issued', 'wallet', 'held', 'honoured', 'expired', 'transit', 'adjusted', 'owed'))
);
CREATE INDEX movement_lot ON ledger.movement (account_id, lot_id);

-- What a till says about a redemption (its receipt, sealed under the member's key, and who attested) stands here and not in the journal, which keeps no
-- person's words. The hold says whose it is, so that its end is journalled for the same member at the same place.
CREATE TABLE ledger.hold (
    account_id bigint NOT NULL,
    hold_id uuid NOT NULL,
    unit_id bigint NOT NULL,
    member_id bigint,
    acceptor_id bigint NOT NULL,
    acceptor_version integer NOT NULL,
    amount bigint NOT NULL,
    state text NOT NULL,
    proof_kind text NOT NULL,
    proof_ref text,
    attested_by text,
    sealed_receipt bytea,
    place_id bigint,
    occurred_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, hold_id),
    CONSTRAINT hold_amount CHECK (amount > 0),
    CONSTRAINT hold_state CHECK (state IN ('reserved', 'captured', 'released')),
    CONSTRAINT hold_proof CHECK (proof_kind IN ('pay_code', 'card', 'staff'))
) WITH (fillfactor = 80);
-- A proof that may be shown once carries a reference; showing it again is refused by this index.
CREATE UNIQUE INDEX hold_proof_once ON ledger.hold (account_id, proof_ref) WHERE proof_ref IS NOT NULL;
CREATE INDEX hold_open ON ledger.hold (account_id, expires_at) WHERE state = 'reserved';

CREATE TABLE ledger.hold_lot (
    account_id bigint NOT NULL,
    hold_id uuid NOT NULL,
    lot_id uuid NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (account_id, hold_id, lot_id),
    FOREIGN KEY (account_id, hold_id) REFERENCES ledger.hold,
    FOREIGN KEY (account_id, lot_id) REFERENCES ledger.lot,
    CONSTRAINT hold_lot_amount CHECK (amount > 0)
);

-- What the log has still to take: a row per journal, marked with its leaf. The partial index holds the unmarked alone,
-- in the order in which they are taken: programme by programme, the window that closes first. No foreign key, as for movements.
CREATE TABLE ledger.outbox (
    account_id bigint NOT NULL,
    journal_id uuid NOT NULL,
    programme_id bigint NOT NULL,
    window_no bigint NOT NULL,
    leaf_index bigint,
    PRIMARY KEY (account_id, journal_id)
) WITH (fillfactor = 70);
CREATE INDEX outbox_unmarked ON ledger.outbox (programme_id, window_no, account_id, journal_id)
    WHERE leaf_index IS NULL;

-- One thing to post; which fields are set depends on its kind (koinon/ledger/model.py says which).
CREATE TYPE ledger.command AS (
    "position" integer,
    kind text,
    caller text,
    key text,
    content_hash text,
    account_id bigint,
    unit_id bigint,
    member_id bigint,
    partner_id bigint,
    version integer,
    points bigint,
    occurred_at timestamptz,
    today date,
    expires_on date,
    place_id bigint,
    purchase_id uuid,
    hold_id uuid,
    reverses uuid,
    proof_kind text,
    proof_ref text,
    hold_expires_at timestamptz,
    shortfall text,
    reason text,
    sealed_receipt text,
    attested_by text
);

-- What became of it: posted, replayed, conflict or refused; the answer holds the figures or the refusal's facts.
CREATE TYPE ledger.outcome AS ("position" integer, status text, answer jsonb);

-- Where a command is posted: fixed once per call, before anything is read.
CREATE TYPE ledger.stamp AS (programme_id bigint, transaction_id xid8, window_no bigint);
