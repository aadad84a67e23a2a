"""What every command of `koinon` needs: settings, the database, and errors that say what to do next."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
import click

from koinon.database import connected
from koinon.database.embedded import embedded_server
from koinon.settings import Settings, SettingsInvalid, from_environment

Result = TypeVar("Result")


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
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.InvalidCatalogNameError) as error:
        raise click.ClickException(f"the database cannot be reached: {error}") from None
    except (
        asyncpg.UndefinedTableError,
        asyncpg.InvalidSchemaNameError,
        asyncpg.UndefinedObjectError,
        asyncpg.InvalidParameterValueError,
    ) as error:
        raise click.ClickException(f"the database is not migrated ({error}): run `koinon migrate`") from None
    except KeyboardInterrupt:
        sys.exit(130)
