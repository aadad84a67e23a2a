"""What can be posted to the ledger, and what is answered.

One command touches one account. `caller` and `key` are the scope of idempotency; `content_hash` is the SHA-256 of
the request's content. Points are whole, positive numbers; days and instants are business time, given by the caller.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

Status = Literal["posted", "replayed", "conflict", "refused"]
HOLD_LIFETIME_SECONDS = 30 * 60


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What every command says: who asks, for which account and unit, and when it happened."""

    caller: str
    key: str
    content_hash: str
    account_id: int
    unit_id: int
    occurred_at: datetime
    member_id: int | None = None
    place_id: int | None = None
    reason: str | None = None


class Earn(Command, frozen=True, kw_only=True, tag_field="kind", tag="earn"):
    """Give points of an issuer, as one lot under one version of its contract; `expires_on` None never expires."""

    partner_id: int
    version: int
    points: int
    expires_on: date | None = None
    purchase_id: UUID | None = None


class Hold(Command, frozen=True, kw_only=True, tag_field="kind", tag="hold"):
    """Reserve points for a till, soonest expiry first; refused above the balance or with a proof that was used.

    `today` is the business date: lots that are due on it are not spent any more. `sealed_receipt` is the till's own
    number under the member's key, `attested_by` the member of staff whose word is the proof.
    """

    partner_id: int
    version: int
    points: int
    today: date
    proof_kind: Literal["pay_code", "card", "staff"]
    proof_ref: str | None = None
    hold_expires_at: datetime
    sealed_receipt: bytes | None = None
    attested_by: str | None = None


class Capture(Command, frozen=True, kw_only=True, tag_field="kind", tag="capture"):
    """Burn what a hold holds, whole, at the partner that reserved it."""

    partner_id: int
    hold_id: UUID


class Release(Command, frozen=True, kw_only=True, tag_field="kind", tag="release"):
    """Give back what a hold holds; without `partner_id` the platform releases a hold that ran out."""

    hold_id: UUID
    partner_id: int | None = None


class ReverseEarn(Command, frozen=True, kw_only=True, tag_field="kind", tag="reverse_earn"):
    """Take back points of one earn (`reverses`, whole) or of a purchase (`purchase_id`, `points` of it).

    Points that were spent meanwhile: `refuse`, or `clip` to what is left.
    """

    partner_id: int
    reverses: UUID | None = None
    purchase_id: UUID | None = None
    points: int | None = None
    shortfall: Literal["refuse", "clip"] = "refuse"


class ReverseBurn(Command, frozen=True, kw_only=True, tag_field="kind", tag="reverse_burn"):
    """Undo a capture whole: the same lots get back what they gave."""

    partner_id: int
    reverses: UUID


class Expire(Command, frozen=True, kw_only=True, tag_field="kind", tag="expire"):
    """Expire every lot of an account that is due on `today` and not held."""

    today: date


AnyCommand = Earn | Hold | Capture | Release | ReverseEarn | ReverseBurn | Expire


class Outcome(msgspec.Struct, frozen=True):
    """What became of a command.

    `posted` or `replayed`: `answer` holds journal_id, window_no, points, balance and more by kind.
    `conflict` or `refused`: `answer` holds code and the facts; nothing was changed.
    """

    status: Status
    answer: dict[str, Any]


_encoder = msgspec.json.Encoder()


def encode(commands: Sequence[AnyCommand]) -> str:
    """Return the commands as the JSON that `ledger.post` reads, each with its position from 0."""
    objects = [
        b'{"position":' + str(position).encode() + b"," + _encoder.encode(command)[1:]
        for position, command in enumerate(commands)
    ]
    return (b"[" + b",".join(objects) + b"]").decode()
