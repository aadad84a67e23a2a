"""Earnings: a till reports a purchase, and the member has the points when the till is answered.

Concurrent tills of a process share one transaction: requests, sightings, decisions and postings of all of them are
written set by set. Each is answered for itself; one that is refused leaves no trace.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import asyncpg
import msgspec
from msgspec import Meta

from koinon import ids
from koinon.clock import machine_now
from koinon.database import Connection, beside, raced
from koinon.database.gather import Gatherer
from koinon.fields import named
from koinon.http.requests import Write
from koinon.keyring import Keyring
from koinon.members.operations import UnknownMember
from koinon.parties.operations import ContractMissing
from koinon.places.operations import UnknownPlace
from koinon.problems import IdempotencyKeyReused, Problem, invalid_field
from koinon.redemptions.operations import Receipt, receipt
from offers.purchases.intake import lock_lanes
from offers.purchases.sightings import Asked, Fresh, NewEarning, fresh_of, put_to_shown, read_ids, record, row_of
from offers.purchases.tenders import Tendered, of_another_member, reported, seen_by_card
from offers.rewarding.evidence import evidence_of
from offers.rewarding.operations import Rewarded, reward_known
from offers.rewarding.rewards import TillSighting

statements = beside(__file__, "earnings.sql")

EarningId = Annotated[str, named("An earning", "ern_00qcnjn0p5me581kjpwd6xqemq8k9w39qsaekf4")]
BATCH_MAXIMUM = 100
FUTURE_MAXIMUM = timedelta(minutes=10)
"""How far a till's clock may run ahead of the programme's."""
PAST_MAXIMUM = timedelta(days=90)
"""How long a till may be offline: what it dates earlier would choose an older contract, and points long expired."""


class Earning(msgspec.Struct, frozen=True, kw_only=True):
    """What a purchase earned, as its till is answered.

    `points` count now, `pending_points` when the card clears. `receipts` name what this call issued in the partner's
    own name: nothing when the purchase earns nothing, or when its reward is another's.
    """

    earning: EarningId
    points: Annotated[int, Meta(examples=[250])]
    pending_points: Annotated[int, Meta(examples=[0])]
    balance: Annotated[int, Meta(examples=[1250])] | None
    reasons: Annotated[tuple[str, ...], Meta(examples=[[]])]
    receipts: tuple[Receipt, ...]


class TillAnswer(msgspec.Struct, frozen=True):
    """What a till is answered: an earning (or the bytes of one answered before), or a refusal."""

    body: bytes | None
    replayed: bool = False
    problem: Problem | None = None


class Earnings:
    """The earnings of one process: concurrent tills share one transaction."""

    def __init__(self, keys: Keyring) -> None:
        self._gatherer: Gatherer[Asked, TillAnswer] = Gatherer(partial(earn_many, keys), maximum=BATCH_MAXIMUM)

    async def earn(self, write: Write, earning: NewEarning) -> TillAnswer:
        """Record a purchase and post what it earns.

        Raises InvalidInput, UnknownMember, UnknownPlace, ContractMissing, IdempotencyKeyReused, TooManyWaiting,
        OutcomeUnknown.
        """
        answer = await self._gatherer.submit(read_ids(write, earning))
        if answer.problem is not None:
            raise answer.problem
        return answer


async def earn_many(keys: Keyring, asked: Sequence[Asked]) -> list[TillAnswer]:
    """Record purchases and post what they earn, in one transaction, and answer each.

    `keys`, the installation's, name the journals and open the members' keys that the tills' receipts are sealed under.
    """
    return await raced(lambda connection: _earn_many(connection, keys, asked))


async def _earn_many(connection: Connection, keys: Keyring, asked: Sequence[Asked]) -> list[TillAnswer]:
    facts = await _facts(connection, asked)
    answers: dict[int, TillAnswer] = {}
    for position, (each, row) in enumerate(zip(asked, facts, strict=True)):
        if row["content_hash"] is not None:
            # What was answered before is answered again, also what would be refused today.
            answers[position] = _answered(each, row)
        elif (problem := _refusal(each, row)) is not None:
            answers[position] = TillAnswer(None, problem=problem)
    seen = await _tenders(connection, asked, facts, answers)
    fresh = {
        position: fresh_of(keys.masters, asked[position], facts[position], seen.get(position))
        for position in _first(asked, _open(asked, answers))
    }
    if fresh:
        bodies = await _earn(connection, keys.secret, list(fresh.values()))
        answers |= {position: TillAnswer(body) for position, body in zip(fresh, bodies, strict=True)}
    # Two under one key at once: the other one is its replay, or in conflict with it.
    rest = [*_open(asked, answers), *(position for position, answer in answers.items() if answer.problem is not None)]
    if rest:
        rows = await connection.fetch(
            statements["known_requests"],
            [asked[position].write.caller.name for position in rest],
            [asked[position].write.key for position in rest],
        )
        answers |= {rest[row["position"]]: _answered(asked[rest[row["position"]]], row) for row in rows}
    return [answers[position] for position in range(len(asked))]


async def _earn(connection: Connection, secret: bytes, fresh: Sequence[Fresh]) -> list[bytes]:
    """Post what fresh calls earn, and record them and their answers, which are returned.

    Nothing is written of a new purchase before all of it is known, so that every row is written once. Raises
    asyncpg.SerializationError when a key was recorded meanwhile.
    """
    new = [each for each in fresh if not each.shown]
    evidence = await evidence_of(connection, [row_of(each) for each in new]) if new else []
    if shown := [each for each in fresh if each.shown]:
        evidence += await put_to_shown(connection, shown)
    rewarded = {each.key: each for each in await reward_known(connection, evidence)}
    bodies = [msgspec.json.encode(_earning(secret, each, rewarded[each.key])) for each in fresh]
    await record(connection, new, fresh, bodies)
    return bodies


def _open(asked: Sequence[Asked], answers: Mapping[int, TillAnswer]) -> list[int]:
    return [position for position in range(len(asked)) if position not in answers]


def _first(asked: Sequence[Asked], positions: Sequence[int]) -> list[int]:
    """Return the first position of each key."""
    first: dict[tuple[str, str], int] = {}
    for position in positions:
        write = asked[position].write
        first.setdefault((write.caller.name, write.key), position)
    return list(first.values())


async def _facts(connection: Connection, asked: Sequence[Asked]) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(
        statements["till_facts"],
        [each.partner_id for each in asked],
        [each.member_id for each in asked],
        [each.place_id for each in asked],
        [each.earning.occurred_at for each in asked],
        [each.source_id for each in asked],
        machine_now(),
        [each.write.caller.name for each in asked],
        [each.write.key for each in asked],
    )
    return rows


def _refusal(each: Asked, row: asyncpg.Record) -> Problem | None:
    if row["account_id"] is None:
        return UnknownMember()
    if row["place_zone"] is None:
        return UnknownPlace()
    if each.earning.occurred_at > row["now"] + FUTURE_MAXIMUM:
        return invalid_field("/occurred_at", "the purchase lies in the programme's future", "in-the-future")
    if each.earning.occurred_at < row["now"] - PAST_MAXIMUM:
        return invalid_field("/occurred_at", f"a till reports within {PAST_MAXIMUM.days} days", "too-late")
    if not row["contracted"]:
        return ContractMissing(partner=row["partner"])
    return None


async def _tenders(
    connection: Connection, asked: Sequence[Asked], facts: Sequence[asyncpg.Record], answers: dict[int, TillAnswer]
) -> dict[int, asyncpg.Record]:
    """Refuse, in `answers`, tenders that are not to be rewarded; return the payments that cards have shown before.

    Only what names a tender can be a purchase that a card message shows too, and waits for who takes such in.
    """
    tendered = {
        position: _tendered(asked[position], facts[position])
        for position in _open(asked, answers)
        if asked[position].earning.tender is not None
    }
    if not tendered:
        return {}
    answers |= {
        position: TillAnswer(None, problem=told)
        for position, told in (await of_another_member(connection, tendered)).items()
    }
    taken = {position: each for position, each in tendered.items() if position not in answers}
    await lock_lanes(connection, sorted({each.account_id for each in taken.values()}))
    answers |= {
        position: TillAnswer(None, problem=told) for position, told in (await reported(connection, taken)).items()
    }
    first = _first(asked, [position for position in taken if position not in answers])
    return await seen_by_card(connection, {position: taken[position] for position in first})


def _answered(each: Asked, row: asyncpg.Record) -> TillAnswer:
    """Return the answer that stands under a call's key; another content is refused."""
    if row["content_hash"].hex() != each.write.content_hash:
        return TillAnswer(None, problem=IdempotencyKeyReused())
    return TillAnswer(row["answer"].encode(), replayed=True)


def _tendered(each: Asked, row: asyncpg.Record) -> Tendered:
    tender = each.earning.tender
    assert tender is not None, "only tendered purchases are compared with payments"  # noqa: S101  # chosen before
    assert each.source_id is not None, "a tender names its source"  # noqa: S101  # read with it
    return Tendered(
        account_id=row["account_id"],
        member_id=each.member_id,
        programme_id=row["programme_id"],
        source_id=each.source_id,
        known_source=row["known_source"],
        sighting=TillSighting(
            card_token=tender.token,
            source_id=str(each.source_id),
            auth_code=tender.auth_code,
            place_id=each.place_id,
            amount_minor=each.earning.amount_minor,
            currency=each.earning.currency,
            occurred_at=each.earning.occurred_at,
        ),
    )


def _earning(secret: bytes, each: Fresh, rewarded: Rewarded) -> Earning:
    """Return the till's answer; the receipts name what this call moved in the partner's own name."""
    moved = rewarded.posted_by(each.asked.partner_id)
    reasons = {decision.reason for decision in rewarded.decisions if decision.reason}
    return Earning(
        earning=ids.public_record("ern", rewarded.key[0], each.sighting_id),
        points=rewarded.points,
        pending_points=rewarded.pending,
        balance=moved[-1]["balance"] if moved else None,
        reasons=tuple(sorted(reasons)),
        receipts=tuple(issued_receipt(secret, each.facts, rewarded.key[0], answer) for answer in moved),
    )


def issued_receipt(secret: bytes, facts: asyncpg.Record, account_id: int, answer: dict[str, Any]) -> Receipt:
    """Return the receipt of points that were issued, or taken back when they are negative."""
    return receipt(secret, facts, account_id, answer, "issued", points=answer["points"])
