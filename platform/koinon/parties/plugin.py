"""What programmes, partners and contracts add to the application."""

from litestar.config.app import AppConfig

from koinon.context import Context
from koinon.parties.pages import add_pages
from koinon.parties.staff_web import router as staff_router
from koinon.parties.web import router


class Parties(Context):
    """Programmes, partners and contracts, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes and the pages."""
        app_config.route_handlers.extend([router, staff_router])
        add_pages(app_config)
        return app_config
