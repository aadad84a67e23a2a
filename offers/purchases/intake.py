"""Intake: card messages leave the inbox, join their payments, and reopen purchases.

One slice is one transaction: messages are taken in the order of their arrival, the accounts' lanes locked, keys joined,
payments folded, purchases touched, the inbox marked. A slice that is cut off leaves nothing; two workers take different
messages and wait for each other only at an account that both have messages of. A message that fails is set aside alone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from koinon.clock import machine_now
from koinon.database import Connection, beside, pool, transaction
from koinon.ids import new_record_id
from koinon.members.directory import accounts_of
from koinon.places.model import identifier
from koinon.runtime import Runtime
from offers.feeds.messages import CardMessage
from offers.payments.fold import Payment, fold
from offers.payments.joins import join_keys
from offers.payments.places import known_places
from offers.queues import PAUSES, Failure, each_alone, log_put_off
from offers.rewarding.rewards import TillSighting, is_same_purchase

statements = beside(__file__)

SLICE_MESSAGES = 500

decode_message = msgspec.json.Decoder(CardMessage).decode
decode_payment = msgspec.json.Decoder(Payment).decode
encode = msgspec.json.encode

MessageKey = tuple[int, int, str]
"""(card, source, message)"""
PaymentKey = tuple[int, UUID]
"""(account, payment)"""


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """A card message with the member whose card it is."""

    row: Mapping[str, Any]
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

    @property
    def key(self) -> PaymentKey:
        """The payment's key."""
        return self.account_id, self.payment_id


async def take_in(_: Runtime, now: datetime | None = None) -> bool:
    """Fold one slice of new messages; tells whether there was any. `now`: when what failed is due again."""
    now = now or machine_now()
    # More than a slice: what another worker has taken of it is passed over.
    arrived = await pool().fetch(statements["arrived_messages"], now, 2 * SLICE_MESSAGES)
    if not arrived:
        return False

    async def put_off(key: MessageKey, failure: Failure) -> None:
        await _put_off(key, failure, now)

    return await each_alone([tuple(row) for row in arrived], _take, put_off)


async def _take(keys: Sequence[MessageKey]) -> bool:
    """Fold messages in one transaction, as many as a slice has; tells whether any was there to be taken."""
    async with transaction() as connection:
        columns = [list(column) for column in zip(*keys, strict=True)]
        rows = await connection.fetch(statements["take_messages"], *columns, SLICE_MESSAGES)
        if not rows:
            return False
        arrived = await _linked(connection, rows)
        if arrived:
            accounts = sorted({each.account_id for each in arrived})
            await lock_lanes(connection, accounts)
            joined, merged = await _join(connection, arrived)
            left = await _merge(connection, merged)
            await fold_in(connection, arrived, joined, left)
        known = {(each.row["source_id"], each.row["message_id"]) for each in arrived}
        await connection.execute(
            statements["leave_inbox"],
            [row["card_key"] for row in rows],
            [row["source_id"] for row in rows],
            [row["message_id"] for row in rows],
            ["folded" if (row["source_id"], row["message_id"]) in known else "unlinked" for row in rows],
        )
    return True


async def _put_off(key: MessageKey, failure: Failure, now: datetime) -> None:
    """Let a message that failed wait for its next try, or set it aside after the last one."""
    row = await pool().fetchrow(statements["put_off_message"], *key, now, PAUSES, failure.code, failure.where)
    if row is not None:
        log_put_off("card message", row, failure)


async def fold_in(
    connection: Connection,
    arrived: Sequence[Arrived],
    joined: Sequence[UUID],
    left: Sequence[asyncpg.Record] = (),
) -> None:
    """Put messages to their payments (`joined`), fold these, and reopen their purchases.

    `left`: what payments leave behind that were merged into these. The caller holds the accounts' lanes.
    """
    await _attach(connection, await _fold(connection, arrived, joined, left), left)


async def lock_lanes(connection: Connection, accounts: Sequence[int]) -> None:
    """Lock the lanes of accounts, in one order for everybody, until the transaction ends."""
    await connection.execute(statements["open_lanes"], accounts)
    await connection.execute(statements["lock_lanes"], accounts)


async def _linked(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Arrived]:
    """Return the messages of cards that were linked when they happened; after a link ended, nothing is taken in."""
    links: dict[int, list[asyncpg.Record]] = {}
    for row in await connection.fetch(statements["cards_of"], sorted({row["card_key"] for row in rows})):
        links.setdefault(row["card_key"], []).append(row)
    members = {link["member_id"] for each in links.values() for link in each}
    accounts = await accounts_of(connection, sorted(members)) if members else {}
    arrived = []
    for row in rows:
        if row["card_key"] not in links:
            continue
        message = decode_message(row["body"])
        link = _link_at(links[row["card_key"]], message.occurred_at)
        if link["unlinked_at"] is not None and message.occurred_at >= link["unlinked_at"]:
            continue
        arrived.append(
            Arrived(
                row=row,
                message=message,
                account_id=accounts[link["member_id"]],
                member_id=link["member_id"],
                linked_at=link["linked_at"],
            )
        )
    return arrived


def _link_at(links: Sequence[asyncpg.Record], at: datetime) -> asyncpg.Record:
    """Return the last link that had begun: a card's next member never sees what it paid for the one before."""
    return next((link for link in reversed(links) if link["linked_at"] <= at), links[0])


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
    accounts = {payment: account for (account, _), payment in known.items()}
    for each, own in zip(arrived, keys, strict=True):
        met = {root(owners[each.account_id, key]) for key in own if (each.account_id, key) in owners}
        # UUIDv7: the smallest is the oldest, and stored ones are older than those of this slice.
        payment = min(met) if met else new_record_id()
        into.update(dict.fromkeys(met - {payment}, payment))
        owners.update({(each.account_id, key): payment for key in own})
    merges = [(accounts[payment], payment, root(payment)) for payment in sorted(stored) if payment in into]
    joined = [root(owners[each.account_id, own[0]]) for each, own in zip(arrived, keys, strict=True)]
    await connection.execute(
        statements["put_keys"],
        [account for account, _ in pairs],
        [key for _, key in pairs],
        [root(owners[pair]) for pair in pairs],
    )
    return joined, merges


async def _merge(connection: Connection, merges: Sequence[tuple[int, UUID, UUID]]) -> list[asyncpg.Record]:
    """Move messages and keys of payments that turned out to be one; returns what the payments leave behind."""
    if not merges:
        return []
    columns = [list(column) for column in zip(*merges, strict=True)]
    await connection.execute(statements["merge_messages"], *columns)
    await connection.execute(statements["merge_keys"], *columns)
    left: list[asyncpg.Record] = await connection.fetch(statements["merge_payments"], *columns)
    return left


async def _fold(
    connection: Connection, arrived: Sequence[Arrived], joined: Sequence[UUID], left: Sequence[asyncpg.Record]
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
    touched: dict[PaymentKey, list[Arrived]] = {}
    for each, payment in zip(arrived, joined, strict=True):
        touched.setdefault((each.account_id, payment), []).append(each)
    # A payment is as old as the oldest link of its cards, whichever of its messages came first.
    linked: dict[PaymentKey, list[datetime]] = {}
    for row in left:
        linked.setdefault((row["account_id"], row["merged_into"]), []).append(row["linked_at"])
    messages: dict[PaymentKey, list[CardMessage]] = {key: [] for key in touched}  # a list each
    for row in await connection.fetch(
        statements["messages_of"], [account for account, _ in touched], [payment for _, payment in touched]
    ):
        messages[row["account_id"], row["payment_id"]].append(decode_message(row["body"]))
    return [
        Folded(
            account_id=key[0],
            payment_id=key[1],
            member_id=own[0].member_id,
            programme_id=own[0].row["programme_id"],
            linked_at=min([each.linked_at for each in own] + linked.get(key, [])),
            payment=fold(messages[key]),
        )
        for key, own in touched.items()
    ]


async def _attach(connection: Connection, folded: Sequence[Folded], left: Sequence[asyncpg.Record]) -> None:
    """Give every payment its purchase: one that a till has seen, the one that it has, or a new one."""
    known = {
        (row["account_id"], row["payment_id"]): row
        for row in await connection.fetch(
            statements["purchases_of"], [each.account_id for each in folded], [each.payment_id for each in folded]
        )
    }
    # A payment may say only in its second message what shows that a till has seen it.
    free = [each for each in folded if each.key not in known or not known[each.key]["at_till"]]
    seen = await _seen_at_tills(connection, free)
    purchases = {
        each.key: seen.get(each.key) or (known[each.key]["purchase_id"] if each.key in known else new_record_id())
        for each in folded
    }
    await connection.execute(
        statements["touch_purchases"],
        [each.account_id for each in folded],
        list(purchases.values()),
        [each.programme_id for each in folded],
        [each.member_id for each in folded],
        [each.payment.occurred_at for each in folded],
        [None for _ in folded],
    )
    await connection.execute(
        statements["put_payments"],
        [each.account_id for each in folded],
        [each.payment_id for each in folded],
        list(purchases.values()),
        [each.linked_at for each in folded],
        [encode(each.payment).decode() for each in folded],
        [",".join(filter(None, map(identifier, each.payment.auth_codes))) for each in folded],
    )
    moves = [(key[0], row["purchase_id"], purchases[key]) for key, row in known.items()]
    moves += [(row["account_id"], row["purchase_id"], purchases[row["account_id"], row["merged_into"]]) for row in left]
    moves = [move for move in moves if move[1] != move[2]]
    if moves:
        await connection.execute(statements["merge_purchases"], *map(list, zip(*moves, strict=True)))


async def _seen_at_tills(connection: Connection, free: Sequence[Folded]) -> dict[PaymentKey, UUID]:
    """Return the purchases that tills have seen of payments, each sighting given to one payment."""
    tenders = await connection.fetch(statements["open_tenders"], sorted({each.account_id for each in free}))
    if not tenders:
        return {}
    by_account: dict[int, list[asyncpg.Record]] = {}
    for row in tenders:
        by_account.setdefault(row["account_id"], []).append(row)
    concerned = [each for each in free if each.account_id in by_account]
    places = await known_places(connection, [(each.programme_id, each.payment) for each in concerned])
    found: dict[PaymentKey, UUID] = {}
    for each in concerned:
        place_id = places.resolve(each.programme_id, each.payment).place_id
        for row in by_account[each.account_id]:
            if row["purchase_id"] not in found.values() and is_same_purchase(sighting_of(row), each.payment, place_id):
                found[each.key] = row["purchase_id"]
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
