-- What a till says about a redemption stands with its hold and not in the journal, which keeps no person's words. The
-- hold says whose it is, so that its end is journalled for the same member at the same place. The till's receipt is
-- sealed under the member's key (in a command, base64 of it).

ALTER TABLE ledger.hold
    ADD COLUMN member_id bigint,
    ADD COLUMN sealed_receipt bytea,
    ADD COLUMN attested_by text;
ALTER TYPE ledger.command ADD ATTRIBUTE sealed_receipt text, ADD ATTRIBUTE attested_by text;
UPDATE ledger.hold h SET member_id = j.member_id
FROM ledger.journal j WHERE j.account_id = h.account_id AND j.hold_id = h.hold_id AND j.kind = 'hold';
CREATE INDEX journal_hold ON ledger.journal (account_id, hold_id) WHERE hold_id IS NOT NULL;

-- Lots are found by account and purchase, or by all of an account's: nothing looked them up by this.
DROP INDEX ledger.lot_journal;
