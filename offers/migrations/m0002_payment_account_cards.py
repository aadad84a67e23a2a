"""A payment account names its linked cards itself."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("offers", "m0002_payment_account_cards.sql")
