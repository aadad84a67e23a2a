"""What the HTTP edge adds to the application."""

from litestar.config.app import AppConfig

from koinon.context import Context
from koinon.web.bodies import JsonRequest, check_body
from koinon.web.card_numbers import CardNumberFirewall
from koinon.web.health import router


class Web(Context):
    """The HTTP edge, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Refuse card numbers before anything else looks at a request; add health and readiness."""
        app_config.request_class = JsonRequest
        app_config.before_request = check_body
        app_config.middleware.append(CardNumberFirewall())
        app_config.route_handlers.append(router)
        return app_config
