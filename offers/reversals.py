"""Reversals: a till takes an earning back, or undoes a captured redemption; each once, at the versions of then."""

from typing import Any
from uuid import UUID

import msgspec

from koinon import ids
from koinon.database import Connection, beside
from koinon.ledger.model import Outcome, ReverseBurn
from koinon.ledger.operations import AlreadyReversed, PointsAlreadySpent, UnknownRedemption, post, require_posted
from koinon.ledger.redemptions import Receipt
from koinon.problems import invalid_field
from koinon.web.requests import Write
from offers.earnings import UnknownEarning
from offers.intake import lock_lanes
from offers.rewarding import settle

statements = beside(__file__, "earnings.sql")


class NewReversal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a till takes back: exactly one of an earning and a captured redemption."""

    earning: str | None = None
    redemption: str | None = None
    reason: str | None = None


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken back; `receipts` name what stood in the books in the partner's own name."""

    reversal: str
    points: int
    receipts: tuple[Receipt, ...]


async def reverse(connection: Connection, write: Write, asked: NewReversal) -> Reversal:
    """Take an earning or a redemption back, in the caller's transaction.

    Raises InvalidInput, UnknownEarning, UnknownRedemption, AlreadyReversed, PointsAlreadySpent.
    """
    if (asked.earning is None) == (asked.redemption is None):
        raise invalid_field("/earning", "give either an earning or a redemption")
    if asked.redemption is not None:
        return await _reverse_redemption(connection, write, asked.redemption)
    return await _reverse_earning(connection, write, asked.earning or "")


async def _reverse_earning(connection: Connection, write: Write, earning: str) -> Reversal:
    try:
        account_id, purchase_id = ids.private_record("ern", earning)
    except ValueError:
        raise UnknownEarning from None
    facts = await connection.fetchrow(statements["partner_facts"], write.caller.partner_id)
    await lock_lanes(connection, [account_id])
    known = await connection.fetchrow(statements["sighting"], account_id, purchase_id, write.caller.partner_id)
    if known is None:
        raise UnknownEarning
    revision = await connection.fetchval(
        statements["reverse_sighting"], account_id, purchase_id, write.caller.partner_id, facts["now"]
    )
    if revision is None:
        raise AlreadyReversed
    settled = (await settle(connection, [(account_id, purchase_id)]))[0]
    outcomes = [outcome for each in settled.posted.values() for outcome in each if outcome.status == "posted"]
    short = await connection.fetchval(
        "SELECT sum(shortfall_points) FROM offers.reward WHERE account_id = $1 AND purchase_id = $2",
        account_id,
        purchase_id,
    )
    if short:
        # A till's reversal is whole or not at all; a refund by card takes what is left.
        raise PointsAlreadySpent(missing_points=int(short))
    taken = [outcome.answer for outcome in outcomes if "expires_on" not in outcome.answer]
    points = sum(answer["points"] for answer in taken)
    return Reversal(
        reversal=ids.public_record("rev", account_id, purchase_id),
        points=points,
        receipts=tuple(_receipt(facts, account_id, answer, "issued") for answer in taken),
    )


async def _reverse_redemption(connection: Connection, write: Write, redemption: str) -> Reversal:
    try:
        account_id, hold_id = ids.private_record("red", redemption)
    except ValueError:
        raise UnknownRedemption from None
    partner_id = write.caller.partner_id
    assert partner_id is not None, "reversals are asked for by partners"  # noqa: S101  # the guard saw to it
    facts = await connection.fetchrow(statements["partner_facts"], partner_id)
    captured = await connection.fetchval(statements["capture_of"], account_id, hold_id, partner_id)
    if captured is None:
        raise UnknownRedemption("only a captured redemption of this partner can be reversed")
    command = ReverseBurn(
        caller="reversals",
        key=f"{account_id}:{hold_id}:{write.key}",
        content_hash=write.content_hash,
        account_id=account_id,
        unit_id=facts["unit_id"],
        occurred_at=facts["now"],
        partner_id=partner_id,
        reverses=captured,
    )
    outcome: Outcome = require_posted((await post(connection, facts["programme_id"], [command]))[0])
    return Reversal(
        reversal=ids.public_record("rev", account_id, UUID(outcome.answer["journal_id"])),
        points=outcome.answer["points"],
        receipts=(_receipt(facts, account_id, outcome.answer, "accepted"),),
    )


def _receipt(facts: Any, account_id: int, answer: dict[str, Any], effect: Any) -> Receipt:
    return Receipt(
        effect=effect,
        journal=ids.public_record("jnl", account_id, UUID(answer["journal_id"])),
        partner=facts["partner"],
        points=str(-answer["points"]),
        programme=facts["programme"],
        unit="points",
        window=str(answer["window_no"]),
    )
