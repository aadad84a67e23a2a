"""Intake: card messages leave the inbox, join their payments, and let purchases be settled again.

One slice is one transaction: messages are taken by card, the accounts' lanes locked, keys joined, payments folded,
purchases touched, the inbox marked. A slice that is cut off leaves nothing; two workers take different messages and
wait for each other only at an account that both have messages of.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from koinon.database import Connection, beside, transaction
from koinon.ids import new_record_id
from koinon.runtime import Runtime
from offers.joins import join_keys
from offers.messages import CardMessage
from offers.payments import Payment, fold
from offers.places import known_places
from offers.rewards import TillSighting, is_same_purchase

statements = beside(__file__)

SLICE_MESSAGES = 500

decode_message = msgspec.json.Decoder(CardMessage).decode
decode_payment = msgspec.json.Decoder(Payment).decode
encode = msgspec.json.encode

PaymentKey = tuple[int, UUID]
"""(account, payment)"""


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A card message with the member whose card it is."""

    row: asyncpg.Record
    message: CardMessage
    account_id: int
    member_id: int
    linked_at: datetime


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as it stands after this slice."""

    account_id: int
    payment_id: UUID
    member_id: int
    programme_id: int
    linked_at: datetime
    payment: Payment


async def take_in(_: Runtime) -> bool:
    """Fold one slice of new messages; tells whether there was any."""
    async with transaction() as connection:
        rows = await connection.fetch(statements["take_messages"], SLICE_MESSAGES)
        if not rows:
            return False
        arrived = await _linked(connection, rows)
        if arrived:
            accounts = sorted({each.account_id for each in arrived})
            await lock_lanes(connection, accounts)
            joined, merged = await _join(connection, arrived)
            folded = await _fold(connection, arrived, joined, merged)
            await _attach(connection, folded)
        known = {(each.row["source_id"], each.row["message_id"]) for each in arrived}
        await connection.execute(
            statements["leave_inbox"],
            [row["card_key"] for row in rows],
            [row["source_id"] for row in rows],
            [row["message_id"] for row in rows],
            ["folded" if (row["source_id"], row["message_id"]) in known else "unlinked" for row in rows],
        )
    return True


async def lock_lanes(connection: Connection, accounts: Sequence[int]) -> None:
    """Lock the lanes of accounts, in one order for everybody, until the transaction ends."""
    await connection.execute(statements["open_lanes"], accounts)
    await connection.execute(statements["lock_lanes"], accounts)


async def _linked(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Arrived]:
    """Return the messages of cards that were linked when they happened; after a link ended, nothing is taken in."""
    links = {
        row["card_key"]: row
        for row in await connection.fetch(statements["cards_of"], sorted({row["card_key"] for row in rows}))
    }
    arrived = []
    for row in rows:
        link = links.get(row["card_key"])
        if link is None:
            continue
        message = decode_message(row["body"])
        if link["unlinked_at"] is not None and message.occurred_at >= link["unlinked_at"]:
            continue
        arrived.append(
            Arrived(
                row=row,
                message=message,
                account_id=link["account_id"],
                member_id=link["member_id"],
                linked_at=link["linked_at"],
            )
        )
    return arrived


async def _join(connection: Connection, arrived: Sequence[Arrived]) -> tuple[list[UUID], list[tuple[int, UUID, UUID]]]:
    """Find each message's payment by its keys; returns (payment of each message, merges as (account, from, into)).

    Of payments that a message shows to be one, the oldest stays.
    """
    keys = [sorted(join_keys(each.message)) for each in arrived]
    pairs = sorted({(each.account_id, key) for each, own in zip(arrived, keys, strict=True) for key in own})
    known = {
        (row["account_id"], row["join_key"]): row["payment_id"]
        for row in await connection.fetch(
            statements["known_keys"], [account for account, _ in pairs], [key for _, key in pairs]
        )
    }
    stored = set(known.values())
    into: dict[UUID, UUID] = {}

    def root(payment: UUID) -> UUID:
        while payment in into:
            payment = into[payment]
        return payment

    owners = dict(known)
    for each, own in zip(arrived, keys, strict=True):
        met = {root(owners[each.account_id, key]) for key in own if (each.account_id, key) in owners}
        # UUIDv7: the smallest is the oldest, and stored ones are older than those of this slice.
        payment = min(met) if met else new_record_id()
        into.update(dict.fromkeys(met - {payment}, payment))
        owners.update({(each.account_id, key): payment for key in own})
    accounts = {payment: account for (account, _), payment in owners.items()}
    merges = [(accounts[payment], payment, root(payment)) for payment in sorted(stored) if payment in into]
    joined = [root(owners[each.account_id, own[0]]) for each, own in zip(arrived, keys, strict=True)]
    await connection.execute(
        statements["put_keys"],
        [account for account, _ in pairs],
        [key for _, key in pairs],
        [root(owners[pair]) for pair in pairs],
    )
    return joined, merges


async def _fold(
    connection: Connection,
    arrived: Sequence[Arrived],
    joined: Sequence[UUID],
    merges: Sequence[tuple[int, UUID, UUID]],
) -> list[Folded]:
    """Keep the messages with their payments and fold every payment that got one, whole."""
    await connection.execute(
        statements["keep_messages"],
        [each.account_id for each in arrived],
        [each.row["source_id"] for each in arrived],
        [each.row["message_id"] for each in arrived],
        joined,
        [each.row["body"] for each in arrived],
        [each.row["received_at"] for each in arrived],
    )
    if merges:
        columns = [list(column) for column in zip(*merges, strict=True)]
        await connection.execute(statements["merge_messages"], *columns)
        await connection.execute(statements["merge_keys"], *columns)
        left = await connection.fetch(statements["merge_payments"], *columns)
        await connection.execute(
            statements["leave_purchases"],
            [row["account_id"] for row in left],
            [row["purchase_id"] for row in left],
        )
    touched = {(each.account_id, payment): each for each, payment in zip(arrived, joined, strict=True)}
    messages: dict[PaymentKey, list[CardMessage]] = {key: [] for key in touched}  # a list each
    for row in await connection.fetch(
        statements["messages_of"], [account for account, _ in touched], [payment for _, payment in touched]
    ):
        messages[row["account_id"], row["payment_id"]].append(decode_message(row["body"]))
    return [
        Folded(
            account_id=key[0],
            payment_id=key[1],
            member_id=each.member_id,
            programme_id=each.row["programme_id"],
            linked_at=each.linked_at,
            payment=fold(messages[key]),
        )
        for key, each in touched.items()
    ]


async def _attach(connection: Connection, folded: Sequence[Folded]) -> None:
    """Give every payment its purchase: the one it has, one that a till has seen, or a new one."""
    known = {
        (row["account_id"], row["payment_id"]): row["purchase_id"]
        for row in await connection.fetch(
            statements["purchases_of"], [each.account_id for each in folded], [each.payment_id for each in folded]
        )
    }
    fresh = [each for each in folded if (each.account_id, each.payment_id) not in known]
    seen = await _seen_at_tills(connection, fresh)
    purchases = [
        known.get((each.account_id, each.payment_id)) or seen.get((each.account_id, each.payment_id)) or new_record_id()
        for each in folded
    ]
    await connection.execute(
        statements["touch_purchases"],
        [each.account_id for each in folded],
        purchases,
        [each.programme_id for each in folded],
        [each.member_id for each in folded],
        [each.payment.occurred_at for each in folded],
        [None for _ in folded],
    )
    await connection.execute(
        statements["put_payments"],
        [each.account_id for each in folded],
        [each.payment_id for each in folded],
        purchases,
        [each.linked_at for each in folded],
        [encode(each.payment).decode() for each in folded],
        [",".join(each.payment.auth_codes) for each in folded],
    )


async def _seen_at_tills(connection: Connection, fresh: Sequence[Folded]) -> dict[PaymentKey, UUID]:
    """Return the purchases that tills have seen of payments, each sighting given to one payment."""
    tenders = await connection.fetch(statements["open_tenders"], sorted({each.account_id for each in fresh}))
    if not tenders:
        return {}
    by_account: dict[int, list[asyncpg.Record]] = {}
    for row in tenders:
        by_account.setdefault(row["account_id"], []).append(row)
    concerned = [each for each in fresh if each.account_id in by_account]
    places = await known_places(connection, [(each.programme_id, each.payment) for each in concerned])
    found: dict[PaymentKey, UUID] = {}
    for each in concerned:
        place_id = places.resolve(each.programme_id, each.payment).place_id
        for row in by_account[each.account_id]:
            if row["purchase_id"] not in found.values() and is_same_purchase(sighting_of(row), each.payment, place_id):
                found[each.account_id, each.payment_id] = row["purchase_id"]
                break
    return found


def sighting_of(row: asyncpg.Record) -> TillSighting:
    """Return a till's sighting as the join with card payments wants it."""
    return TillSighting(
        card_token=row["card_token"],
        source_id=str(row["source_id"]) if row["source_id"] is not None else None,
        auth_code=row["auth_code"],
        place_id=row["place_id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        occurred_at=row["occurred_at"],
    )
