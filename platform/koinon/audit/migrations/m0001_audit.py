"""The log's tables."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("audit", "m0001_audit.sql")
