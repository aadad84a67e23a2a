"""What offers add to the application."""

from collections.abc import Sequence
from pathlib import Path

from litestar.config.app import AppConfig

from koinon.context import Context, Examine, Invariants, Job
from koinon.members.pending import PendingSources
from koinon.redemptions.proofs import CardProofs
from koinon.runtime import runtime_in
from offers.backlog_web import router as backlog_router
from offers.cards.operations import owner_of
from offers.catalogue.operations import pending_points
from offers.catalogue_web import router as catalogue_router
from offers.feeds.retention import forget_done, forget_messages
from offers.pages import add_pages
from offers.purchases.earnings import Earnings
from offers.purchases.expiries import run_out
from offers.purchases.intake import take_in
from offers.rewarding.budgets import free_orphans
from offers.rewarding.operations import reopen_short, reward_waiting
from offers.rewarding.receipts import broken_receipts
from offers.web import router


class Offers(Context):
    """Cards, feeds, purchases, offers and rewards, plugged into the application."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the routes, the pages, the proof that a card was just presented, and the points that are on their way."""
        runtime = runtime_in(app_config)
        runtime.share(Earnings(runtime.keys))
        runtime[CardProofs].owner_of = owner_of
        runtime[PendingSources].add(pending_points)
        app_config.route_handlers.extend([router, catalogue_router, backlog_router])
        add_pages(app_config)
        return app_config

    def functions(self) -> Sequence[Path]:
        """Return the budget function and the grants."""
        return [Path(__file__).with_name("functions.sql")]

    def invariants(self) -> Sequence[Invariants]:
        """Return what rewards and lots say of each other."""
        return [Invariants(Path(__file__).with_name("invariants.sql"))]

    def examinations(self) -> Sequence[Examine]:
        """Return the look at receipts, which are run again."""
        return [broken_receipts]

    def jobs(self) -> Sequence[Job]:
        """Return the intake of card messages, the rewarding of purchases, what is looked for again, and forgetting."""
        return [
            Job(name="take in card messages", run=take_in, idle_seconds=0.1),
            Job(name="reward purchases", run=reward_waiting, idle_seconds=0.1),
            Job(name="take back points that were spent and came back", run=reopen_short, idle_seconds=1),
            Job(name="let authorisations run out", run=run_out, idle_seconds=60),
            Job(name="free orphaned budget shares", run=free_orphans, idle_seconds=60),
            Job(name="forget card messages' ids", run=forget_messages, idle_seconds=60, deadline_seconds=60),
            Job(name="forget what left the inbox", run=forget_done, idle_seconds=60, deadline_seconds=60),
        ]
