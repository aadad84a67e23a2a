"""What identity adds to the application."""

from collections.abc import Sequence
from pathlib import Path

from litestar.config.app import AppConfig
from litestar.handlers import HTTPRouteHandler
from litestar.plugins.base import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from koinon.context import Context, Job
from koinon.identity.access_tokens import AccessTokens
from koinon.identity.described import SCHEMES, security_of
from koinon.identity.jobs import forget_what_ran_out
from koinon.identity.middleware import Authentication
from koinon.identity.sign_in_web import router as sign_in_router
from koinon.identity.source_web import router as source_router
from koinon.identity.sources import Sources
from koinon.identity.web import router as token_router
from koinon.runtime import runtime_in


class Identity(Context, ReceiveRoutePlugin):
    """Tokens, sessions and guards, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Find the caller of every request; add tokens and sign-in."""
        runtime = runtime_in(app_config)
        tokens = runtime.share(AccessTokens(runtime.keys.token, runtime.settings.base_url))
        # Outermost: whoever is refused for want of a caller costs no look at the body.
        app_config.middleware.insert(0, Authentication(tokens))
        runtime.share(Sources(runtime.keys.secret))
        app_config.route_handlers.extend([token_router, sign_in_router, source_router])
        if app_config.openapi_config is not None:
            app_config.openapi_config.components = [SCHEMES]
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Say in the interface's description what each route's guards ask for."""
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if isinstance(handler, HTTPRouteHandler):
                    handler.security = security_of(handler)

    def functions(self) -> Sequence[Path]:
        """Return the grants of the schema."""
        return [Path(__file__).with_name(name) for name in ("functions.sql", "views.sql")]

    def jobs(self) -> Sequence[Job]:
        """Return the forgetting of what ran out."""
        return [Job(name="forget what ran out", run=forget_what_ran_out, idle_seconds=60.0)]
