"""The ledger's tables."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("ledger", "m0001_ledger.sql")
