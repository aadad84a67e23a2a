"""This package's migrations and tables, as Piccolo sees them."""

from koinon.database.migrate import app_beside

APP_CONFIG = app_beside("delivery", __file__, after=["koinon.idempotency.piccolo_app"])
