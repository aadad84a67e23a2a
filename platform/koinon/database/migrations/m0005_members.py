"""Members, how they are reached, and their consents."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("koinon", "m0005_members.sql")
