"""What the log adds to the application."""

from collections.abc import Sequence
from pathlib import Path

from litestar.config.app import AppConfig

from koinon.audit.operations import open_log
from koinon.audit.sequencer import sequence
from koinon.audit.signing import sign_checkpoint
from koinon.audit.web import router
from koinon.context import Context, Job, OpenedProgramme
from koinon.database import Connection


class Audit(Context):
    """The log, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the log's public routes."""
        app_config.route_handlers.append(router)
        return app_config

    async def programme_opened(self, connection: Connection, programme: OpenedProgramme) -> None:
        """Open a sandbox programme's own log; a live one is logged with all other live ones."""
        await open_log(connection, programme_id=programme.programme_id, mode=programme.mode)

    def functions(self) -> Sequence[Path]:
        """Return the grants."""
        return [Path(__file__).with_name(name) for name in ("functions.sql", "views.sql")]

    def jobs(self) -> Sequence[Job]:
        """Return the sequencer and the signer."""
        return [
            Job(name="sequence", run=sequence, idle_seconds=0.2),
            Job(name="sign checkpoint", run=sign_checkpoint, idle_seconds=0.5),
        ]
