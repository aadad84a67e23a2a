"""The feed: card messages that a source posts, each answered for itself and durable when it is answered."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from koinon import ids
from koinon.clock import business_now
from koinon.database import beside, pool, transaction
from koinon.http.bodies import read_body
from koinon.http.card_numbers import MESSAGE, found_in_json
from offers.feeds.faults import Fault
from offers.feeds.messages import CardMessage, card_key
from offers.feeds.nesting import DEPTH_MAXIMUM, shallow
from offers.feeds.reading import RefusedMessage, content_hash, in_the_future, read_message, too_old
from offers.feeds.retention import MESSAGES_KEPT_FOR

statements = beside(__file__)

MESSAGES_MAXIMUM = 500
FUTURE_MAXIMUM = timedelta(days=1)
"""How far a processor's times may run ahead of the programme's: some send a local time as if it were UTC."""


class FeedBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """1 to 500 card messages, as their processor says them."""

    messages: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MESSAGES_MAXIMUM)]


class ReadableBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a batch holds, for whoever reads the interface's description; its messages are read one by one."""

    messages: Annotated[list[CardMessage], Meta(min_length=1, max_length=MESSAGES_MAXIMUM)]


_decode = msgspec.json.Decoder(FeedBatch).decode


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one message of a batch.

    `accepted` and `duplicate` are durable; `conflict`: the id was used for another content; `refused`: see `errors`.
    """

    position: Annotated[int, Meta(examples=[0])]
    message_id: Annotated[str, Meta(examples=["msg-7f3a91"])] | None
    verdict: Literal["accepted", "duplicate", "conflict", "refused"]
    errors: tuple[Fault, ...] = ()


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a batch: counts, and a verdict a message in the order of the batch."""

    accepted: Annotated[int, Meta(examples=[1])]
    duplicate: Annotated[int, Meta(examples=[0])]
    conflict: Annotated[int, Meta(examples=[0])]
    refused: Annotated[int, Meta(examples=[0])]
    verdicts: Annotated[
        tuple[Verdict, ...], Meta(examples=[[{"position": 0, "message_id": "msg-7f3a91", "verdict": "accepted"}]])
    ]


class Read(msgspec.Struct, frozen=True):
    """A message that could be read, at its place in the batch."""

    position: int
    message: CardMessage
    digest: bytes


def read_batch(body: bytes) -> FeedBatch:
    """Return a batch with its messages unread; raises InvalidInput.

    A message that is nested too deeply for any reader is cut: it is still too deep, and refused for itself alone.
    """
    try:
        return _decode(body)
    except RecursionError:
        # The batch and its list stand around a message.
        return read_body(_decode, shallow(body, DEPTH_MAXIMUM + 3))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return read_body(_decode, body)


async def take_batch(programme_id: int, source_id: int, batch: FeedBatch) -> Verdicts:
    """Put the messages of a batch into the inbox, in one transaction, and answer each.

    A message that is refused leaves no trace; the others stand.
    """
    verdicts: dict[int, Verdict] = {}
    read: list[Read] = []
    now = business_now(await pool().fetchval(statements["clock"], programme_id))
    earliest, latest = now - MESSAGES_KEPT_FOR, now + FUTURE_MAXIMUM
    for position, each in enumerate(batch.messages):
        raw = shallow(bytes(each), DEPTH_MAXIMUM + 1)
        message = _without_card_number(raw) or read_message(raw, str(source_id), ids.public("src", source_id))
        if isinstance(message, CardMessage) and message.occurred_at > latest:
            message = in_the_future(message)
        elif isinstance(message, CardMessage) and message.occurred_at < earliest:
            message = too_old(message)
        if isinstance(message, RefusedMessage):
            verdicts[position] = Verdict(
                position=position, message_id=message.message_id, verdict="refused", errors=message.faults
            )
        else:
            read.append(Read(position, message, content_hash(raw)))
    if read:
        for taken, verdict in zip(read, await _store(programme_id, source_id, read), strict=True):
            verdicts[taken.position] = Verdict(
                position=taken.position, message_id=taken.message.message_id, verdict=verdict
            )
    ordered = tuple(verdicts[position] for position in range(len(batch.messages)))
    counts = {name: sum(each.verdict == name for each in ordered) for name in ("accepted", "duplicate", "conflict")}
    return Verdicts(refused=len(ordered) - sum(counts.values()), verdicts=ordered, **counts)


def _without_card_number(raw: bytes) -> RefusedMessage | None:
    """Return the refusal of a message that holds what looks like a card number anywhere, by its place alone."""
    pointers = found_in_json(raw)
    if not pointers:
        return None
    return RefusedMessage(None, tuple(Fault(pointer, "card-number", MESSAGE) for pointer in pointers))


async def _store(
    programme_id: int, source_id: int, read: Sequence[Read]
) -> list[Literal["accepted", "duplicate", "conflict"]]:
    # Sorted by id, so that two batches that share messages wait for each other in one order only.
    ordered = sorted(read, key=lambda each: (each.message.message_id, each.position))
    async with transaction() as connection:
        fresh = {
            row["message_id"]
            for row in await connection.fetch(
                statements["take_messages"],
                source_id,
                programme_id,
                [each.message.message_id for each in ordered],
                [each.digest for each in ordered],
                [card_key(programme_id, source_id, each.message.card_token) for each in ordered],
                [msgspec.json.encode(each.message).decode() for each in ordered],
                [each.message.occurred_at for each in ordered],
            )
        }
        known = {
            row["message_id"]: row["content_hash"]
            for row in await connection.fetch(
                statements["known_messages"], source_id, [each.message.message_id for each in read]
            )
        }
    verdicts: list[Literal["accepted", "duplicate", "conflict"]] = []
    for each in read:
        message_id = each.message.message_id
        if known[message_id] != each.digest:
            verdicts.append("conflict")
        elif message_id in fresh:
            fresh.discard(message_id)
            verdicts.append("accepted")
        else:
            verdicts.append("duplicate")
    return verdicts
