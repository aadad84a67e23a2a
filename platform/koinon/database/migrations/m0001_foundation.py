"""The application's role, requests, parties and places."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("koinon", "m0001_foundation.sql")
