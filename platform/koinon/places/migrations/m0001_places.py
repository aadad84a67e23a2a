"""Places and their network identities."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("places", "m0001_places.sql")
