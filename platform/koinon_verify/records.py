"""What the lines of a bundle say, once each of them has held by itself."""

from dataclasses import dataclass, field
from fractions import Fraction

from koinon_verify.notes import Checkpoint, Key

MONEY_EFFECTS = ("accepted", "expired", "honoured", "issued")
EFFECTS = frozenset((*MONEY_EFFECTS, "held", "released"))
SHARED_EFFECTS = frozenset({"accepted", "honoured"})
"""Effects that have another side: an issuer's points at an acceptor's till, which the two may share."""

TILL_EFFECTS = frozenset({"accepted", "held"})
"""Effects that nothing but the partner's own calls make."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom and when a line is about."""

    partner: str
    programme: str
    window: int

    def __str__(self) -> str:
        return f"{self.partner}, {self.programme}, window {self.window}"


@dataclass(frozen=True, slots=True)
class Head:
    """The first line: whose bundle it is, and from which log."""

    identity: Identity
    origin: str
    key: Key
    version: str = "1"


@dataclass(frozen=True, slots=True)
class Consistency:
    """The proof that the bundle's log extends the one of an earlier window's bundle, which had `size` leaves."""

    line: int
    window: int
    size: int
    proof: list[bytes]


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract version: prices in minor units per point; `digest` is the SHA-256 of its line in hexadecimal."""

    line: int
    partner: str
    version: int
    price: Fraction
    fee: Fraction
    issue_share: Fraction
    honour: Fraction
    currency: str
    effective_from: str
    digest: str

    @property
    def terms(self) -> dict[str, str]:
        """Return what was agreed, in the bundle's own words."""
        return {
            "price": str(self.price),
            "fee": str(self.fee),
            "issue_share": str(self.issue_share),
            "honour": str(self.honour),
            "currency": self.currency,
            "effective_from": self.effective_from,
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect of a journal on the partner."""

    line: int
    index: int
    slot: str
    identity: Identity
    counter: int
    effect: str
    journal: str
    points: int
    unit: str
    version: int
    shared_slot: str | None


@dataclass(frozen=True, slots=True)
class Seal:
    """What the window's seal says of the partner."""

    line: int
    index: int
    identity: Identity
    counter: int
    points: dict[str, int]
    outstanding: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A cell of the statement; amounts in minor units."""

    leg: str
    debtor: str
    creditor: str
    version: int
    rate: Fraction
    points_before: int
    billed_before: int
    points: int
    amount: int

    @property
    def cell(self) -> tuple[str, int, str, str]:
        """Return what the cell is billed by: leg, version, debtor and creditor."""
        return self.leg, self.version, self.debtor, self.creditor


@dataclass(frozen=True, slots=True)
class Statement:
    """The partner's bill; amounts in minor units of a currency with that exponent."""

    line: int
    index: int
    identity: Identity
    business_date: str
    currency: str
    exponent: int
    points: dict[str, int]
    contracts: dict[int, str]
    lines: list[StatementLine]
    pays: int
    receives: int
    net: int


@dataclass(slots=True)
class Bundle:
    """A bundle as far as it could be read; an entry or contract that was refused stands as None.

    `whole` is False when reading stopped before the end: too many lines did not hold, or one was too long.
    """

    file: str
    head: Head | None = None
    checkpoint: Checkpoint | None = None
    consistency: Consistency | None = None
    contracts: list[Contract | None] = field(default_factory=list)
    entries: list[Entry | None] = field(default_factory=list)
    seal: Seal | None = None
    statement: Statement | None = None
    whole: bool = True

    @property
    def identity(self) -> Identity | None:
        """Return whom the bundle is about: the log's word (the seal) before the file's (its first line)."""
        if self.seal is not None:
            return self.seal.identity
        return None if self.head is None else self.head.identity
