"""Staff, clients, sessions, sources and mail."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("koinon", "m0004_identity.sql")
