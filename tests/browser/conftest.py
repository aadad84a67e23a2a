"""A real browser on a real server: `koinon serve` on a database of the test's own, and the system's Chromium."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator

import asyncpg
import httpx
import msgspec
import pytest
from playwright.async_api import Browser, async_playwright, expect

from koinon import keyring
from koinon.database import connected
from koinon.settings import Settings
from tests.conftest import Databases
from tests.web.conftest import Callers, newest_code
from tests.web.demo.running import free_port

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_SECONDS = 240
"""How long a server or a page may take on a machine that has much else to do."""
PAUSE_SECONDS = 0.05


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A server that runs: its address, its settings, and who calls its API."""

    address: str
    settings: Settings
    callers: Callers
    database: asyncpg.Pool

    @property
    def secret(self) -> bytes:
        """The installation's secret."""
        return keyring.load(self.settings.keys_folder).secret

    async def last_code(self) -> str:
        """Return the sign-in code of the newest mail."""
        return await newest_code(self.secret)


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Give the system's Chromium, or skip where there is none."""
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(CHROMIUM)} is installed here: no page was seen in a browser")
    # Its sandbox refuses to start for root, which containers run tests as; what it opens is our own pages.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def own_database(databases: Databases) -> AsyncIterator[tuple[str, asyncpg.Pool]]:
    """Give the URL of an empty database and the process's pool on it, for a module's tests: a server starts slowly."""
    name = await databases.take()
    async with connected(databases.url_of(name)) as pool:
        yield databases.url_of(name), pool
    await databases.give_back(name)


@pytest.fixture(scope="module")
async def site(own_database: tuple[str, asyncpg.Pool], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Give a server on a fresh database."""
    database_url, database = own_database
    folder = tmp_path_factory.mktemp("site")
    port = free_port()
    settings = Settings(folder=folder, port=port, log_level="warning")
    keyring.create(settings.keys_folder)
    given = {"KOINON_DATABASE_URL": database_url, "KOINON_FOLDER": str(folder), "KOINON_PORT": str(port)}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "koinon", "serve", env=os.environ | given | {"KOINON_LOG_LEVEL": "warning"}
    )
    try:
        async with httpx.AsyncClient(base_url=settings.base_url) as client:
            await _until_ready(client, child)
            yield Site(
                address=settings.base_url, settings=settings, callers=Callers(client, settings), database=database
            )
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def _until_ready(client: httpx.AsyncClient, child: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            assert child.returncode is None, "the server ended before it was ready"
            try:
                if (await client.get("/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(PAUSE_SECONDS)
