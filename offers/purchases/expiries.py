"""Authorisations that never clear: after a while the worker says what the network did not, that they have run out.

It says so as a card message of the payment, so the fold stays a function of its messages, and what clears later counts.
"""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec
import structlog

from koinon.clock import machine_now
from koinon.database import beside, pool, transaction
from koinon.runtime import Runtime
from offers.feeds.messages import CardMessage, MessageType
from offers.payments.fold import Payment
from offers.purchases.intake import Arrived, decode_payment, fold_in, lock_lanes
from offers.queues import Failure, each_alone
from offers.rewarding.rewards import TENDER_SPAN_CLEARING

statements = beside(__file__)
log = structlog.get_logger(__name__)

RUNS_OUT_AFTER = TENDER_SPAN_CLEARING
"""How long after the purchase a clearing is waited for."""
SLICE_PAYMENTS = 100


async def run_out(_: Runtime) -> bool:
    """Let a slice of payments run out that points are still waited for; tells whether any did.

    One that fails stops no other: the log says so, and it is looked at again.
    """
    now = machine_now()
    rows = await pool().fetch(statements["stale_payments"], now, RUNS_OUT_AFTER, SLICE_PAYMENTS)
    if not rows:
        return False
    ran_out: list[asyncpg.Record] = []

    async def work(some: Sequence[asyncpg.Record]) -> bool:
        await _run_out(some, now)
        ran_out.extend(some)
        return True

    async def put_off(row: asyncpg.Record, failure: Failure) -> None:
        log.error("not run out", programme_id=row["programme_id"], code=failure.code, where=failure.where)

    await each_alone(rows, work, put_off)
    return bool(ran_out)


async def _run_out(rows: Sequence[asyncpg.Record], now: datetime) -> None:
    """Say of payments that they have run out; of one that turned out to be a part of another, the other has its own."""
    async with transaction() as connection:
        await lock_lanes(connection, sorted({row["account_id"] for row in rows}))
        columns = [row["account_id"] for row in rows], [row["payment_id"] for row in rows]
        alive = {row["payment_id"] for row in await connection.fetch(statements["purchases_of"], *columns)}
        arrived, payments = [], []
        for row in rows:
            if row["payment_id"] not in alive:
                continue
            payments.append(row["payment_id"])
            message = _expiry(f"expiry:{row['payment_id']}", decode_payment(row["fold"]))
            told = {
                "source_id": int(message.source_id),
                "message_id": message.message_id,
                "programme_id": row["programme_id"],
                "body": msgspec.json.encode(message).decode(),
                "received_at": now,
            }
            arrived.append(
                Arrived(
                    row=told,
                    message=message,
                    account_id=row["account_id"],
                    member_id=row["member_id"],
                    linked_at=row["linked_at"],
                )
            )
        if arrived:
            await fold_in(connection, arrived, payments)


def _expiry(message_id: str, payment: Payment) -> CardMessage:
    source_id, token = payment.card_tokens[0]
    return CardMessage(
        message_id=message_id,
        source_id=source_id,
        type=MessageType.AUTH_EXPIRY,
        occurred_at=payment.occurred_at + RUNS_OUT_AFTER,
        network=payment.network,
        amount_minor=0,
        currency=payment.currency,
        card_token=token,
        original_message_id=next(name for source, name in payment.messages if source == source_id),
    )
