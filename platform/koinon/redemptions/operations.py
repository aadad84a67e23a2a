"""Redemptions: reserve points at a till on proof, then capture or release them."""

import math
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta

from koinon import ids
from koinon.clock import business_date, machine_now
from koinon.database import pool
from koinon.fields import JournalName, PartnerCode, PlaceId, ProgrammeCode, RedemptionId, TillReceipt
from koinon.http.requests import Write
from koinon.idempotency.operations import answered
from koinon.keyring import MasterKeys
from koinon.ledger import model
from koinon.ledger.model import Capture, Hold, Outcome, Release
from koinon.ledger.names import journal_name
from koinon.ledger.operations import Ledger, UnknownRedemption, require_posted
from koinon.members.operations import UnknownMember
from koinon.members.pay_codes import PAY_CODE, verify
from koinon.members.vault import key_of, sealed_text
from koinon.parties.operations import ContractMissing, CurrencyMismatch
from koinon.places.operations import UnknownPlace
from koinon.problems import InvalidInput, Problem, field_error, invalid_field
from koinon.redemptions.proofs import AttestedHeadroom, CardProofs, Proof, ProofInvalid, statements
from koinon.references import id_in_field, record_in_path
from koinon.runtime import Runtime

POINTS_MAXIMUM = 10**12
RECEIPT = "redemption receipt"
"""The till's own number of a redemption, as the members' vault calls the field."""


class ProofMissing(InvalidInput):
    """A redemption names exactly one proof."""

    code = "proof-missing"
    title = "A redemption needs exactly one proof: a pay code, the card just presented, or staff who attest"


class NewRedemption(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A till asks to reserve points, or as many as an amount is worth at the programme's face value."""

    proof: Annotated[Proof, Meta(examples=[{"pay_code": PAY_CODE}])] | None = None
    member: Annotated[str, Meta(max_length=64, description="A member (`mem_…`), where staff attest.")] | None = None
    points: Annotated[int, Meta(ge=1, le=POINTS_MAXIMUM, examples=[500])] | None = None
    amount_minor: Annotated[int, Meta(ge=1, le=POINTS_MAXIMUM)] | None = None
    currency: Annotated[str, Meta(max_length=3)] | None = None
    place: PlaceId | None = None
    receipt: TillReceipt | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the partner keeps to check its nightly bundle against: every value a string, names as in the bundle.

    `version` is the partner's own contract version that the points moved under; null when they were of several.
    """

    effect: Literal["issued", "honoured", "accepted", "held", "released"]
    journal: JournalName
    partner: PartnerCode
    points: Annotated[str, Meta(examples=["250"])]
    programme: ProgrammeCode
    unit: Annotated[str, Meta(examples=["points"])]
    version: Annotated[str | None, Meta(examples=["1"])]
    window: Annotated[str, Meta(examples=["1"])]


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """A redemption as its partner sees it after a call."""

    redemption: RedemptionId
    state: Literal["reserved", "captured", "released"]
    points: Annotated[int, Meta(examples=[500])]
    balance: Annotated[int, Meta(examples=[750])]
    expires_at: Annotated[str, Meta(examples=["2026-03-02T09:15:00Z"])] | None
    receipt: Receipt


class RedemptionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A redemption as it stands, for a till that lost an answer or a brand that is asked about one.

    `receipt` is the till's own number, `attested_by` the member of staff whose word was the proof.
    """

    redemption: RedemptionId
    state: Literal["reserved", "captured", "released", "reversed"]
    points: Annotated[int, Meta(examples=[500])]
    proof: Literal["pay_code", "card", "staff"]
    attested_by: str | None
    place: PlaceId | None
    receipt: TillReceipt | None
    occurred_at: datetime
    expires_at: Annotated[datetime, Meta(examples=["2026-03-02T09:15:00Z"])]


def receipt(
    secret: bytes,
    facts: asyncpg.Record,
    account_id: int,
    answer: dict[str, Any],
    effect: Literal["issued", "accepted", "held", "released"],
    *,
    points: int,
) -> Receipt:
    """Return the receipt of a posted command by the ledger's answer; points that were taken back are negative.

    `secret`, the installation's, names the journal.
    """
    version = answer.get("version")  # not in an answer from before there was one
    return Receipt(
        effect=effect,
        journal=journal_name(secret, account_id, msgspec.convert(answer["journal_id"], UUID)),
        partner=facts["partner"],
        points=str(points),
        programme=facts["programme"],
        unit="points",
        version=None if version is None else str(version),
        window=str(answer["window_no"]),
    )


async def replay(write: Write) -> dict[str, Any] | None:
    """Return what the caller was answered for this key and content, or None; raises IdempotencyKeyReused.

    A retry is answered before its proof is looked at again: a pay code has run out by then.
    """
    known = await answered(pool(), write.caller.name, write.key, write.content_hash)
    if known is None:
        return None
    answer: dict[str, Any] = msgspec.json.decode(known.body)
    return answer


async def reserve(runtime: Runtime, write: Write, asked: NewRedemption) -> tuple[Redemption, bool]:
    """Reserve points for a till; returns (the redemption, whether it was answered before).

    Raises ProofMissing, ProofInvalid, InvalidInput, UnknownMember, UnknownPlace, ContractMissing, CurrencyMismatch,
    AttestedCapReached, InsufficientBalance, ProofAlreadyUsed, IdempotencyKeyReused.
    """
    partner_id = write.caller.partner_id
    assert partner_id is not None, "redemptions are asked for by partners"  # noqa: S101  # the guard saw to it
    secret, headroom = runtime.keys.secret, runtime[AttestedHeadroom]
    try:
        member_id, proof_kind, proof_ref = await _shown(runtime, write, asked)
        place_id = ids.private("pla", asked.place) if asked.place else None
    except ValueError as error:
        raise invalid_field("/place", str(error)) from None
    except Problem:
        if (answer := await replay(write)) is not None:
            return await _replayed(secret, partner_id, answer), True
        raise
    facts = await pool().fetchrow(statements["till_facts"], partner_id, member_id, place_id, machine_now())
    points = _check(facts, asked, place_id)
    today = business_date(facts["now"], facts["time_zone"])
    if proof_kind == "staff":
        if (answer := await replay(write)) is not None:
            return await _replayed(secret, partner_id, answer), True
        await headroom.take(partner_id, today, points, facts["attested_points_per_day"])
    hold = Hold(
        caller=write.caller.name, key=write.key, content_hash=write.content_hash, account_id=facts["account_id"],
        unit_id=facts["unit_id"], occurred_at=facts["now"], member_id=member_id, place_id=place_id,
        partner_id=partner_id, version=facts["version"], points=points, today=today, proof_kind=proof_kind,
        proof_ref=proof_ref, hold_expires_at=facts["now"] + timedelta(seconds=model.HOLD_LIFETIME_SECONDS),
        sealed_receipt=sealed_text(runtime.keys.masters, member_id, facts, RECEIPT, asked.receipt),
        attested_by=asked.proof.staff.name if asked.proof and asked.proof.staff else None,
    )  # fmt: skip
    outcome = await runtime[Ledger].post(facts["programme_id"], hold)
    if proof_kind == "staff" and outcome.status != "posted":
        await headroom.give_back(partner_id, today, points, facts["attested_points_per_day"])
    require_posted(outcome)
    return _redemption(secret, facts, facts["account_id"], outcome, "reserved"), outcome.status == "replayed"


async def _shown(
    runtime: Runtime, write: Write, asked: NewRedemption
) -> tuple[int, Literal["pay_code", "card", "staff"], str | None]:
    """Return (member, kind of proof, its reference when it may be shown only once)."""
    proof = asked.proof or Proof()
    if len(proof.given()) != 1:
        raise ProofMissing(errors=[field_error("/proof", "give exactly one of pay_code, card, staff")])
    named = id_in_field("mem", asked.member, "/member") if asked.member else None
    if proof.pay_code is not None:
        shown, reference = verify(proof.pay_code, runtime.keys.secret, machine_now())
        if named not in {None, shown}:
            raise ProofInvalid
        return shown, "pay_code", reference
    if proof.card is not None:
        programme_id = write.caller.programme_id
        owner_of = runtime[CardProofs].owner_of
        owner = await owner_of(programme_id, proof.card.source, proof.card.token) if owner_of and programme_id else None
        if owner is None or named not in {None, owner}:
            raise ProofInvalid
        return owner, "card", None
    if named is None:
        raise invalid_field("/member", "name the member that staff attest")
    return named, "staff", None


def _check(facts: asyncpg.Record, asked: NewRedemption, place_id: int | None) -> int:
    """Return the points that are asked for; raises the refusals that need no ledger."""
    if facts["account_id"] is None:
        raise UnknownMember
    if place_id is not None and not facts["own_place"]:
        raise UnknownPlace
    if facts["version"] is None:
        raise ContractMissing(partner=facts["partner"])
    if (asked.points is None) == (asked.amount_minor is None):
        raise invalid_field("/points", "give either points or amount_minor with currency")
    if asked.amount_minor is not None:
        if asked.currency is None:
            raise invalid_field("/currency", "an amount needs its currency")
        if asked.currency != facts["settlement_currency"]:
            raise CurrencyMismatch(currency=asked.currency, programme_currency=facts["settlement_currency"])
        face_value = Fraction(facts["face_value_num"], facts["face_value_den"])
        # Rounded up: the till is never given more money's worth than points were burnt for.
        return math.ceil(asked.amount_minor / face_value)
    assert asked.points is not None  # noqa: S101  # one of the two was given
    if asked.currency is not None:
        raise invalid_field("/currency", "points have no currency; it goes with amount_minor")
    return asked.points


async def end(
    runtime: Runtime, write: Write, redemption: str, state: Literal["captured", "released"]
) -> tuple[Redemption, bool]:
    """Capture a redemption whole, or release it; returns (the redemption, whether it was answered before).

    Raises UnknownRedemption, RedemptionNotOpen, IdempotencyKeyReused.
    """
    account_id, hold_id = record_in_path("red", redemption, UnknownRedemption)
    partner_id = write.caller.partner_id
    assert partner_id is not None, "redemptions are ended by partners"  # noqa: S101  # the guard saw to it
    facts = await pool().fetchrow(statements["till_facts"], partner_id, None, None, machine_now())
    kind = Capture if state == "captured" else Release
    command = kind(
        caller=write.caller.name, key=write.key, content_hash=write.content_hash, account_id=account_id,
        unit_id=facts["unit_id"], occurred_at=facts["now"], partner_id=partner_id, hold_id=hold_id,
    )  # fmt: skip
    outcome = await runtime[Ledger].post(facts["programme_id"], command)
    if outcome.answer.get("code") == "unknown-account":
        raise UnknownRedemption
    require_posted(outcome)
    return _redemption(runtime.keys.secret, facts, account_id, outcome, state), outcome.status == "replayed"


async def read(masters: MasterKeys, partner_id: int, redemption: str) -> RedemptionRecord:
    """Return one of a partner's redemptions, without the till's receipt of a member who was erased.

    Raises UnknownRedemption, and Unreadable for a receipt that was changed.
    """
    account_id, hold_id = record_in_path("red", redemption, UnknownRedemption)
    row = await pool().fetchrow(statements["redemption"], account_id, hold_id, partner_id)
    if row is None:
        raise UnknownRedemption
    return RedemptionRecord(
        redemption=redemption,
        state="reversed" if row["reversed"] else row["state"],
        points=row["amount"],
        proof=row["proof_kind"],
        attested_by=row["attested_by"],
        place=None if row["place_id"] is None else ids.public("pla", row["place_id"]),
        receipt=await _receipt_of(masters, row),
        occurred_at=row["occurred_at"],
        expires_at=row["expires_at"],
    )


async def _receipt_of(masters: MasterKeys, row: asyncpg.Record) -> str | None:
    if row["sealed_receipt"] is None:
        return None
    async with pool().acquire() as connection:
        key = await key_of(connection, masters, row["member_id"])
    return None if key is None else key.open(RECEIPT, row["sealed_receipt"])


async def _replayed(secret: bytes, partner_id: int, answer: dict[str, Any]) -> Redemption:
    facts = await pool().fetchrow(statements["till_facts"], partner_id, None, None, machine_now())
    return _redemption(secret, facts, answer["account_id"], Outcome(status="replayed", answer=answer), "reserved")


def _redemption(
    secret: bytes,
    facts: asyncpg.Record,
    account_id: int,
    outcome: Outcome,
    state: Literal["reserved", "captured", "released"],
) -> Redemption:
    effect: dict[str, Literal["held", "accepted", "released"]] = {
        "reserved": "held", "captured": "accepted", "released": "released",
    }  # fmt: skip
    expires_at = outcome.answer.get("expires_at")
    return Redemption(
        redemption=ids.public_record("red", account_id, msgspec.convert(outcome.answer["hold_id"], UUID)),
        state=state,
        points=outcome.answer["points"],
        balance=outcome.answer["balance"],
        expires_at=msgspec.convert(expires_at, datetime).isoformat() if expires_at else None,
        receipt=receipt(secret, facts, account_id, outcome.answer, effect[state], points=outcome.answer["points"]),
    )
