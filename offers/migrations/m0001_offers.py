"""Cards, the inbox, payments, purchases, offers, activations, rewards and budgets."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("offers", "m0001_offers.sql")
