"""Reversals: a till takes an earning back, or undoes a captured redemption; each once, at the versions of then."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response
from msgspec import Meta

from koinon import ids
from koinon.clock import machine_now
from koinon.database import Connection, beside, transaction
from koinon.fields import named
from koinon.http.requests import Write, once
from koinon.idempotency.model import content_hash
from koinon.ledger.model import Outcome, ReverseBurn
from koinon.ledger.operations import (
    AlreadyReversed,
    PointsAlreadySpent,
    UnknownEarning,
    UnknownRedemption,
    post,
    require_posted,
)
from koinon.problems import invalid_field
from koinon.redemptions.operations import Receipt, receipt
from offers.purchases.earnings import EarningId, issued_receipt
from offers.purchases.intake import lock_lanes
from offers.rewarding.considered import PurchaseKey
from offers.rewarding.operations import reopen, reward_purchases

statements = beside(__file__, "earnings.sql")


ReversalId = Annotated[str, named("A reversal", "rev_00qcnjn0p5me581kjpwd763f2sa3kmm7bew28gy")]
Reason = Literal["returned", "cancelled", "mistake"]
"""Why a till takes something back, in words of the interface: the journal keeps it, and no person's own words."""


class NewReversal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a till takes back: exactly one of an earning and a captured redemption; the member reads the reason."""

    earning: EarningId | None = None
    redemption: Annotated[str, Meta(max_length=64, description="A redemption (`red_…`).")] | None = None
    reason: Annotated[Reason, Meta(examples=["returned"])] | None = None


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken back in the partner's own name; `receipts` say where it stands in the books."""

    reversal: ReversalId
    points: Annotated[int, Meta(examples=[250])]
    receipts: tuple[Receipt, ...]


async def record(secret: bytes, write: Write, asked: NewReversal) -> Response[bytes]:
    """Take an earning or a redemption back, once for the caller's key, and answer it; raises as `reverse` does.

    `secret`, the installation's, names the journals.
    """
    grown: list[PurchaseKey] = []
    try:
        return await once(write, 201, lambda connection: reverse(connection, secret, write, asked, grown), lasting=True)
    except PointsAlreadySpent:
        if grown:
            # Budgets grant in transactions of their own: rewarded again, the purchase gives back what it does not use.
            async with transaction() as connection:
                await reopen(connection, grown)
        raise


async def reverse(
    connection: Connection, secret: bytes, write: Write, asked: NewReversal, grown: list[PurchaseKey]
) -> Reversal:
    """Take an earning or a redemption back, in the caller's transaction.

    Purchases that were refused after budgets had granted them more are added to `grown`.
    Raises InvalidInput, UnknownEarning, UnknownRedemption, AlreadyReversed, PointsAlreadySpent.
    """
    if (asked.earning is None) == (asked.redemption is None):
        raise invalid_field("/earning", "give either an earning or a redemption")
    if asked.redemption is not None:
        return await _reverse_redemption(connection, secret, write, asked.redemption, asked.reason)
    return await _reverse_earning(connection, secret, write, asked, grown)


async def _reverse_earning(
    connection: Connection, secret: bytes, write: Write, asked: NewReversal, grown: list[PurchaseKey]
) -> Reversal:
    try:
        account_id, sighting_id = ids.private_record("ern", asked.earning or "")
    except ValueError:
        raise UnknownEarning from None
    partner_id = write.caller.partner_id
    assert partner_id is not None, "reversals are asked for by partners"  # noqa: S101  # the guard saw to it
    facts = await connection.fetchrow(statements["partner_facts"], partner_id, machine_now())
    await lock_lanes(connection, [account_id])
    if not await connection.fetchval(statements["sighting"], account_id, sighting_id, partner_id):
        raise UnknownEarning
    purchase_id = await connection.fetchval(
        statements["reverse_sighting"], account_id, sighting_id, partner_id, facts["now"]
    )
    if purchase_id is None:
        raise AlreadyReversed
    rewarded = (await reward_purchases(connection, [(account_id, purchase_id)], taken_back_for=asked.reason))[0]
    short = await connection.fetchval(statements["shortfall"], account_id, purchase_id)
    if short:
        # A till's reversal is whole or not at all; a refund by card takes what is left.
        if rewarded.grew:
            grown.append(rewarded.key)
        raise PointsAlreadySpent(missing_points=short)
    moved = rewarded.posted_by(partner_id)
    return Reversal(
        reversal=ids.public_record("rev", account_id, sighting_id),
        points=-sum(answer["points"] for answer in moved),
        receipts=tuple(issued_receipt(secret, facts, account_id, answer) for answer in moved),
    )


async def _reverse_redemption(
    connection: Connection, secret: bytes, write: Write, redemption: str, reason: Reason | None
) -> Reversal:
    try:
        account_id, hold_id = ids.private_record("red", redemption)
    except ValueError:
        raise UnknownRedemption from None
    partner_id = write.caller.partner_id
    assert partner_id is not None, "reversals are asked for by partners"  # noqa: S101  # the guard saw to it
    facts = await connection.fetchrow(statements["partner_facts"], partner_id, machine_now())
    captured = await connection.fetchval(statements["capture_of"], account_id, hold_id, partner_id)
    if captured is None:
        raise UnknownRedemption("only a captured redemption of this partner can be reversed")
    command = ReverseBurn(
        caller="reversals",
        # The till's own key may be as long as a key can be.
        key=f"{hold_id}:{content_hash(write.caller.name, write.key)}",
        content_hash=write.content_hash,
        account_id=account_id,
        unit_id=facts["unit_id"],
        occurred_at=facts["now"],
        partner_id=partner_id,
        reverses=captured,
        reason=reason,
    )
    outcome: Outcome = require_posted((await post(connection, facts["programme_id"], [command]))[0])
    return Reversal(
        reversal=ids.public_record("rev", account_id, UUID(outcome.answer["journal_id"])),
        points=outcome.answer["points"],
        receipts=(receipt(secret, facts, account_id, outcome.answer, "accepted", points=-outcome.answer["points"]),),
    )
