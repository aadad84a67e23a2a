"""How long requests are kept: what a retry can still want, and no longer.

A body may tell of a person, and nobody retries for a month: it goes, and the ids of what was made stay. The key and the
hash of its content stay for longer than anybody retries, so that nothing is done twice.
"""

from datetime import datetime, timedelta

from koinon.clock import machine_now
from koinon.database import Connection, raced
from koinon.idempotency.operations import statements
from koinon.runtime import Runtime

BODIES_KEPT_FOR = timedelta(days=30)
"""Since their last use: a client that was down over the holidays still learns what became of its call."""
REQUESTS_KEPT_FOR = timedelta(days=400)
"""Since they were recorded: a year and a month, so that what is repeated yearly meets its own key, and refuses it."""
SLICE = 1_000


async def empty_bodies(_: Runtime, now: datetime | None = None) -> bool:
    """Empty one slice of the answers that nobody asked for again; tell whether there may be more.

    A day of use counts whole, so a body is there for 30 days at least. One that is given again meanwhile stays.
    """
    before = ((now or machine_now()) - BODIES_KEPT_FOR).date()

    async def slice_of(connection: Connection) -> int:
        due = await connection.fetch(statements["bodies_due"], before, SLICE)
        callers, keys = [row["caller"] for row in due], [row["key"] for row in due]
        if due:
            await connection.execute(statements["empty_bodies"], callers, keys, before)
        return len(due)

    return await raced(slice_of) == SLICE


async def forget_requests(_: Runtime, now: datetime | None = None) -> bool:
    """Forget one slice of the requests that are past their time; tell whether there may be more."""
    before = (now or machine_now()) - REQUESTS_KEPT_FOR

    async def slice_of(connection: Connection) -> int:
        due = await connection.fetch(statements["requests_due"], before, SLICE)
        callers, keys = [row["caller"] for row in due], [row["key"] for row in due]
        if due:
            await connection.execute(statements["forget_requests"], callers, keys, before)
        return len(due)

    return await raced(slice_of) == SLICE
