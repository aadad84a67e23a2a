"""What settlement adds to the application."""

from collections.abc import Sequence
from pathlib import Path

import click
from litestar.config.app import AppConfig

from koinon.context import Context, Invariants, Job
from settlement.commands import settle_command, verify_command
from settlement.jobs import WINDOW_SECONDS, settle
from settlement.pages import add_pages
from settlement.web import router


class Settlement(Context):
    """Positions, runs and statements, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes and the pages."""
        app_config.route_handlers.append(router)
        add_pages(app_config)
        return app_config

    def functions(self) -> Sequence[Path]:
        """Return the grants of the schema."""
        return [Path(__file__).with_name("functions.sql")]

    def invariants(self) -> Sequence[Invariants]:
        """Return what runs say of each other."""
        return [Invariants(Path(__file__).with_name("invariants.sql"), by_account=False)]

    def commands(self) -> Sequence[click.Command]:
        """Return `settle` and `verify`."""
        return [settle_command, verify_command]

    def jobs(self) -> Sequence[Job]:
        """Return the calculation and publication of runs."""
        return [Job(name="settle", run=settle, idle_seconds=0.5, deadline_seconds=2 * WINDOW_SECONDS)]
