"""A pool of connections that nobody waits at for ever: whoever gets none in time is told so, and others are served."""

import inspect
from typing import Any

import asyncpg

from koinon.problems import ServiceUnavailable

# What asyncpg's own `create_pool` gives a pool that is told nothing.
_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(asyncpg.create_pool).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
}


class BoundedPool(asyncpg.Pool):  # type: ignore[misc]  # asyncpg has no types
    """asyncpg's pool, with a bound on how long a connection is waited for."""

    __slots__ = ("acquire_timeout_seconds",)

    def __init__(self, dsn: str, *, acquire_timeout_seconds: float, **settings: Any) -> None:
        """Take what `asyncpg.create_pool` takes, and the seconds for which a connection is waited for."""
        super().__init__(dsn, **(_DEFAULTS | settings))
        self.acquire_timeout_seconds = acquire_timeout_seconds

    # Every way to a connection goes through here: `acquire`, and `fetch` and its like on the pool itself.
    async def _acquire(self, timeout: float | None) -> asyncpg.pool.PoolConnectionProxy:  # noqa: ASYNC109  # asyncpg's own signature
        """Take a connection; raises ServiceUnavailable when none was free, or could be opened, in time."""
        seconds = self.acquire_timeout_seconds if timeout is None else timeout
        try:
            return await super()._acquire(seconds)
        except TimeoutError:
            message = f"no database connection was free for {seconds:g} seconds; nothing changed, send it again"
            raise ServiceUnavailable(message, retry_after_seconds=1) from None
