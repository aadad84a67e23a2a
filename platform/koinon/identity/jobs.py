"""What the worker does for identity: forget what has run out and proves nothing any more."""

from koinon.clock import machine_now
from koinon.database import beside, pool
from koinon.runtime import Runtime

SLICE = 1_000

statements = beside(__file__)


async def forget_what_ran_out(_: Runtime) -> bool:
    """Delete used assertions, codes and sessions that ran out, a bounded slice of each; tell whether more may be."""
    now = machine_now()
    deleted = [
        await pool().execute(statements[name], now, SLICE)
        for name in ("forget_assertions", "forget_codes", "forget_sessions")
    ]
    return any(tag == f"DELETE {SLICE}" for tag in deleted)
