-- migrated: fails where the database was never migrated
SELECT count(*) FROM koinon.request WHERE caller = '';
