"""Redemptions over HTTP."""

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath, JSONBody

from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database.gather import OutcomeUnknown, TooManyWaiting
from koinon.http.openapi import Keyed, reads, writes
from koinon.http.requests import answer, write_of
from koinon.ledger.operations import InsufficientBalance, ProofAlreadyUsed, RedemptionNotOpen, UnknownRedemption
from koinon.members.operations import UnknownMember
from koinon.members.pay_codes import PayCodeExpired, PayCodeInvalid
from koinon.parties.operations import ContractMissing, CurrencyMismatch
from koinon.places.operations import UnknownPlace
from koinon.redemptions.operations import NewRedemption, ProofMissing, Redemption, RedemptionRecord, end, read, reserve
from koinon.redemptions.proofs import AttestedCapReached, ProofInvalid
from koinon.runtime import runtime_of

encoder = msgspec.json.Encoder()


@post(
    "/redemptions",
    guards=[require("redemptions:write")],
    operation_id="reserveRedemption",
    summary="Reserve points at a till",
    operation_class=Keyed,
    responses=writes(
        201,
        Redemption,
        ProofMissing,
        ProofInvalid,
        ProofAlreadyUsed,
        PayCodeInvalid,
        PayCodeExpired,
        AttestedCapReached,
        InsufficientBalance,
        CurrencyMismatch,
        ContractMissing,
        UnknownMember,
        UnknownPlace,
        TooManyWaiting,
        OutcomeUnknown,
        example={"receipt": {"effect": "held", "points": "500"}},
    ),
)
async def reserve_redemption(request: Request[Caller, Any, Any], data: JSONBody[NewRedemption]) -> Response[bytes]:
    """Reserve points, soonest expiry first over all issuers, on proof that the member is there."""
    redemption, replayed = await reserve(runtime_of(request), await write_of(request, data), data)
    return _answer(redemption, replayed=replayed)


@get(
    "/redemptions/{redemption:str}",
    guards=[require("redemptions:write")],
    operation_id="readRedemption",
    summary="Read a redemption",
    responses=reads(UnknownRedemption),
)
async def read_redemption(request: Request[Caller, Any, Any], redemption: FromPath[str]) -> RedemptionRecord:
    """Read one of the brand's own redemptions: its state, its proof, and what the till said of it."""
    partner_id = request.user.partner_id
    assert partner_id is not None, "redemptions are read by partners"  # noqa: S101  # the guard saw to it
    return await read(runtime_of(request).keys.masters, partner_id, redemption)


@post(
    "/redemptions/{redemption:str}/captures",
    guards=[require("redemptions:write")],
    operation_id="captureRedemption",
    summary="Burn what a redemption reserved",
    operation_class=Keyed,
    responses=writes(
        201,
        Redemption,
        UnknownRedemption,
        RedemptionNotOpen,
        TooManyWaiting,
        OutcomeUnknown,
        example={"state": "captured", "expires_at": None, "receipt": {"effect": "accepted", "points": "500"}},
    ),
)
async def capture_redemption(request: Request[Caller, Any, Any], redemption: FromPath[str]) -> Response[bytes]:
    """Burn the reserved points, whole; the acceptor is owed for them from now on."""
    captured, replayed = await end(runtime_of(request), await write_of(request, None), redemption, "captured")
    return _answer(captured, replayed=replayed)


@post(
    "/redemptions/{redemption:str}/releases",
    guards=[require("redemptions:write")],
    operation_id="releaseRedemption",
    summary="Give back what a redemption reserved",
    operation_class=Keyed,
    responses=writes(
        201,
        Redemption,
        UnknownRedemption,
        RedemptionNotOpen,
        TooManyWaiting,
        OutcomeUnknown,
        example={
            "state": "released",
            "balance": 1250,
            "expires_at": None,
            "receipt": {"effect": "released", "points": "500"},
        },
    ),
)
async def release_redemption(request: Request[Caller, Any, Any], redemption: FromPath[str]) -> Response[bytes]:
    """Give the reserved points back to the member."""
    released, replayed = await end(runtime_of(request), await write_of(request, None), redemption, "released")
    return _answer(released, replayed=replayed)


def _answer(redemption: Redemption, *, replayed: bool) -> Response[bytes]:
    return answer(encoder.encode(redemption), 201, replayed=replayed)


router = Router(
    "/v1", route_handlers=[reserve_redemption, read_redemption, capture_redemption, release_redemption], tags=["till"]
)
