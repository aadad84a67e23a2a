"""What a till says about a redemption, and whose it is, with the hold."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("koinon", "m0006_till_words.sql")
