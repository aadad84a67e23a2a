"""What every command of `koinon` needs: settings, the database, and errors that say what to do next."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
import click

from koinon.database import DatabaseUrlInvalid, beside, connected
from koinon.database.embedded import embedded_server
from koinon.settings import Settings, SettingsInvalid, from_environment

Result = TypeVar("Result")

statements = beside(__file__, "commands.sql")

URL = "KOINON_DATABASE_URL (or KOINON_MIGRATION_URL)"
REFUSED = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError)
UNREACHABLE = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
)
NOT_MIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
)


def settings_or_exit() -> Settings:
    """Return the settings, or end the command saying which variable is wrong."""
    try:
        return from_environment()
    except SettingsInvalid as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """Give the database's URL; without one in the settings, start or join the embedded server of the folder."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    with embedded_server(settings.folder) as url:
        yield url


@asynccontextmanager
async def with_database(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Give the process's pool, as the application's role."""
    with database_url(settings) as url:
        async with connected(url, max_size=settings.pool_size) as pool:
            yield pool


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work; a database that cannot be reached or was not migrated ends it with one sentence."""
    try:
        return asyncio.run(coroutine)
    except DatabaseUrlInvalid:
        # Its own words would repeat a part of it, and it holds a password.
        raise click.ClickException(
            f"the database's URL cannot be read: write {URL} as postgresql://USER:PASSWORD@HOST:PORT/NAME, "
            "with what is neither letter nor digit in a password as %XX"
        ) from None
    except REFUSED as error:
        raise click.ClickException(
            f"the database refuses who signs in ({error}): mend the user and the password in {URL}"
        ) from None
    except UNREACHABLE as error:
        reason = str(error) or "it does not answer"
        raise click.ClickException(f"the database cannot be reached ({reason}): start it, or mend {URL}") from None
    except NOT_MIGRATED as error:
        raise click.ClickException(f"the database is not migrated ({error}): run `koinon migrate`") from None
    except KeyboardInterrupt:
        sys.exit(130)


async def require_database(url: str) -> None:
    """Reach the database as the application does and see that it was migrated; for `run`, which says what is wrong."""
    async with connected(url, min_size=1, max_size=1) as pool:
        await pool.fetchval(statements["migrated"])
