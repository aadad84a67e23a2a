"""Programmes, partners and contracts."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("parties", "m0001_parties.sql")
