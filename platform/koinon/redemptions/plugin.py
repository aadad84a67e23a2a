"""What redemptions add to the application."""

from collections.abc import Sequence
from pathlib import Path

from litestar.config.app import AppConfig

from koinon.context import Context
from koinon.redemptions.proofs import AttestedHeadroom, CardProofs
from koinon.redemptions.web import router
from koinon.runtime import runtime_in


class Redemptions(Context):
    """Redemptions at tills, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes, the process's leased headroom, and the place where whoever links cards says whose one is."""
        runtime = runtime_in(app_config)
        runtime.share(AttestedHeadroom())
        runtime.share(CardProofs())
        app_config.route_handlers.append(router)
        return app_config

    def functions(self) -> Sequence[Path]:
        """Return the grants of the schema."""
        return [Path(__file__).with_name("functions.sql")]
