"""What the HTTP edge adds to the application."""

from litestar.config.app import AppConfig

from koinon.context import Context
from koinon.http.bodies import JsonRequest, check_body
from koinon.http.card_numbers import CardNumberFirewall


class Http(Context):
    """The HTTP edge, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Refuse card numbers before anything else looks at a request."""
        app_config.request_class = JsonRequest
        app_config.before_request = check_body
        app_config.middleware.append(CardNumberFirewall())
        return app_config
