"""The ledger's work programme by programme: one that fails is set aside with an alert, and stops no other.

It is tried again after a minute, then after twice as long each time, at last every hour, until it goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import asyncpg
import structlog

from koinon.database import beside, pool
from koinon.ids import new_id
from koinon.problems import ServiceUnavailable

FIRST_RETRY = timedelta(minutes=1)
SLOWEST_RETRY = timedelta(hours=1)
PROGRAMME_SECONDS = 120.0
NOBODYS_FAULT = (ConnectionError, asyncpg.PostgresConnectionError, ServiceUnavailable)
"""What fails whatever programme is worked on: the worker itself has to wait."""

log = structlog.get_logger(__name__)
statements = beside(__file__, "alerts.sql")


def pause_after(tries: int) -> timedelta:
    """Return how long to wait after so many failures in a row, of which there is at least one."""
    # Far out the doubling is more than any time can hold.
    doubled: int = 2 ** min(tries - 1, 20)
    return min(FIRST_RETRY * doubled, SLOWEST_RETRY)


async def each_programme(
    work: str,
    act: Callable[[asyncpg.Record], Awaitable[bool]],
    now: datetime,
    *,
    seconds: float = PROGRAMME_SECONDS,
) -> bool:
    """Do one piece of work for every programme that is not set aside, and tell whether any had something to do.

    `act` gets the programme (`alerts.sql`) and has `seconds` for it. `now` is the machine's time: what is set aside
    until later is left out. Raises what is no programme's fault.
    """
    worked = False
    for programme in await pool().fetch(statements["programmes"], work, now):
        try:
            async with asyncio.timeout(seconds):
                worked |= await act(programme)
        except NOBODYS_FAULT:
            raise
        except Exception as error:
            log.exception("set aside", work=work, programme_id=programme["programme_id"])
            await _set_aside(work, programme, error, now)
            continue
        if programme["alert_id"] is not None:
            await pool().execute(statements["clear_alert"], programme["alert_id"], now)
            log.info("goes on", work=work, programme_id=programme["programme_id"])
    return worked


async def _set_aside(work: str, programme: asyncpg.Record, error: Exception, now: datetime) -> None:
    # What it was stands in the log alone: an exception's words may repeat somebody's data.
    why = "it took too long" if isinstance(error, TimeoutError) else "something unexpected happened"
    tries = 1 + (programme["tries"] or 0)
    await pool().execute(
        statements["raise_alert"], new_id(), programme["programme_id"], work,
        f"{work}: {why}; the worker's log says what", tries, now, now + pause_after(tries),
    )  # fmt: skip
