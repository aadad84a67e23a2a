"""What looking after an installation adds to the application."""

from litestar.config.app import AppConfig

from koinon.context import Context
from koinon.monitoring.health import router


class Monitoring(Context):
    """Health and readiness, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes."""
        app_config.route_handlers.append(router)
        return app_config
