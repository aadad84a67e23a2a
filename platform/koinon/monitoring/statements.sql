-- open_windows: how many windows take postings; fails where the database does not answer or was never migrated
SELECT count(*) FROM ledger.settlement_windows WHERE state = 'OPEN';
