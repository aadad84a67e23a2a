"""What this package adds to the application."""

from litestar.config.app import AppConfig

from koinon.context import Context
from partners.pages import add_pages
from partners.staff_web import router as staff_router
from partners.web import router


class Partners(Context):
    """Joining, contracts, keys, staff and their pages, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes and the pages."""
        app_config.route_handlers.extend([router, staff_router])
        add_pages(app_config)
        return app_config
