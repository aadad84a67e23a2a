"""This package's migrations and tables, as Piccolo sees them."""

from koinon.database.migrate import app_beside
from koinon.identity.tables import Client, Source, Staff, StaffGrant

APP_CONFIG = app_beside(
    "identity", __file__, tables=[Client, Source, Staff, StaffGrant], after=["koinon.parties.piccolo_app"]
)
