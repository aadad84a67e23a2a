"""The log's tables."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("koinon", "m0003_audit.sql")
