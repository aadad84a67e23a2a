"""What the log adds to the application."""

from collections.abc import Sequence
from pathlib import Path

from litestar.config.app import AppConfig

from koinon.audit.sequencer import sequence
from koinon.audit.signing import sign_checkpoint
from koinon.audit.web import router
from koinon.context import Context, Job


class Audit(Context):
    """The log, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the log's public routes."""
        app_config.route_handlers.append(router)
        return app_config

    def functions(self) -> Sequence[Path]:
        """Return the grants."""
        return [Path(__file__).with_name("functions.sql")]

    def jobs(self) -> Sequence[Job]:
        """Return the sequencer and the signer."""
        return [
            Job(name="sequence", run=sequence, idle_seconds=0.2),
            Job(name="sign checkpoint", run=sign_checkpoint, idle_seconds=0.5),
        ]
