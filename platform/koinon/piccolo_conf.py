"""What Piccolo's command reads: the engine, and every app with migrations in the order they depend on each other."""

from piccolo.conf.apps import AppRegistry

from koinon.database.engine import DB

APP_REGISTRY = AppRegistry(apps=["koinon.piccolo_app", "offers.piccolo_app", "settlement.piccolo_app"])

__all__ = ["APP_REGISTRY", "DB"]
