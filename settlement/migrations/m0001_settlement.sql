-- Settlement. What a run says is written once, whole, and never changes; its state moves along the arrows below.
-- All of it is small and written once a night: on a distributed database, reference tables.

CREATE SCHEMA settlement;

-- Who asked that a window be closed and settled: the maker of its run. A window that the night closed has none.
CREATE TABLE settlement.maker (
    programme_id bigint NOT NULL,
    window_no bigint NOT NULL,
    staff_id bigint NOT NULL REFERENCES identity.staff,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (programme_id, window_no),
    FOREIGN KEY (programme_id, window_no) REFERENCES ledger.settlement_window
);

-- The states of a run and which may follow which, as data (settlement/states.py says the same; a test compares them).
CREATE TABLE settlement.run_transition (
    state text NOT NULL,
    following text NOT NULL,
    PRIMARY KEY (state, following)
);
INSERT INTO settlement.run_transition (state, following) VALUES
    ('CALCULATED', 'PUBLISHED'), ('CALCULATED', 'ABORTED'), ('CALCULATED', 'SUPERSEDED'),
    ('PUBLISHED', 'OBJECTION'), ('PUBLISHED', 'APPROVED'), ('PUBLISHED', 'ABORTED'), ('PUBLISHED', 'SUPERSEDED'),
    ('OBJECTION', 'APPROVED'), ('OBJECTION', 'ABORTED'), ('OBJECTION', 'SUPERSEDED'),
    ('APPROVED', 'INSTRUCTED'), ('APPROVED', 'ABORTED'), ('APPROVED', 'SUPERSEDED'),
    ('INSTRUCTED', 'PARTIALLY_SETTLED'), ('INSTRUCTED', 'SETTLED'),
    ('PARTIALLY_SETTLED', 'SETTLED');

-- One calculation of a sealed window. Amounts are minor units; ratios are exact texts `n` or `n/d` of minor units.
CREATE TABLE settlement.run (
    run_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL,
    window_no bigint NOT NULL,
    version integer NOT NULL,
    state text NOT NULL,
    currency text NOT NULL,
    maker_staff_id bigint REFERENCES identity.staff,
    submission_id uuid NOT NULL,
    pool_before bigint NOT NULL,
    pool_balance bigint NOT NULL,
    pool_worth text NOT NULL,
    pool_apart text NOT NULL,
    pool_allowed text NOT NULL,
    outstanding_points bigint NOT NULL,
    part_rate_margins integer NOT NULL,  -- margins that carry points at a rate which is no whole number
    explanation text NOT NULL,
    calculated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (programme_id, window_no) REFERENCES ledger.settlement_window,
    CONSTRAINT run_version_unique UNIQUE (programme_id, window_no, version),
    CONSTRAINT run_version_positive CHECK (version > 0),
    CONSTRAINT run_state CHECK (state IN ('CALCULATED', 'PUBLISHED', 'OBJECTION', 'APPROVED', 'INSTRUCTED',
        'PARTIALLY_SETTLED', 'SETTLED', 'ABORTED', 'SUPERSEDED'))
);
-- Of all versions of a window's run, one stands.
CREATE UNIQUE INDEX run_current ON settlement.run (programme_id, window_no)
    WHERE state NOT IN ('ABORTED', 'SUPERSEDED');
-- What waits is found without looking at the runs that do not; so are the few that were given up.
CREATE INDEX run_unpublished ON settlement.run (programme_id, window_no) WHERE state = 'CALCULATED';
CREATE INDEX run_waiting ON settlement.run (calculated_at, run_id) WHERE state IN ('PUBLISHED', 'OBJECTION');
CREATE INDEX run_given_up ON settlement.run (programme_id, window_no) WHERE state IN ('ABORTED', 'SUPERSEDED');

-- Every state that a run came to, when, and by whom when a person did it.
CREATE TABLE settlement.run_event (
    run_id bigint NOT NULL REFERENCES settlement.run,
    event_no integer NOT NULL,
    state text NOT NULL,
    staff_id bigint REFERENCES identity.staff,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, event_no)
);

-- The bill of a cell in a run's window, written when the window moved the cell. What a cell carries into a later window
-- is the sum of its newest line before it whose run stands.
-- `counterparty` is '' but for margins, which stand on no partner's statement.
CREATE TABLE settlement.line (
    run_id bigint NOT NULL REFERENCES settlement.run,
    programme_id bigint NOT NULL,
    window_no bigint NOT NULL,
    leg text NOT NULL,
    partner text NOT NULL,
    version integer NOT NULL,
    counterparty text NOT NULL,
    counterparty_version integer NOT NULL,
    debtor text NOT NULL,
    creditor text NOT NULL,
    rate text NOT NULL,
    points_before bigint NOT NULL,
    billed_before bigint NOT NULL,
    points bigint NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (run_id, leg, partner, version, counterparty, counterparty_version),
    CONSTRAINT line_two_parties CHECK (debtor <> creditor)
);
CREATE INDEX line_cell
    ON settlement.line (programme_id, leg, partner, version, counterparty, counterparty_version, window_no);

-- What each party, the houses too, pays and receives in a run; over all parties the two sums are equal.
CREATE TABLE settlement.net (
    run_id bigint NOT NULL REFERENCES settlement.run,
    party text NOT NULL,
    pays bigint NOT NULL,
    receives bigint NOT NULL,
    PRIMARY KEY (run_id, party)
);

-- A partner's statement: its canonical bytes, and what opens the run leaf's commitment to them.
CREATE TABLE settlement.statement (
    run_id bigint NOT NULL REFERENCES settlement.run,
    partner_id bigint NOT NULL REFERENCES parties.partner,
    window_no bigint NOT NULL,
    content bytea NOT NULL,
    sha256 bytea NOT NULL,
    salt bytea NOT NULL,
    root_index bigint NOT NULL,
    root_size bigint NOT NULL,
    root_proof bytea NOT NULL,
    PRIMARY KEY (run_id, partner_id),
    CONSTRAINT statement_salt CHECK (octet_length(salt) = 32),
    CONSTRAINT statement_hash CHECK (sha256 = sha256(content))
);
CREATE INDEX statement_partner ON settlement.statement (partner_id, window_no);

-- Four eyes: whoever made a run is not who approves it.
CREATE TABLE settlement.approval (
    run_id bigint NOT NULL REFERENCES settlement.run,
    staff_id bigint NOT NULL REFERENCES identity.staff,
    maker_staff_id bigint,
    decision text NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, staff_id),
    CONSTRAINT approval_decision CHECK (decision = 'approved'),
    CONSTRAINT approval_second_person CHECK (staff_id IS DISTINCT FROM maker_staff_id)
);

-- The checkpoint that a partner's bundle is made under, and the run whose bundle for the partner it extends: fixed before
-- its first piece, so that whoever makes the bundle, or goes on after a crash, makes the same bytes; and what the
-- partner's next bundle is held to.
CREATE TABLE settlement.bundle_checkpoint (
    run_id bigint NOT NULL,
    partner_id bigint NOT NULL,
    log_id bigint NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    extends_run_id bigint,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, partner_id),
    FOREIGN KEY (run_id, partner_id) REFERENCES settlement.statement,
    FOREIGN KEY (extends_run_id, partner_id) REFERENCES settlement.bundle_checkpoint
);

-- A partner's bundle in pieces of about a megabyte, each written as it is made, so that nobody has to hold it whole; and
-- the size and hash of the whole once the last piece is there.
CREATE TABLE settlement.bundle_part (
    run_id bigint NOT NULL,
    partner_id bigint NOT NULL,
    part_no integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (run_id, partner_id, part_no),
    FOREIGN KEY (run_id, partner_id) REFERENCES settlement.bundle_checkpoint
);
CREATE TABLE settlement.bundle (
    run_id bigint NOT NULL,
    partner_id bigint NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, partner_id),
    FOREIGN KEY (run_id, partner_id) REFERENCES settlement.bundle_checkpoint
);

-- Why a window's run could not be made, how often it was tried, and when it is tried again; it is cleared by the run
-- that can.
CREATE TABLE settlement.alert (
    alert_id bigint PRIMARY KEY,
    programme_id bigint NOT NULL,
    window_no bigint NOT NULL,
    code text NOT NULL,
    explanation text NOT NULL,
    tries integer NOT NULL,
    raised_at timestamptz NOT NULL,
    tried_at timestamptz NOT NULL,
    retry_at timestamptz NOT NULL,
    cleared_at timestamptz,
    FOREIGN KEY (programme_id, window_no) REFERENCES ledger.settlement_window
);
CREATE UNIQUE INDEX alert_open ON settlement.alert (programme_id, window_no) WHERE cleared_at IS NULL;
