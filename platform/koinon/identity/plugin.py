"""What identity adds to the application."""

from collections.abc import Sequence
from pathlib import Path

from litestar.config.app import AppConfig

from koinon.context import Context
from koinon.identity.access_tokens import AccessTokens
from koinon.identity.middleware import Authentication
from koinon.identity.web import router


class Identity(Context):
    """Tokens, sessions and guards, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Find the caller of every request; add tokens and sign-in."""
        runtime = app_config.state["runtime"]
        tokens = AccessTokens(runtime.keys.token, runtime.settings.base_url)
        app_config.state["tokens"] = tokens
        app_config.middleware.append(Authentication(tokens))
        app_config.route_handlers.append(router)
        return app_config

    def functions(self) -> Sequence[Path]:
        """Return the grants of the schema."""
        return [Path(__file__).with_name("functions.sql")]
