"""The application's role, and the requests that callers make."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("idempotency", "m0001_requests.sql")
