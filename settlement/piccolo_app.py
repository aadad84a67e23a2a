"""This context's migrations and tables, as Piccolo sees them."""

from koinon.database.migrate import app_beside
from settlement.tables import Alert, Approval, Run

APP_CONFIG = app_beside(
    "settlement",
    __file__,
    tables=[Run, Approval, Alert],
    after=["koinon.ledger.piccolo_app", "koinon.identity.piccolo_app"],
)
