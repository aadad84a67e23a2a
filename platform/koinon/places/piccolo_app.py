"""This package's migrations and tables, as Piccolo sees them."""

from koinon.database.migrate import app_beside
from koinon.places.tables import NetworkIdentity, Place

APP_CONFIG = app_beside("places", __file__, tables=[NetworkIdentity, Place], after=["koinon.parties.piccolo_app"])
