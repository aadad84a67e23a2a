"""What members add to the application."""

from collections.abc import Sequence
from pathlib import Path

from litestar.config.app import AppConfig

from koinon.context import Context
from koinon.members.pending import PendingSources
from koinon.members.web import router
from koinon.runtime import runtime_in


class Members(Context):
    """Persons and their consents, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes."""
        runtime_in(app_config).share(PendingSources())
        app_config.route_handlers.append(router)
        return app_config

    def functions(self) -> Sequence[Path]:
        """Return the grants of the members' schema."""
        return [Path(__file__).with_name(name) for name in ("functions.sql", "views.sql")]
