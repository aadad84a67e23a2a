"""Leased headroom of redemptions that staff attest."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("redemptions", "m0001_redemptions.sql")
