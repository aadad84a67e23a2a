-- What redemptions keep beside their holds in the ledger.

CREATE SCHEMA redemptions;

-- Leased headroom of staff-attested redemptions: a process takes a slice of the day's cap at a time,
-- so that no redemption waits on another's row; a slice is taken before it is used, so the cap is never overrun.
CREATE TABLE redemptions.attested_lease (
    partner_id bigint NOT NULL REFERENCES parties.partner,
    business_date date NOT NULL,
    leased_points bigint NOT NULL,
    PRIMARY KEY (partner_id, business_date),
    CONSTRAINT attested_lease_positive CHECK (leased_points >= 0)
);
