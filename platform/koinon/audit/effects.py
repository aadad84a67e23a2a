"""What each party to a journal may see of it: the effects on issuers and acceptors, by the journal's kind."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from koinon.audit.model import Effect


class NoLeaf(ValueError):
    """A journal cannot become a leaf; the message says why, in words for the operator."""


class Part(Struct, frozen=True):
    """A journal's movements between the same parties and versions, summed."""

    issuer_id: int
    issuer_version: int
    acceptor_id: int | None
    acceptor_version: int | None
    points: int


class LoggedJournal(Struct, frozen=True, kw_only=True):
    """A journal that is to become a leaf."""

    account_id: int
    journal_id: UUID
    kind: str
    recorded_at: datetime
    programme_id: int
    window_no: int
    unit_id: int
    parts: tuple[Part, ...]


class EffectOn(Struct, frozen=True, kw_only=True):
    """One effect on one partner; effects of one `piece` are the two sides of the same points."""

    partner_id: int
    effect: Effect
    points: int
    version: int
    counterparty_id: int | None = None
    counterparty_version: int | None = None
    piece: int | None = None


ISSUER_EFFECTS = {"earn": (Effect.ISSUED, 1), "reverse_earn": (Effect.ISSUED, -1), "expire": (Effect.EXPIRED, 1)}
BURN_SIGNS = {"capture": 1, "reverse_burn": -1}
TILL_EFFECTS = {"hold": Effect.HELD, "release": Effect.RELEASED}


def effects(journal: LoggedJournal) -> list[EffectOn]:
    """Return the effects of a journal on its parties, in a fixed order.

    Raises NoLeaf for a kind that no party is known to see, and for points that nobody accepted.
    """
    if journal.kind in ISSUER_EFFECTS:
        effect, sign = ISSUER_EFFECTS[journal.kind]
        return [
            EffectOn(partner_id=issuer, effect=effect, points=sign * points, version=version)
            for issuer, version, points in _by_issuer(journal.parts)
        ]
    if journal.kind in BURN_SIGNS:
        return _burnt(journal.parts, BURN_SIGNS[journal.kind])
    if journal.kind in TILL_EFFECTS:
        first = journal.parts[0]
        return [
            EffectOn(
                partner_id=_some(first.acceptor_id),
                effect=TILL_EFFECTS[journal.kind],
                points=sum(part.points for part in journal.parts),
                version=_some(first.acceptor_version),
            )
        ]
    raise NoLeaf(f"nobody is known to see a journal of kind {journal.kind}")


def _by_issuer(parts: Iterable[Part]) -> list[tuple[int, int, int]]:
    sums: dict[tuple[int, int], int] = {}
    for part in parts:
        key = (part.issuer_id, part.issuer_version)
        sums[key] = sums.get(key, 0) + part.points
    return [(issuer, version, points) for (issuer, version), points in sums.items()]


def _burnt(parts: Sequence[Part], sign: int) -> list[EffectOn]:
    seen: list[EffectOn] = []
    for piece, part in enumerate(parts):
        acceptor, acceptor_version = _some(part.acceptor_id), _some(part.acceptor_version)
        seen.append(
            EffectOn(
                partner_id=part.issuer_id,
                effect=Effect.HONOURED,
                points=sign * part.points,
                version=part.issuer_version,
                counterparty_id=acceptor,
                counterparty_version=acceptor_version,
                piece=piece,
            )
        )
        seen.append(
            EffectOn(
                partner_id=acceptor,
                effect=Effect.ACCEPTED,
                points=sign * part.points,
                version=acceptor_version,
                counterparty_id=part.issuer_id,
                counterparty_version=part.issuer_version,
                piece=piece,
            )
        )
    return seen


def _some(value: int | None) -> int:
    if value is None:
        raise NoLeaf("a till's movement names its acceptor and version")
    return value
