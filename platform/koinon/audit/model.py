"""What is committed to in the log: the shapes of contents, contracts, seals and statements.

Every value is text, every key ASCII, so that msgspec's sorted output is canonical JSON (RFC 8785) byte for
byte. Partners and programmes are named by their codes; points and amounts are whole numbers in decimal,
amounts in minor units; rates are `n` or `n/d` in lowest terms.
"""

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType


class Effect(StrEnum):
    """What a journal did to one party; a reversal carries negative points."""

    ISSUED = "issued"
    HONOURED = "honoured"
    EXPIRED = "expired"
    ACCEPTED = "accepted"
    HELD = "held"
    RELEASED = "released"


class JournalFacts(Struct, frozen=True, kw_only=True):
    """What every party to a journal may know of it: its name, time, programme and window.

    `at` is RFC 3339 in UTC; its hour alone stands openly in the leaf.
    """

    journal: str
    at: str
    programme: str
    window: int


class PartyEffect(Struct, frozen=True, kw_only=True):
    """One effect of a journal on one party.

    `version` is the party's own contract version; `counter` is dense per partner and window, from 1; effects
    with the same `piece` are the two sides of the same points, and their parties share a commitment to it.
    """

    partner: str
    effect: Effect
    points: int
    unit: str
    version: int
    counter: int
    piece: int | None = None


class EffectContent(Struct, frozen=True, kw_only=True):
    """The content of a party's commitment in a journal leaf in one of its slots."""

    at: str
    counter: str
    effect: str
    journal: str
    partner: str
    points: str
    programme: str
    unit: str
    version: str
    window: str
    shared: str | UnsetType = UNSET


class PieceContent(Struct, frozen=True, kw_only=True):
    """The content that two parties share, in a slot of its own: how many points, never whose or at which rate.

    `points` is the absolute number: both sides carry the same sign in their own contents.
    """

    journal: str
    piece: str
    points: str
    programme: str
    unit: str
    window: str


class Opening(Struct, frozen=True):
    """What opens a commitment: its slot in the leaf, its 32-byte salt and the content's canonical bytes."""

    slot: str
    salt: bytes
    content: bytes


class JournalLeaf(Struct, frozen=True):
    """A journal's leaf as it enters the log, and the openings that its parties get.

    `effects` stand in the order of the effects given; `pieces` maps each piece to its opening.
    """

    text: bytes
    effects: tuple[Opening, ...]
    pieces: dict[int, Opening]


class SealContent(Struct, frozen=True, kw_only=True):
    """What the seal of a closed window says to one partner.

    `counter` is the partner's last counter of the window ("0" if none), the four sums are net of reversals,
    `outstanding` is what the partner's issued points still stand at when the window ends.
    """

    accepted: str
    counter: str
    expired: str
    honoured: str
    issued: str
    outstanding: str
    partner: str
    programme: str
    window: str


class ContractReference(Struct, frozen=True, kw_only=True):
    """A contract version named in a statement by the hash of its canonical bytes, in hexadecimal."""

    version: str
    sha256: str


class StatementPoints(Struct, frozen=True, kw_only=True):
    """A window's points of one partner, net of reversals."""

    issued: str
    honoured: str
    accepted: str
    expired: str


class StatementLine(Struct, frozen=True, kw_only=True):
    """A cell of a statement: `amount` = half-even round of rate * (points before + points), less billed before."""

    leg: str
    debtor: str
    creditor: str
    version: str
    rate: str
    points_before: str
    billed_before: str
    points: str
    amount: str


class Statement(Struct, frozen=True, kw_only=True):
    """A partner's bill of one window; it holds no random id, time of recording or signature."""

    programme: str
    partner: str
    window: str
    business_date: str
    currency: str
    exponent: str
    points: StatementPoints
    contracts: tuple[ContractReference, ...]
    lines: tuple[StatementLine, ...]
    pays: str
    receives: str
    net: str
    type: str = "statement"
    v: str = "1"
