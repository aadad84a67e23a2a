"""Budgets: no point is posted that the offer's budget did not grant before, and what is not used goes back.

A purchase's share of a budget grows in a transaction of its own before its points are posted, so that a purchase never
waits for another one's posting. The transaction that posts sets the share to what stands in the ledger then: points
that were spent and could not be taken back stay the budget's.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from koinon.clock import machine_now
from koinon.database import Connection, apart, beside, transaction
from koinon.runtime import Runtime

statements = beside(__file__, "budgets.sql")

ORPHANED_AFTER = timedelta(minutes=10)
"""How old a share is when its purchase is looked for: no transaction lives as long."""
SLICE_BUDGETS = 20

ShareKey = tuple[int, UUID]
"""(offer, purchase)"""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What a purchase has, or is to have, of an offer's budget; a lower `revision` never changes a higher one's."""

    offer_id: int
    purchase_id: UUID
    account_id: int
    revision: int
    spent: int
    reserved: int


async def held_shares(connection: Connection, keys: Sequence[ShareKey]) -> dict[ShareKey, int]:
    """Return the points that purchases have of budgets by now."""
    rows = await connection.fetch(
        statements["held_shares"], [offer for offer, _ in keys], [purchase for _, purchase in keys]
    )
    return {(row["offer_id"], row["purchase_id"]): row["points"] for row in rows}


async def grow_shares(shares: Sequence[Share]) -> dict[ShareKey, int]:
    """Grow shares as far as their budgets go, durably whatever becomes of the caller; return what they have then.

    Must not be called in a transaction that has set shares: it would wait for itself.
    """
    async with apart() as connection:
        return await _change(connection, shares, grow=True)


async def set_shares(connection: Connection, shares: Sequence[Share]) -> None:
    """Set shares to what is spent and reserved, in the caller's transaction, as the last thing that it does."""
    await _change(connection, shares, grow=False)


async def free_orphans(_: Runtime) -> bool:
    """Give back the shares of purchases that were never written: a till's call broke off after its budget was asked.

    Looks at each budget's shares once they are old enough; tells whether there may be more budgets to look at.
    """
    before = machine_now() - ORPHANED_AFTER
    async with transaction() as connection:
        since = before - ORPHANED_AFTER
        due = [row["offer_id"] for row in await connection.fetch(statements["budgets_due"], since, SLICE_BUDGETS)]
        taken = await connection.fetch(statements["take_budgets"], due, since)
        if not taken:
            return False
        offers = [row["offer_id"] for row in taken]
        rows = await connection.fetch(statements["shares_since"], offers, [row["swept_at"] for row in taken], before)
        known = {
            (row["account_id"], row["purchase_id"])
            for row in await connection.fetch(
                statements["known_purchases"], [row["account_id"] for row in rows], [row["purchase_id"] for row in rows]
            )
        }
        orphans = [
            Share(**row, spent=0, reserved=0) for row in rows if (row["account_id"], row["purchase_id"]) not in known
        ]
        if orphans:
            await set_shares(connection, orphans)
        await connection.execute(statements["note_swept"], offers, before)
    return len(due) == SLICE_BUDGETS


async def _change(connection: Connection, shares: Sequence[Share], *, grow: bool) -> dict[ShareKey, int]:
    rows = await connection.fetch(statements["set_budget_shares"], msgspec.json.encode(shares).decode(), grow)
    return {(row["offer_id"], row["purchase_id"]): row["granted_points"] for row in rows}
