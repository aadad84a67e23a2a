"""This package's migrations and tables, as Piccolo sees them."""

from koinon.database.migrate import app_beside
from koinon.parties.tables import Contract, Partner, Programme

APP_CONFIG = app_beside(
    "parties", __file__, tables=[Contract, Partner, Programme], after=["koinon.idempotency.piccolo_app"]
)
