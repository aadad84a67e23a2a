"""Receipts are run again: the newest decisions of accounts must follow from the inputs that they carry, to the byte.

So whoever changes a rule leaves what it says about old inputs as it was, or names the new rule apart.
"""

from collections.abc import Sequence

import asyncpg
import msgspec

from koinon.database import Connection, beside
from offers.model import OfferVersion
from offers.rewarding.decisions import Decision, re_execute, receipt_bytes
from offers.rewarding.known_offers import KnownOffers

NEWEST = 10
"""How many receipts of an account one look runs again, microseconds each."""

statements = beside(__file__)
_decode = msgspec.json.Decoder(Decision).decode


async def broken_receipts(connection: Connection, accounts: Sequence[int]) -> list[str]:
    """Return which of the accounts' newest receipts do not give again what they say, as `name: finding`."""
    rows = await connection.fetch(statements["newest_receipts"], accounts, NEWEST)
    # Read anew, not as this process knows them: a version that was changed in its table is what is looked for.
    versions = await KnownOffers().versions(connection, {row["version_id"] for row in rows})
    return [
        f"receipts: purchase {row['purchase_id']} of account {row['account_id']}, offer {row['offer_id']}: {fault}"
        for row in rows
        if (fault := _fault(row, versions[row["version_id"]].version if row["version_id"] in versions else None))
    ]


def _fault(row: asyncpg.Record, version: OfferVersion | None) -> str | None:
    if version is None:
        return f"there is no version {row['version_id']}"
    try:
        again = re_execute(_decode(row["receipt"]), version)
    except (ValueError, msgspec.MsgspecError) as error:
        return f"its receipt cannot be run again: {error}"
    points = again.confirmed_points + again.pending_points
    if receipt_bytes(again) != row["receipt"].encode() or (points, again.reason) != (row["points"], row["reason"]):
        return f"its receipt says {row['points']} points ({row['reason']}), and its inputs {points} ({again.reason})"
    return None
