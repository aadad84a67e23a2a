"""This context's migrations and tables, as Piccolo sees them."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from settlement.tables import Alert, Approval, Run

APP_CONFIG = AppConfig(
    app_name="settlement",
    migrations_folder_path=str(Path(__file__).parent / "migrations"),
    table_classes=[Run, Approval, Alert],
    migration_dependencies=["koinon.piccolo_app"],
)
