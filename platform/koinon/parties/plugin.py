"""What programmes and partners add to the application."""

from collections.abc import Sequence
from pathlib import Path

from litestar.config.app import AppConfig

from koinon.context import Context
from koinon.parties.web import router


class Parties(Context):
    """Programmes, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes."""
        app_config.route_handlers.append(router)
        return app_config

    def functions(self) -> Sequence[Path]:
        """Return the grants of the schema."""
        return [Path(__file__).with_name(name) for name in ("functions.sql", "views.sql")]
