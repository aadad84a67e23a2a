"""The real ledger as plain functions see it: one connection, one private loop."""

import asyncio
from typing import Any, Self

import asyncpg

from koinon.database import APPLICATION_ROLE, Connection


class World:
    """One connection on a loop of its own: Hypothesis's steps are plain functions, outside of the session's loop."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._url = url
        self.connection: Connection

    def run(self, awaitable: Any) -> Any:
        """Run a coroutine to its end."""
        return self._runner.run(awaitable)

    def __enter__(self) -> Self:
        server_settings = {"role": APPLICATION_ROLE, "timezone": "UTC"}
        self.connection = self.run(asyncpg.connect(self._url, server_settings=server_settings))
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.connection.close())
        self._runner.close()
