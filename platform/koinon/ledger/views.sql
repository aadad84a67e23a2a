-- What others read of the books. A view is named in the plural; its columns are the contract with its readers.

CREATE OR REPLACE VIEW ledger.units AS
SELECT unit_id, programme_id, code
FROM ledger.unit;

CREATE OR REPLACE VIEW ledger.settlement_windows AS
SELECT programme_id, window_no, business_date, state, opened_at, flipped_at, closed_at
FROM ledger.settlement_window;

CREATE OR REPLACE VIEW ledger.alerts AS
SELECT alert_id, programme_id, work, explanation, tries, raised_at, retry_at, cleared_at
FROM ledger.alert;

CREATE OR REPLACE VIEW ledger.accounts AS
SELECT account_id, programme_id
FROM ledger.account;

CREATE OR REPLACE VIEW ledger.wallets AS
SELECT account_id, unit_id, available, held, window_no
FROM ledger.wallet;

CREATE OR REPLACE VIEW ledger.lots AS
SELECT account_id, lot_id, unit_id, journal_id, issuer_id, issuer_version, contributor_id, purchase_id, issued_at,
    expires_on, quantity, remaining, held
FROM ledger.lot;

CREATE OR REPLACE VIEW ledger.journals AS
SELECT account_id, journal_id, programme_id, unit_id, window_no, kind, partner_id, member_id, occurred_at, recorded_at,
    purchase_id, hold_id, reverses, reason
FROM ledger.journal;

CREATE OR REPLACE VIEW ledger.movements AS
SELECT account_id, journal_id, leg, unit_id, window_no, debit_kind, credit_kind, amount, lot_id, issuer_id,
    issuer_version, acceptor_id, acceptor_version
FROM ledger.movement;

CREATE OR REPLACE VIEW ledger.holds AS
SELECT account_id, hold_id, unit_id, member_id, acceptor_id, acceptor_version, amount, state, proof_kind, attested_by,
    sealed_receipt, place_id, occurred_at, expires_at
FROM ledger.hold;

CREATE OR REPLACE VIEW ledger.unlogged_journals AS
SELECT account_id, journal_id, programme_id, window_no
FROM ledger.outbox WHERE leaf_index IS NULL;

REVOKE ALL ON ledger.units, ledger.settlement_windows, ledger.alerts, ledger.accounts, ledger.wallets,
    ledger.lots, ledger.journals, ledger.movements, ledger.holds, ledger.unlogged_journals FROM koinon_app;
GRANT SELECT ON ledger.units, ledger.settlement_windows, ledger.alerts, ledger.accounts, ledger.wallets,
    ledger.lots, ledger.journals, ledger.movements, ledger.holds, ledger.unlogged_journals TO koinon_app;
