"""The core's migrations and tables, as Piccolo sees them."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from koinon.identity.tables import Client, Source, Staff, StaffGrant
from koinon.members.tables import Consent, ConsentText, ConsentWithdrawal, Contact, Member
from koinon.parties.tables import Contract, Partner, Programme
from koinon.places.tables import NetworkIdentity, Place

APP_CONFIG = AppConfig(
    app_name="koinon",
    migrations_folder_path=str(Path(__file__).parent / "database" / "migrations"),
    table_classes=[
        Programme,
        Partner,
        Contract,
        Place,
        NetworkIdentity,
        Member,
        Contact,
        ConsentText,
        Consent,
        ConsentWithdrawal,
        Staff,
        StaffGrant,
        Client,
        Source,
    ],
)
