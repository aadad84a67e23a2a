"""This package's migrations and tables, as Piccolo sees them."""

from koinon.database.migrate import app_beside
from koinon.members.tables import Consent, ConsentText, ConsentWithdrawal, Contact, Member

APP_CONFIG = app_beside(
    "members",
    __file__,
    tables=[Consent, ConsentText, ConsentWithdrawal, Contact, Member],
    after=["koinon.parties.piccolo_app"],
)
