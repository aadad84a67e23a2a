-- The log: one tree of leaves for an installation, its tiles, and what opens the commitments to the parties.

CREATE SCHEMA audit;

-- One row. Whoever holds its lock is the sequencer; size and root say what is committed, the note what is signed.
CREATE TABLE audit.log (
    log_id smallint PRIMARY KEY,
    size bigint NOT NULL,
    root bytea NOT NULL,
    signed_size bigint NOT NULL DEFAULT 0,
    note text,
    CONSTRAINT log_one CHECK (log_id = 1),
    CONSTRAINT log_signed CHECK (signed_size <= size)
);
INSERT INTO audit.log (log_id, size, root) VALUES (1, 0, sha256(''));

CREATE TABLE audit.entry (
    leaf_index bigint PRIMARY KEY,
    leaf bytea NOT NULL
);

-- A tile grows to 256 hashes and never changes then; a narrower one that was published is a prefix of it.
CREATE TABLE audit.tile (
    level smallint NOT NULL,
    tile_index bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (level, tile_index)
);

-- What opens a party's commitment. Counters are dense per partner and window. Salt and content go to the parties alone;
-- the counterparty is for the operator's matrix and stands in no content.
CREATE TABLE audit.opening (
    partner_id bigint NOT NULL,
    window_no bigint NOT NULL,
    counter bigint NOT NULL,
    programme_id bigint NOT NULL,
    leaf_index bigint NOT NULL,
    slot text NOT NULL,
    salt bytea NOT NULL,
    content bytea NOT NULL,
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
CREATE INDEX opening_window ON audit.opening (programme_id, window_no);

-- What a sealed window says to one partner, and where it stands under the seal's root.
CREATE TABLE audit.seal (
    programme_id bigint NOT NULL,
    window_no bigint NOT NULL,
    partner_id bigint NOT NULL,
    leaf_index bigint NOT NULL,
    salt bytea NOT NULL,
    content bytea NOT NULL,
    outstanding bigint NOT NULL,
    root_index bigint NOT NULL,
    root_size bigint NOT NULL,
    root_proof bytea NOT NULL,
    PRIMARY KEY (programme_id, window_no, partner_id)
);

-- Leaves that contexts hand in (a run's statements); the sequencer marks each with its place.
CREATE TABLE audit.submission (
    submission_id uuid PRIMARY KEY,
    leaf bytea NOT NULL,
    leaf_index bigint
);
CREATE INDEX submission_unmarked ON audit.submission (submission_id) WHERE leaf_index IS NULL;
