"""Members and their consents."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("members", "m0001_members.sql")
