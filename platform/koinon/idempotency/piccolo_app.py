"""This package's migrations and tables, as Piccolo sees them."""

from koinon.database.migrate import app_beside

APP_CONFIG = app_beside("idempotency", __file__)
