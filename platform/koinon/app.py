"""The composition root: the only module that knows every context."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Tag

from koinon import __version__
from koinon.audit.plugin import Audit
from koinon.context import Context, Job
from koinon.database import connected
from koinon.delivery.plugin import Delivery
from koinon.http.application import Application
from koinon.http.description import DescriptionConfig, StructTexts
from koinon.http.errors import EXCEPTION_HANDLERS
from koinon.http.plugin import Http
from koinon.idempotency.plugin import Idempotency
from koinon.identity.plugin import Identity
from koinon.keyring import load
from koinon.ledger.auditor import Auditor
from koinon.ledger.operations import Ledger
from koinon.ledger.plugin import LedgerContext
from koinon.members.plugin import Members
from koinon.monitoring.plugin import Monitoring
from koinon.parties.plugin import Parties
from koinon.parties.programmes import Openings
from koinon.places.plugin import Places
from koinon.redemptions.plugin import Redemptions
from koinon.runtime import Runtime, give_runtime
from koinon.settings import Settings, from_environment
from koinon.web.interface import BASE, InterfacePage
from koinon.web.plugin import Pages
from offers.plugin import Offers
from partners.plugin import Partners
from settlement.plugin import Settlement

CHAPTERS = {
    "till": "What a till calls: a purchase is reported, points are paid with, and either is taken back.",
    "members": "Enrolment by a brand, and what members see and do themselves.",
    "offers": "What brands promise for a purchase, who switched it on, and why a purchase earned what it did.",
    "processor": "What a payment processor posts: whose card a token is, and card messages.",
    "settlement": "Windows, runs and approvals for the operator; each brand's own statement and bundle.",
    "log": "The log of everything, for anybody to check: a checkpoint and tiles, as C2SP writes them.",
    "identity": "Access tokens for systems, and the key that anybody verifies them with.",
    "sign-in": "Sessions for people, by a code that is mailed to them.",
    "parties": "Programmes, partners, their contracts, keys and staff.",
    "places": "Where cards are taken, and what the card networks call it.",
    "sources": "Payment processors, and the secrets that they sign with.",
    "operations": "Whether the process serves, and what the worker has still to do.",
}
"""The interface's tags in the order in which they are read, and what each is for."""
BODY_BYTES_MAXIMUM = 4 * 1024 * 1024


def contexts() -> list[Context]:
    """Return every context, in the order in which their database functions are created."""
    return [
        Http(),
        Idempotency(),
        Monitoring(),
        Pages(),
        Identity(),
        Parties(),
        Places(),
        LedgerContext(),
        Audit(),
        Members(),
        Redemptions(),
        Delivery(),
        Partners(),
        Offers(),
        Settlement(),
    ]


def functions() -> list[Path]:
    """Return the SQL files that every migrate creates again, in order."""
    return [path for context in contexts() for path in context.functions()]


def jobs() -> list[Job]:
    """Return the worker's work."""
    auditor = Auditor(
        (each for context in contexts() for each in context.invariants()),
        (each for context in contexts() for each in context.examinations()),
    )
    audit = Job(name="audit", run=auditor.look, idle_seconds=5)
    return [*(job for context in contexts() for job in context.jobs()), audit]


def runtime_for(settings: Settings) -> Runtime:
    """Return what a process holds; raises KeysMissing."""
    return Runtime(settings, load(settings.keys_folder), [Ledger(), Openings(contexts())])


def create_app(settings: Settings | None = None, *, connect: bool = True) -> Litestar:
    """Return the application; granian calls it in every web process.

    `connect` False leaves the database's pool to the caller (tests share theirs).
    """
    settings = settings or from_environment()
    runtime = runtime_for(settings)

    def hold_runtime(app_config: AppConfig) -> AppConfig:
        return give_runtime(app_config, runtime)

    return Application(
        plugins=[*contexts(), StructTexts()],
        on_app_init=[hold_runtime],
        lifespan=[_database(settings)] if connect else [],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=BODY_BYTES_MAXIMUM,
        openapi_config=DescriptionConfig(
            title="Koinon",
            version=__version__,
            description="A coalition loyalty platform in which every brand can check its settlement offline.",
            path=BASE,
            tags=[Tag(name, description=text) for name, text in CHAPTERS.items()],
            render_plugins=[InterfacePage(), JsonRenderPlugin()],
            create_examples=False,
            use_handler_docstrings=True,
        ),
    )


def _database(settings: Settings) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    url = settings.database_url
    if url is None:
        message = "KOINON_DATABASE_URL is not set; `koinon up` starts the embedded database and sets it"
        raise RuntimeError(message)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with connected(url, max_size=settings.pool_size):
            yield

    return lifespan
