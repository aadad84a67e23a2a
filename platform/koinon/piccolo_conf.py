"""What Piccolo's command reads: the engine, and the app of every package that owns tables."""

from piccolo.conf.apps import AppRegistry

from koinon.database.engine import DB

PACKAGES = (
    "koinon.idempotency",
    "koinon.parties",
    "koinon.places",
    "koinon.delivery",
    "koinon.identity",
    "koinon.ledger",
    "koinon.members",
    "koinon.redemptions",
    "koinon.audit",
    "offers",
    "settlement",
)
"""The packages that own a schema; each says which ones its tables stand on."""

APP_REGISTRY = AppRegistry(apps=[f"{package}.piccolo_app" for package in PACKAGES])

__all__ = ["APP_REGISTRY", "DB"]
