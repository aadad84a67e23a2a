-- What others read of the log. A view is named in the plural; its columns are the contract with its readers.

CREATE OR REPLACE VIEW audit.logs AS
SELECT log_id, size, signed_size
FROM audit.log;

CREATE OR REPLACE VIEW audit.seals AS
SELECT programme_id, window_no, partner_id, log_id, leaf_index, outstanding
FROM audit.seal;

CREATE OR REPLACE VIEW audit.submissions AS
SELECT submission_id, programme_id, log_id, leaf_index
FROM audit.submission;

CREATE OR REPLACE VIEW audit.alerts AS
SELECT alert_id, log_id, code, programme_id, window_no, explanation, raised_at, cleared_at
FROM audit.alert;

CREATE OR REPLACE VIEW audit.programme_logs AS
SELECT programme_id, code, CASE mode WHEN 'live' THEN 1 ELSE programme_id END AS log_id FROM parties.programmes;

REVOKE ALL ON audit.logs, audit.seals, audit.submissions, audit.alerts, audit.programme_logs FROM koinon_app;
GRANT SELECT ON audit.logs, audit.seals, audit.submissions, audit.alerts, audit.programme_logs TO koinon_app;
