"""What this package adds to the application."""

from litestar.config.app import AppConfig

from koinon.context import Context
from partners.pages import add_pages


class Partners(Context):
    """Applications, credentials and the portal, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the pages."""
        add_pages(app_config)
        return app_config
