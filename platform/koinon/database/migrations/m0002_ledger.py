"""The ledger's tables."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("koinon", "m0002_ledger.sql")
