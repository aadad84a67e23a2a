"""Authorisation codes are kept in the form in which they are compared."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("offers", "m0003_auth_codes.sql")
