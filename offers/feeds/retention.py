"""How long it is known what a source has sent; the messages of members' own payments stay with these."""

from datetime import datetime, timedelta

from koinon.clock import business_now, machine_now
from koinon.database import Connection, beside, pool, raced
from koinon.runtime import Runtime

statements = beside(__file__)

MESSAGES_KEPT_FOR = timedelta(days=400)
"""By a message's own time: a year and a month, so that a processor may repeat a whole year.

A refund or a chargeback is a message of its own day, however old its purchase. The feed refuses what is older, by the
same clock: what it takes in, it knows to be new.
"""
DONE_KEPT_FOR = timedelta(days=7)
"""Since a message arrived: a processor asks within days what became of it, and its body has left the inbox."""
SLICE = 1_000


async def forget_messages(_: Runtime, now: datetime | None = None) -> bool:
    """Forget one slice of each source's message ids that are past their time; tell whether there may be more.

    `now` is the machine's time; a programme with a test clock goes by that.
    """
    more = False
    for source in await pool().fetch(statements["source_clocks"]):
        clock = business_now(source["clock_at"] or now)
        tag = await pool().execute(statements["forget_messages"], source["source_id"], clock - MESSAGES_KEPT_FOR, SLICE)
        more |= tag == f"DELETE {SLICE}"
    return more


async def forget_done(_: Runtime, now: datetime | None = None) -> bool:
    """Forget one slice of the messages that left the inbox days ago; tell whether there may be more."""
    before = (now or machine_now()) - DONE_KEPT_FOR

    async def slice_of(connection: Connection) -> int:
        done = await connection.fetch(statements["inbox_done"], before, SLICE)
        if done:
            await connection.execute(statements["forget_done"], *map(list, zip(*done, strict=True)))
        return len(done)

    return await raced(slice_of) == SLICE
