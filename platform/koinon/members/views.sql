-- What others read of members: who they are to the programme, and the wrapped keys that seal what is written of them. A view is named in the plural; its columns are the contract with its readers.

CREATE OR REPLACE VIEW members.members AS
SELECT member_id, programme_id, account_id
FROM members.member;

CREATE OR REPLACE VIEW members.member_keys AS
SELECT member_id, key_version, master_version, wrapped
FROM members.member_key;

REVOKE ALL ON members.members, members.member_keys FROM koinon_app;
GRANT SELECT ON members.members, members.member_keys TO koinon_app;
