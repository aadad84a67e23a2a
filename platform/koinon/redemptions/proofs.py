"""Proofs: points are burnt only when the member is shown to be there (a pay code, the card, or staff who attest)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from fractions import Fraction
from typing import Any

import msgspec

from koinon.database import beside, pool
from koinon.fields import Line, SourceId, Token
from koinon.members.pay_codes import PayCodeText
from koinon.problems import NotAllowed, Refused

SLICES_PER_DAY = 20

statements = beside(__file__)

OwnerOf = Callable[[int, str, str], Awaitable[int | None]]
"""(programme, source, token) → the member whose card it is now, or None."""


class CardProofs:
    """Whose card a till was shown, told by the context that links cards; without one, no card proves anything."""

    owner_of: OwnerOf | None = None


class ProofInvalid(NotAllowed):
    """The proof does not show that this member is at the till."""

    code = "proof-invalid"
    title = "The proof does not belong to this member"


class AttestedCapReached(Refused):
    """Staff-attested redemptions of the day have reached the partner's cap."""

    code = "attested-cap-reached"
    title = "The day's cap for redemptions that staff attest is used up; ask for a pay code or the card"


class CardShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The card just presented: the source that made the token, and the token."""

    source: SourceId
    token: Token


class StaffWord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The member of staff who attests, as the partner names them; capped by brand and day, at the brand's risk."""

    name: Line


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Exactly one of: the member's pay code, the card just presented, the word of a member of staff."""

    pay_code: PayCodeText | None = None
    card: CardShown | None = None
    staff: StaffWord | None = None

    def given(self) -> list[Any]:
        """Return the proofs that were given."""
        return [proof for proof in (self.pay_code, self.card, self.staff) if proof is not None]


class AttestedHeadroom:
    """A process's leased part of the partners' daily caps: no row is shared by two tills of different processes.

    A slice is leased before it is used, so the cap is never overrun; what a process has leased and not used when it
    ends is lost for that day (at most cap / SLICES_PER_DAY, or the points of one redemption if that is more).
    """

    def __init__(self) -> None:
        self._left: dict[tuple[int, date], int] = {}
        self._leasing = asyncio.Lock()

    async def take(self, partner_id: int, day: date, points: int, cap: int) -> None:
        """Take headroom for a redemption; raises AttestedCapReached."""
        key = (partner_id, day)
        async with self._leasing:
            left = self._left.get(key, 0)
            if left < points:
                left += await self._lease(key, points - left, cap)
            self._left[key] = left
            if left < points:
                raise AttestedCapReached(cap=cap, business_date=day.isoformat())
            self._left[key] = left - points

    async def give_back(self, partner_id: int, day: date, points: int, cap: int) -> None:
        """Give headroom back that a refused redemption did not use: beyond a slice, to the other processes too."""
        key = (partner_id, day)
        async with self._leasing:
            self._left[key] = self._left.get(key, 0) + points
            surplus = self._left[key] - _slice(cap)
            if surplus > 0:
                await pool().execute(statements["return_attested"], *key, surplus)
                self._left[key] -= surplus

    async def _lease(self, key: tuple[int, date], wanted: int, cap: int) -> int:
        for size in (max(wanted, _slice(cap)), wanted):
            if await pool().fetchval(statements["lease_attested"], *key, size, cap) is not None:
                return size
        return 0


def _slice(cap: int) -> int:
    return int(Fraction(cap, SLICES_PER_DAY))
