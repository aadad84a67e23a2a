"""The night's work behind the API, and all that it wrote of a window."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from koinon.clock import business_date
from koinon.database import pool
from koinon.ledger.jobs import close_due_windows, close_window
from koinon.runtime import Runtime
from tests.kit.settlement import Coalition

RECORDED = {
    "movements": "SELECT t FROM ledger.movement t WHERE window_no = $1 ORDER BY t",
    "seals": "SELECT t FROM audit.seal t WHERE window_no = $1 ORDER BY t",
    "runs": "SELECT t FROM settlement.run t WHERE window_no = $1 ORDER BY t",
} | {
    table: f"SELECT t FROM settlement.{table} t JOIN settlement.run r USING (run_id) WHERE r.window_no = $1 ORDER BY t"  # noqa: S608  # names of ours
    for table in ("run_event", "line", "net", "statement", "bundle", "bundle_part", "approval")
}


async def close_window_early(programme_id: int, time_zone: str, now: datetime) -> list[int]:
    """Close the open window before its night: the next window has tomorrow's date."""
    return await close_window(programme_id, business_date(now, time_zone) + timedelta(days=1), now)


async def work_the_night(runtime: Runtime) -> None:
    """Close what is due, and run log and settlement until every closed window has its published run."""
    await close_due_windows(runtime)
    await Coalition(runtime).finish()


async def of_window(window: int) -> dict[str, list[asyncpg.Record]]:
    """Return every movement of a window, and every row of its seal, run, lines, nets, statements and bundles."""
    return {name: await pool().fetch(query, window) for name, query in RECORDED.items()}


async def statement(partner: str, window: int) -> dict[str, Any]:
    """Return a partner's statement of a window, as it was published."""
    content = await pool().fetchval(
        "SELECT s.content FROM settlement.statement s JOIN settlement.run r USING (run_id) "
        "JOIN parties.partner p USING (partner_id) WHERE p.code = $1 AND r.window_no = $2",
        partner,
        window,
    )
    found: dict[str, Any] = msgspec.json.decode(content)
    return found


def lines_of(statement: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return (leg, contract version, points, amount) of a statement's lines."""
    return [(line["leg"], line["version"], line["points"], line["amount"]) for line in statement["lines"]]
