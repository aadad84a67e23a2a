"""This package's migrations and tables, as Piccolo sees them."""

from koinon.database.migrate import app_beside

APP_CONFIG = app_beside("audit", __file__, after=["koinon.ledger.piccolo_app"])
