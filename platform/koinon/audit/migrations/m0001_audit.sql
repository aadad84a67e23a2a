-- The logs: one of every live programme, and one of each sandbox programme; their tiles, what opens the commitments to
-- the parties, and the running totals that seals and settlement read.

CREATE SCHEMA audit;

-- A row a log. Whoever holds its lock is its sequencer; size and root say what is committed, the note what is signed.
-- The live log is 1; a sandbox programme's has the programme's id, and is opened with it.
CREATE TABLE audit.log (
    log_id bigint PRIMARY KEY,
    size bigint NOT NULL DEFAULT 0,
    root bytea NOT NULL DEFAULT sha256(''),
    signed_size bigint NOT NULL DEFAULT 0,
    note text,
    CONSTRAINT log_signed CHECK (signed_size <= size)
);
INSERT INTO audit.log (log_id) VALUES (1);

CREATE TABLE audit.entry (
    log_id bigint NOT NULL,
    leaf_index bigint NOT NULL,
    leaf bytea NOT NULL,
    PRIMARY KEY (log_id, leaf_index)
);

-- A tile grows to 256 hashes and never changes then; a narrower one that was published is a prefix of it.
CREATE TABLE audit.tile (
    log_id bigint NOT NULL,
    level smallint NOT NULL,
    tile_index bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (log_id, level, tile_index)
);

-- What opens a party's commitment. Counters are dense per partner and window, over all units. Salt and content go to the
-- parties alone; the counterparty is for the operator's matrix and stands in no content.
CREATE TABLE audit.opening (
    partner_id bigint NOT NULL,
    window_no bigint NOT NULL,
    counter bigint NOT NULL,
    programme_id bigint NOT NULL,
    log_id bigint NOT NULL,
    leaf_index bigint NOT NULL,
    slot text NOT NULL,
    salt bytea NOT NULL,
    content bytea NOT NULL,
    unit_id bigint NOT NULL,
    effect text NOT NULL,
    points bigint NOT NULL,
    version integer NOT NULL,
    counterparty_id bigint,
    counterparty_version integer,
    shared_slot text,
    shared_salt bytea,
    shared_content bytea,
    PRIMARY KEY (partner_id, window_no, counter),
    CONSTRAINT opening_counter CHECK (counter > 0)
);

-- The last counter of a partner in a window, written with its openings.
CREATE TABLE audit.counter (
    partner_id bigint NOT NULL,
    window_no bigint NOT NULL,
    programme_id bigint NOT NULL,
    counter bigint NOT NULL,
    PRIMARY KEY (partner_id, window_no)
) WITH (fillfactor = 70);

-- What the openings of a partner and window come to, written with them, so that nobody has to sum millions.
CREATE TABLE audit.total (
    partner_id bigint NOT NULL,
    window_no bigint NOT NULL,
    unit_id bigint NOT NULL,
    effect text NOT NULL,
    version integer NOT NULL,
    counterparty_id bigint,
    counterparty_version integer,
    programme_id bigint NOT NULL,
    points bigint NOT NULL,
    entries bigint NOT NULL,
    CONSTRAINT total_cell UNIQUE NULLS NOT DISTINCT
        (partner_id, window_no, unit_id, effect, version, counterparty_id, counterparty_version),
    CONSTRAINT total_entries CHECK (entries > 0)
) WITH (fillfactor = 70);
CREATE INDEX total_window ON audit.total (programme_id, window_no);

-- What a sealed window says to one partner, and where it stands under the seal's root.
CREATE TABLE audit.seal (
    programme_id bigint NOT NULL,
    window_no bigint NOT NULL,
    partner_id bigint NOT NULL,
    log_id bigint NOT NULL,
    leaf_index bigint NOT NULL,
    salt bytea NOT NULL,
    content bytea NOT NULL,
    outstanding bigint NOT NULL,
    root_index bigint NOT NULL,
    root_size bigint NOT NULL,
    root_proof bytea NOT NULL,
    PRIMARY KEY (programme_id, window_no, partner_id)
);

-- Leaves that contexts hand in (a run's statements); the sequencer marks each with its place in its programme's log.
CREATE TABLE audit.submission (
    submission_id uuid PRIMARY KEY,
    programme_id bigint NOT NULL,
    log_id bigint NOT NULL,
    leaf bytea NOT NULL,
    leaf_index bigint
);
CREATE INDEX submission_unmarked ON audit.submission (programme_id, submission_id) WHERE leaf_index IS NULL;

-- What stands still and why: a log, a programme of one, or a single journal, until it goes on. The same trouble again
-- only counts a try; tries come at growing distances.
CREATE TABLE audit.alert (
    alert_id bigint PRIMARY KEY,
    log_id bigint NOT NULL,
    code text NOT NULL,
    programme_id bigint,
    window_no bigint,
    account_id bigint,
    journal_id uuid,
    explanation text NOT NULL,
    tries integer NOT NULL DEFAULT 1,
    raised_at timestamptz NOT NULL,
    tried_at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    cleared_at timestamptz
);
CREATE UNIQUE INDEX alert_open ON audit.alert (log_id, code, programme_id, account_id, journal_id)
    NULLS NOT DISTINCT WHERE cleared_at IS NULL;
