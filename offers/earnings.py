"""Earnings: a till reports a purchase, and the member has the points when the till is answered.

Concurrent tills of a process share one transaction: requests, sightings, decisions and postings of all of them are
written set by set. Each is answered for itself; one that is refused leaves no trace.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta

from koinon import ids
from koinon.clock import machine_now
from koinon.database import Connection, beside, raced
from koinon.database.gather import Gatherer
from koinon.fields import (
    FIRST_YEAR,
    LAST_YEAR,
    CurrencyText,
    Instant,
    MemberId,
    PlaceId,
    SourceId,
    TillReceipt,
    Token,
    named,
    within_calendar,
)
from koinon.ids import new_record_id
from koinon.ledger.redemptions import ContractMissing, Receipt, UnknownMember, UnknownPlace, receipt
from koinon.money import EXPONENTS
from koinon.places.model import identifier
from koinon.problems import IdempotencyKeyReused, NotFound, Problem, invalid_field
from koinon.web.requests import Write
from offers.evidence import PurchaseKey
from offers.intake import lock_lanes
from offers.intake import statements as intake_statements
from offers.model import POINTS_MAX
from offers.rewarding import Settled, settle
from offers.rewards import TillSighting
from offers.tenders import Tendered, foreign, reported, seen_by_card

statements = beside(__file__, "earnings.sql")

EarningId = Annotated[str, named("An earning", "ern_00qcnjn0p5me581kjpwd6xqemq8k9w39qsaekf4")]
BATCH_MAXIMUM = 100
FUTURE_MAXIMUM = timedelta(minutes=10)
"""How far a till's clock may run ahead of the programme's."""
PAST_MAXIMUM = timedelta(days=90)
"""How long a till may be offline: what it dates earlier would choose an older contract, and points long expired."""


class UnknownEarning(NotFound):
    """No earning of the partner has this id."""

    code = "unknown-earning"
    title = "There is no such earning"


TENDER = {"source": "src_2de18rfzfcjcq", "token": "tok_Yk8sQ2mVwZ", "auth_code": "A1B2C3"}


class Tender(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """How a purchase was paid by card: the source's token and the authorisation code, so that it is rewarded once."""

    source: SourceId
    token: Token
    auth_code: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,32}$(?!\n)", examples=["A1B2C3"])]


class NewEarning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A purchase as a till saw it; `points` are stated by the brand, or left to its offers."""

    member: MemberId
    place: PlaceId
    amount_minor: Annotated[int, Meta(ge=1, le=10**15, examples=[2500])]
    currency: CurrencyText
    occurred_at: Instant
    receipt: TillReceipt | None = None
    points: Annotated[int, Meta(ge=1, le=POINTS_MAX, examples=[250])] | None = None
    tender: Annotated[Tender, Meta(examples=[TENDER])] | None = None


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


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A till's call with its ids read."""

    write: Write
    earning: NewEarning
    partner_id: int
    member_id: int
    place_id: int
    source_id: int | None


class Answer(msgspec.Struct, frozen=True):
    """What a till is answered: an earning (or the bytes of one answered before), or a refusal."""

    body: bytes | None
    replayed: bool = False
    problem: Problem | None = None


class Earnings:
    """The earnings of one process: concurrent tills share one transaction."""

    def __init__(self, secret: bytes) -> None:
        self._gatherer: Gatherer[Asked, Answer] = Gatherer(partial(earn_many, secret), maximum=BATCH_MAXIMUM)

    async def earn(self, write: Write, earning: NewEarning) -> Answer:
        """Record a purchase and post what it earns.

        Raises InvalidInput, UnknownMember, UnknownPlace, ContractMissing, IdempotencyKeyReused, TooManyWaiting,
        OutcomeUnknown.
        """
        answer = await self._gatherer.submit(read_ids(write, earning))
        if answer.problem is not None:
            raise answer.problem
        return answer


def read_ids(write: Write, earning: NewEarning) -> Asked:
    """Return a till's call with its ids read; raises InvalidInput naming the field."""
    partner_id = write.caller.partner_id
    assert partner_id is not None, "earnings are reported by partners"  # noqa: S101  # the guard saw to it
    if earning.currency not in EXPONENTS:
        raise invalid_field("/currency", "not a currency of ISO 4217", "unknown-currency")
    if earning.tender is not None and not identifier(earning.tender.auth_code):
        raise invalid_field("/tender/auth_code", "this says nothing; a tender is known by its authorisation code")
    if not within_calendar(earning.occurred_at):
        raise invalid_field("/occurred_at", f"the year must be {FIRST_YEAR} to {LAST_YEAR}")
    return Asked(
        write=write,
        earning=earning,
        partner_id=partner_id,
        member_id=_private("mem", earning.member, "/member"),
        place_id=_private("pla", earning.place, "/place"),
        source_id=_private("src", earning.tender.source, "/tender/source") if earning.tender else None,
    )


def _private(prefix: str, text: str, pointer: str) -> int:
    try:
        return ids.private(prefix, text)
    except ValueError as error:
        raise invalid_field(pointer, str(error)) from None


async def earn_many(secret: bytes, asked: Sequence[Asked]) -> list[Answer]:
    """Record purchases and post what they earn, in one transaction, and answer each; `secret` names their journals."""
    return await raced(lambda connection: _earn_many(connection, secret, asked))


async def _earn_many(connection: Connection, secret: bytes, asked: Sequence[Asked]) -> list[Answer]:
    # What was answered before is answered again, also what would be refused today.
    answers = await _answered(connection, asked, range(len(asked)))
    facts = await _facts(connection, asked)
    for place, (each, row) in enumerate(zip(asked, facts, strict=True)):
        if place not in answers and (problem := _refusal(each, row)) is not None:
            answers[place] = Answer(None, problem=problem)
    tendered = {
        place: _tendered(each, facts[place])
        for place, each in enumerate(asked)
        if each.earning.tender is not None and place not in answers
    }
    answers |= {place: Answer(None, problem=told) for place, told in (await foreign(connection, tendered)).items()}
    await lock_lanes(connection, sorted({facts[place]["account_id"] for place in _open(asked, answers)}))
    standing = {place: each for place, each in tendered.items() if place not in answers}
    answers |= {place: Answer(None, problem=told) for place, told in (await reported(connection, standing)).items()}
    fresh = await _claim(connection, asked, _open(asked, answers))
    if fresh:
        seen = await seen_by_card(connection, {place: standing[place] for place in fresh if place in standing})
        sightings, purchases = await _record(connection, asked, facts, fresh, seen)
        settled = {each.key: each for each in await settle(connection, purchases)}
        bodies = [
            msgspec.json.encode(_earning(secret, facts[place], asked[place].partner_id, sighting, settled[key]))
            for place, sighting, key in zip(fresh, sightings, purchases, strict=True)
        ]
        await connection.execute(
            statements["answer_requests"],
            [asked[place].write.caller.name for place in fresh],
            [asked[place].write.key for place in fresh],
            [body.decode() for body in bodies],
        )
        answers |= {place: Answer(body) for place, body in zip(fresh, bodies, strict=True)}
    # Two under one key at once: the other one is its replay, or in conflict with it.
    answers |= await _answered(connection, asked, [*_open(asked, answers), *_refused(answers)])
    return [answers[place] for place in range(len(asked))]


def _open(asked: Sequence[Asked], answers: Mapping[int, Answer]) -> list[int]:
    return [place for place in range(len(asked)) if place not in answers]


def _refused(answers: Mapping[int, Answer]) -> list[int]:
    return [place for place, answer in answers.items() if answer.problem is not None]


async def _facts(connection: Connection, asked: Sequence[Asked]) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(
        statements["till_facts"],
        [each.partner_id for each in asked],
        [each.member_id for each in asked],
        [each.place_id for each in asked],
        [each.earning.occurred_at for each in asked],
        [each.source_id for each in asked],
        machine_now(),
    )
    return rows


def _refusal(each: Asked, row: asyncpg.Record) -> Problem | None:
    if row["account_id"] is None:
        return UnknownMember()
    if not row["own_place"]:
        return UnknownPlace()
    if each.earning.occurred_at > row["now"] + FUTURE_MAXIMUM:
        return invalid_field("/occurred_at", "the purchase lies in the programme's future", "in-the-future")
    if each.earning.occurred_at < row["now"] - PAST_MAXIMUM:
        return invalid_field("/occurred_at", f"a till reports within {PAST_MAXIMUM.days} days", "too-late")
    if not row["contracted"]:
        return ContractMissing(partner=row["partner"])
    return None


async def _claim(connection: Connection, asked: Sequence[Asked], places: Sequence[int]) -> list[int]:
    """Take the keys of what is not refused; returns the places that are to be recorded."""
    rows = await connection.fetch(
        statements["claim_requests"],
        [asked[place].write.caller.name for place in places],
        [asked[place].write.key for place in places],
        [asked[place].write.content_hash for place in places],
    )
    return sorted(places[row["position"]] for row in rows)


async def _answered(connection: Connection, asked: Sequence[Asked], places: Sequence[int]) -> dict[int, Answer]:
    """Return the answers that stand under the keys of some calls, by place; another content is refused."""
    answers: dict[int, Answer] = {}
    if not places:
        return answers
    rows = await connection.fetch(
        statements["known_requests"],
        [asked[place].write.caller.name for place in places],
        [asked[place].write.key for place in places],
    )
    for row in rows:
        place = places[row["position"]]
        if row["content_hash"].hex() != asked[place].write.content_hash:
            answers[place] = Answer(None, problem=IdempotencyKeyReused())
        else:
            answers[place] = Answer(row["answer"].encode(), replayed=True)
    return answers


async def _record(
    connection: Connection,
    asked: Sequence[Asked],
    facts: Sequence[asyncpg.Record],
    fresh: Sequence[int],
    seen: Mapping[int, asyncpg.Record],
) -> tuple[list[UUID], list[PurchaseKey]]:
    """Write the fresh sightings, each on the purchase that the card has shown already or on a new one; return both.

    A sighting has its purchase's id, but when it is rung up again after an earlier one was taken back.
    """
    accounts = [facts[place]["account_id"] for place in fresh]
    purchases = {place: seen[place]["purchase_id"] if place in seen else new_record_id() for place in fresh}
    sightings = [new_record_id() if place in seen and seen[place]["rung"] else purchases[place] for place in fresh]
    new = [place for place in fresh if place not in seen]
    await connection.execute(
        statements["make_purchases"],
        [facts[place]["account_id"] for place in new],
        [purchases[place] for place in new],
        [facts[place]["programme_id"] for place in new],
        [asked[place].member_id for place in new],
        [asked[place].earning.occurred_at for place in new],
        [asked[place].place_id for place in new],
    )
    await connection.execute(
        intake_statements["leave_purchases"],
        [facts[place]["account_id"] for place in seen],
        [purchases[place] for place in seen],
    )
    told = [asked[place] for place in fresh]
    await connection.execute(
        statements["add_sightings"],
        accounts,
        sightings,
        list(purchases.values()),
        [each.partner_id for each in told],
        [each.place_id for each in told],
        [each.earning.receipt for each in told],
        [each.earning.amount_minor for each in told],
        [each.earning.currency for each in told],
        [each.earning.points for each in told],
        [each.earning.tender.token if each.earning.tender else None for each in told],
        [each.source_id for each in told],
        [identifier(each.earning.tender.auth_code) if each.earning.tender else None for each in told],
        [each.earning.occurred_at for each in told],
    )
    return sightings, list(zip(accounts, purchases.values(), strict=True))


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


def _earning(secret: bytes, facts: asyncpg.Record, partner_id: int, sighting: UUID, settled: Settled) -> Earning:
    """Return the till's answer; the receipts name what this call moved in the partner's own name."""
    moved = settled.posted_by(partner_id)
    reasons = {decision.reason for decision in settled.decisions if decision.reason}
    return Earning(
        earning=ids.public_record("ern", settled.key[0], sighting),
        points=settled.points,
        pending_points=settled.pending,
        balance=moved[-1]["balance"] if moved else None,
        reasons=tuple(sorted(reasons)),
        receipts=tuple(issued_receipt(secret, facts, settled.key[0], answer) for answer in moved),
    )


def issued_receipt(secret: bytes, facts: asyncpg.Record, account_id: int, answer: dict[str, Any]) -> Receipt:
    """Return the receipt of points that were issued, or taken back when they are negative."""
    return receipt(secret, facts, account_id, answer, "issued", points=answer["points"])
