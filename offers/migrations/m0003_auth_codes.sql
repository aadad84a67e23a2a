-- Authorisation codes are kept in the form in which tills' and cards' are compared: upper case, letters and digits alone.

UPDATE offers.payment p SET auth_codes = ARRAY(
    SELECT upper(regexp_replace(c.code, '[^[:alnum:]]', '', 'g')) FROM unnest(p.auth_codes) c (code))
WHERE p.auth_codes <> '{}';
UPDATE offers.till_sighting s SET auth_code = upper(regexp_replace(s.auth_code, '[^[:alnum:]]', '', 'g'))
WHERE s.auth_code IS NOT NULL;

-- What could not be taken back from a reward is looked for: its points may come back.
CREATE INDEX reward_short ON offers.reward (account_id, purchase_id) WHERE shortfall_points > 0;
