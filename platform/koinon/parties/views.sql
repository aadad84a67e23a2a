-- What others read of the parties. A view is named in the plural; its columns are the contract with its readers.

CREATE OR REPLACE VIEW parties.programmes AS
SELECT programme_id, code, name, mode, time_zone, settlement_currency, expiry_months, face_value_num, face_value_den,
    unit_id, operator_id, clock_at
FROM parties.programme;

CREATE OR REPLACE VIEW parties.partners AS
SELECT partner_id, programme_id, code, brand, operator, attested_points_per_day
FROM parties.partner;

CREATE OR REPLACE VIEW parties.contracts AS
SELECT partner_id, version, currency, price_num, price_den, fee_num, fee_den, issue_share_num, issue_share_den,
    honour_num, honour_den, effective_from
FROM parties.contract;

REVOKE ALL ON parties.programmes, parties.partners, parties.contracts FROM koinon_app;
GRANT SELECT ON parties.programmes, parties.partners, parties.contracts TO koinon_app;
