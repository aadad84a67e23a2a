"""Runs with their lines, nets, statements, approvals and bundles, and what stopped a run."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("settlement", "m0001_settlement.sql")
