"""This context's migrations, as Piccolo sees them."""

from koinon.database.migrate import app_beside

APP_CONFIG = app_beside("offers", __file__, after=["koinon.ledger.piccolo_app", "koinon.identity.piccolo_app"])
