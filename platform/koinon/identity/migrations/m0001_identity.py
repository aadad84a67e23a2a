"""Staff, clients, sessions, codes and sources."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("identity", "m0001_identity.sql")
