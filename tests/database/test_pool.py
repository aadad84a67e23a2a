"""The pool is waited at for so long and no longer, and the web says 503."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from koinon import keyring
from koinon.app import create_app
from koinon.database import apart, connected, pool, transaction
from koinon.problems import ServiceUnavailable
from koinon.settings import Settings

WAIT_SECONDS = 0.2


async def test_nobody_waits_for_ever(database_url: str) -> None:
    """With the only connection taken, every way to one fails in time and says so; given back, it serves again."""
    async with connected(database_url, min_size=1, max_size=1, acquire_timeout_seconds=WAIT_SECONDS):
        async with pool().acquire():
            began = time.monotonic()
            with pytest.raises(ServiceUnavailable, match=r"no database connection was free for 0\.2 s") as told:
                await pool().fetchval("SELECT 1")
            assert time.monotonic() - began >= WAIT_SECONDS
            with pytest.raises(ServiceUnavailable):
                async with pool().acquire():
                    raise AssertionError
            with pytest.raises(ServiceUnavailable):
                await asyncio.create_task(_write())
            async with apart() as connection:
                assert await connection.fetchval("SELECT 1") == 1, "it is another pool's"
        assert told.value.facts == {"retry_after_seconds": 1}
        assert await pool().fetchval("SELECT 1") == 1
        await _write()


async def _write() -> None:
    async with transaction() as connection:
        await connection.execute("SELECT 1")


async def test_who_waits_a_little_is_served(database_url: str) -> None:
    """A connection that is given back in time goes to who waits for it."""
    async with connected(database_url, min_size=1, max_size=1, acquire_timeout_seconds=30):
        async with pool().acquire():
            waiting = asyncio.create_task(pool().fetchval("SELECT 1"))
            await asyncio.sleep(0)
            assert not waiting.done()
        assert await waiting == 1


async def test_the_web_says_503(database_url: str, tmp_path: Path) -> None:
    """With every connection taken a request is answered in time: 503, when to come again, and nothing inside."""
    settings = Settings(folder=tmp_path)
    keyring.create(settings.keys_folder)
    app = create_app(settings, connect=False)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Litestar types ASGI's messages more closely
    async with (
        connected(database_url, min_size=1, max_size=1, acquire_timeout_seconds=WAIT_SECONDS),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        async with pool().acquire():
            refused = await client.get("/log/checkpoint")
        served = await client.get("/ready")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json()["code"] == "service-unavailable"
    assert served.json() == {"status": "ready"}
