"""Tills' earnings and reversals, sources' card links and feeds, over HTTP."""

from typing import Any, ClassVar

import msgspec
from litestar import Request, Response, Router, post
from litestar.params import FromPath, JSONBody

from koinon import ids
from koinon.callers.guards import require
from koinon.callers.model import Caller
from koinon.database.gather import OutcomeUnknown, TooManyWaiting
from koinon.http.bodies import read_body
from koinon.http.card_numbers import CHECKED_BY_HANDLER, MESSAGE, CardNumberRefused, found_in_json
from koinon.http.openapi import Keyed, Signed, answers, writes
from koinon.http.requests import Write, answer, once, request_hash, write_of
from koinon.identity.sources import Source, Sources, UnknownSource, verify_source
from koinon.identity.webhook_signatures import SignatureInvalid, TimestampStale
from koinon.ledger.operations import AlreadyReversed, PointsAlreadySpent, UnknownEarning, UnknownRedemption
from koinon.members.operations import UnknownMember
from koinon.parties.operations import ContractMissing
from koinon.places.operations import UnknownPlace
from koinon.problems import AnswerNoLongerKept, IdempotencyKeyReused, InvalidInput, field_error, invalid_field
from koinon.runtime import runtime_of
from offers.cards.operations import Card, CardAssertion, CardEnd, CardTaken, UnknownCard, link, unlink
from offers.feeds.operations import ReadableBatch, Verdicts, read_batch, take_batch
from offers.purchases.earnings import Earning, Earnings
from offers.purchases.reversals import NewReversal, Reversal, record
from offers.purchases.sightings import NewEarning
from offers.purchases.tenders import PurchaseAlreadyReported, TenderOfAnotherMember

Asking = Request[Caller, Any, Any]
decode_card = msgspec.json.Decoder(CardAssertion).decode
decode_end = msgspec.json.Decoder(CardEnd).decode
encoder = msgspec.json.Encoder()


class SignedAssertion(Signed):
    """A signed card link."""

    body = CardAssertion


class SignedEnd(Signed):
    """A signed end of a card link."""

    body = CardEnd


class SignedBatch(Signed):
    """A signed batch; its path names the source."""

    body = ReadableBatch
    example: ClassVar[Any] = {
        "messages": [{"merchant": {"mid": "000000012345678", "acquirer_id": "400123", "descriptor": "CORNER GROCER"}}]
    }
    source_in_header = False


@post(
    "/earnings",
    guards=[require("earnings:write")],
    operation_id="recordEarning",
    summary="Report a purchase at a till",
    tags=["till"],
    operation_class=Keyed,
    responses=writes(
        201,
        Earning,
        UnknownMember,
        UnknownPlace,
        UnknownSource,
        ContractMissing,
        TenderOfAnotherMember,
        PurchaseAlreadyReported,
        TooManyWaiting,
        OutcomeUnknown,
    ),
)
async def record_earning(request: Asking, data: JSONBody[NewEarning]) -> Response[bytes]:
    """Record a purchase; the member has its points when this is answered.

    A purchase that the card reports too is rewarded once: `tender` says which card it was.
    """
    given = await runtime_of(request)[Earnings].earn(await write_of(request, data), data)
    assert given.body is not None, "a refusal was raised"  # noqa: S101  # `earn` saw to it
    return answer(given.body, 201, replayed=given.replayed)


@post(
    "/reversals",
    guards=[require("reversals:write")],
    operation_id="recordReversal",
    summary="Take back an earning or a captured redemption",
    tags=["till"],
    operation_class=Keyed,
    responses=writes(
        201,
        Reversal,
        UnknownEarning,
        UnknownRedemption,
        AlreadyReversed,
        PointsAlreadySpent,
        example={"receipts": [{"points": "-250"}]},
    ),
)
async def record_reversal(request: Asking, data: JSONBody[NewReversal]) -> Response[bytes]:
    """Take back an earning whose points are unspent, or give a redemption's points back to the same lots."""
    return await record(runtime_of(request).keys.secret, await write_of(request, data), data)


@post(
    "/cards",
    opt={"public": True, "signed": True},
    operation_id="linkCard",
    summary="Assert that a card token is a member's",
    tags=["processor"],
    operation_class=SignedAssertion,
    responses=answers(
        201,
        Card,
        InvalidInput,
        SignatureInvalid,
        TimestampStale,
        IdempotencyKeyReused,
        AnswerNoLongerKept,
        UnknownMember,
        CardTaken,
    ),
)
async def link_card(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Link a token to a member: signed by the source that made the token (`Koinon-Source` names it).

    Body: `member`, `token`, optionally `par`, `last4`, `network`. The `webhook-id` is the idempotency key.
    """
    source, write, body = await _signed(request, request.headers.get("Koinon-Source", ""))
    asserted = read_body(decode_card, body)
    return await once(write, 201, lambda connection: link(connection, source.programme_id, source.source_id, asserted))


@post(
    "/cards/{card:str}/ends",
    opt={"public": True, "signed": True},
    operation_id="unlinkCard",
    summary="End a card link",
    tags=["processor"],
    operation_class=SignedEnd,
    responses=answers(
        201, Card, InvalidInput, SignatureInvalid, TimestampStale, IdempotencyKeyReused, AnswerNoLongerKept, UnknownCard
    ),
)
async def unlink_card(request: Request[Any, Any, Any], card: FromPath[str]) -> Response[bytes]:
    """End a link: nothing that happens from now on is taken in. Signed as the link was; the body is `{"card": …}`.

    What a source signed for another purpose ends nothing.
    """
    source, write, body = await _signed(request, request.headers.get("Koinon-Source", ""))
    if read_body(decode_end, body).card != card:
        raise invalid_field("/card", "the body names another link than the path")
    return await once(write, 201, lambda connection: unlink(connection, source.programme_id, source.source_id, card))


@post(
    "/feeds/{source:str}/transactions",
    opt={"public": True, "signed": True, CHECKED_BY_HANDLER: True},
    operation_id="postTransactions",
    summary="Post 1 to 500 card messages",
    tags=["processor"],
    status_code=202,
    operation_class=SignedBatch,
    responses=answers(202, Verdicts, InvalidInput, SignatureInvalid, TimestampStale),
)
async def post_transactions(request: Request[Any, Any, Any], source: FromPath[str]) -> Response[bytes]:
    """Take a batch in and answer each message for itself, once it is durable.

    Body: `{"messages": […]}`, signed by Standard Webhooks over the raw bytes. A message is known by its `message_id`,
    so a batch may be sent again as it is, or mixed with others.
    """
    known, _, body = await _signed(request, source)
    try:
        batch = read_batch(body)
    except InvalidInput:
        # The firewall left the body to the messages: what is wrong around them may be a card number, and is not echoed.
        if pointers := found_in_json(body):
            raise CardNumberRefused(errors=[field_error(each, MESSAGE, "card-number") for each in pointers]) from None
        raise
    verdicts = await take_batch(known.programme_id, known.source_id, batch)
    return Response(encoder.encode(verdicts), status_code=202, media_type="application/json")


async def _signed(request: Request[Any, Any, Any], name: str) -> tuple[Source, Write, bytes]:
    """Return the source that signed a request, the write that it asks for, and the raw body.

    Raises SignatureInvalid, TimestampStale; a source that nobody knows is answered as a signature that nobody made.
    """
    body = await request.body()
    if not name:
        raise SignatureInvalid("Koinon-Source is missing: it names the source that signed")
    try:
        source = await runtime_of(request)[Sources].load(ids.private("src", name))
    except (ValueError, UnknownSource):
        raise SignatureInvalid from None
    webhook_id = verify_source(request.headers, body, source)
    if len(webhook_id) > 255:
        raise InvalidInput("webhook-id has at most 255 characters")
    return source, Write(caller=source.caller, key=webhook_id, content_hash=request_hash(request, body)), body


router = Router("/v1", route_handlers=[record_earning, record_reversal, link_card, unlink_card, post_transactions])
