"""Mail that is to leave."""

from koinon.database.migrate import sql_migration

ID, forwards = sql_migration("delivery", "m0001_delivery.sql")
