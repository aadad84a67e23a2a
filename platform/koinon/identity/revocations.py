"""Which clients were revoked, known to every web process within a second and without a query per request."""

import asyncio
import time
from collections.abc import Callable

from koinon.database import beside, pool

SECONDS_KNOWN = 1.0
"""How old the knowledge may be that a request is let in by."""

statements = beside(__file__)


class Revocations:
    """The clients that were revoked while a token of theirs may still live.

    One query a second and process answers for all clients at once: the set of clients revoked within a token's life
    is nearly always empty, so it costs the same at ten clients as at a million. Reading each client's row would cost
    one query per client and second; an epoch row would make every revocation forget every token. A notification
    could be lost with its connection, and its loss would let a thief in; a query that fails lets nobody in.
    """

    def __init__(self, token_seconds: int, now: Callable[[], float] = time.monotonic) -> None:
        self._token_seconds = token_seconds
        self._now = now
        self._asked_at = float("-inf")
        self._revoked: frozenset[int] = frozenset()
        self._asking: asyncio.Task[None] | None = None

    async def revoked(self, client_id: int) -> bool:
        """Tell whether a client was revoked at least a second ago; later revocations may already be known."""
        oldest = self._now() - SECONDS_KNOWN
        while self._asked_at <= oldest:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
            # One question serves all who wait, so one of them going away does not take it back.
            await asyncio.shield(self._asking)
        return client_id in self._revoked

    async def _ask(self) -> None:
        asked_at = self._now()
        rows = await pool().fetch(statements["revoked_clients"], self._token_seconds)
        self._revoked = frozenset(row["client_id"] for row in rows)
        self._asked_at = asked_at
