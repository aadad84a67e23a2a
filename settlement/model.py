"""What settlement counts: positions, cells, lines, and what a run comes to.

The house stands between all partners: `operator` takes fees, `pool` holds what outstanding points are worth, `margin`
and `breakage` take what is left over. Points are ints, money is ints in minor units, rates are exact ratios.
"""

from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from msgspec import Struct

from koinon.audit.model import Effect
from koinon.money import decimal_text, minor_units
from koinon.parties.model import Terms
from koinon.parties.rates import exact_decimal

OPERATOR = "operator"
POOL = "pool"
MARGIN = "margin"
BREAKAGE = "breakage"


class SettlementError(ValueError):
    """The books do not fit together, so nothing is calculated; the message names what does not fit."""


class Leg(StrEnum):
    """What a line is for."""

    FEE = "fee"
    ISSUE_FUNDING = "issue_funding"
    HONOUR_FUNDING = "honour_funding"
    REIMBURSEMENT = "reimbursement"
    MARGIN = "margin"
    BREAKAGE = "breakage"


class _Shape(Struct, frozen=True):
    """Who pays whom on a leg (None is the partner whose cell it is), and at which rate of its terms."""

    debtor: str | None
    creditor: str | None
    rate: Callable[[Terms], Fraction]


_SHAPES: Mapping[Leg, _Shape] = MappingProxyType(
    {
        Leg.FEE: _Shape(None, OPERATOR, lambda terms: terms.fee),
        Leg.ISSUE_FUNDING: _Shape(None, POOL, lambda terms: terms.issue_funding),
        Leg.HONOUR_FUNDING: _Shape(None, POOL, lambda terms: terms.honour_funding),
        Leg.REIMBURSEMENT: _Shape(POOL, None, lambda terms: terms.honour),
        Leg.MARGIN: _Shape(POOL, MARGIN, lambda terms: terms.funding),
        Leg.BREAKAGE: _Shape(POOL, BREAKAGE, lambda terms: terms.issue_funding),
    }
)

LEGS_OF: Mapping[Effect, tuple[Leg, ...]] = MappingProxyType(
    {
        Effect.ISSUED: (Leg.FEE, Leg.ISSUE_FUNDING),
        Effect.HONOURED: (Leg.HONOUR_FUNDING, Leg.MARGIN),
        Effect.ACCEPTED: (Leg.REIMBURSEMENT,),
        Effect.EXPIRED: (Leg.BREAKAGE,),
        Effect.HELD: (),
        Effect.RELEASED: (),
    }
)
"""The legs that an effect on a partner moves money on."""


class Position(Struct, frozen=True, kw_only=True):
    """A window's points of one effect on one partner under one of its contract versions, net of reversals.

    The counterparty of `honoured` is the acceptor, of `accepted` the issuer; `entries` counts what was summed.
    """

    partner: str
    effect: Effect
    version: int
    points: int
    entries: int
    counterparty: str | None = None
    counterparty_version: int | None = None


class Cell(Struct, frozen=True, order=True):
    """What is billed as one: a leg of a partner under one version; a margin also names the acceptor and its version.

    The debtor and the creditor follow from the leg. A margin's partner is the issuer.
    """

    leg: Leg
    partner: str
    version: int
    counterparty: str = ""
    counterparty_version: int = 0

    @property
    def debtor(self) -> str:
        """Return the party that pays a positive amount of this cell."""
        return _SHAPES[self.leg].debtor or self.partner

    @property
    def creditor(self) -> str:
        """Return the party that receives a positive amount of this cell."""
        return _SHAPES[self.leg].creditor or self.partner

    def rate(self, terms: Terms, counterparty_terms: Terms | None = None) -> Fraction:
        """Return minor units per point under the partner's terms; a margin is less the acceptor's honour rate."""
        own = _SHAPES[self.leg].rate(terms)
        return own if counterparty_terms is None else own - counterparty_terms.honour


class Carried(Struct, frozen=True):
    """What a cell comes to since its start, up to a window: its points, and the minor units billed for them."""

    points: int
    billed: int


NOTHING_CARRIED = Carried(0, 0)


class Line(Struct, frozen=True, kw_only=True):
    """A cell's bill in one window.

    `amount` = half-even round of rate · (points before + points), less billed before; negative when reversals prevail.
    """

    cell: Cell
    rate: Fraction
    points_before: int
    billed_before: int
    points: int
    amount: int

    @property
    def after(self) -> Carried:
        """Return what the cell carries into the next window."""
        return Carried(self.points_before + self.points, self.billed_before + self.amount)


class Outstanding(Struct, frozen=True):
    """The points of one issuer and version that still stand in lots, held ones too, when a window ends."""

    partner: str
    version: int
    points: int


class WindowFacts(Struct, frozen=True, kw_only=True):
    """Which window of which programme is settled, in which currency, and what its figures are held against.

    `pool_before` is what the run before left in the pool, in minor units; `outstanding` is what stands in the lots when
    the window ends. `part_rate_margins` counts the margins that carry points at a rate which is no whole number and did
    not move: they are not among the cells given.
    """

    programme: str
    window: int
    business_date: date
    currency: str
    pool_before: int
    outstanding: tuple[Outstanding, ...]
    part_rate_margins: int = 0


class PartnerStatement(Struct, frozen=True, kw_only=True):
    """A partner's bill of one window: its figures in minor units (net = receives - pays) and its canonical bytes."""

    partner: str
    pays: int
    receives: int
    net: int
    content: bytes


class Net(Struct, frozen=True, kw_only=True):
    """What a party, a house too, pays and receives in one window, and its net (receives - pays), in minor units."""

    party: str
    pays: int
    receives: int

    @property
    def net(self) -> int:
        """Return what the party gets (above zero) or owes (below) when all lines are set off."""
        return self.receives - self.pays


class PointsMismatch(Struct, frozen=True, kw_only=True):
    """An issuer's version of which the lines and the lots say different outstanding points."""

    partner: str
    version: int
    by_lines: int
    by_lots: int


class PoolCheck(Struct, frozen=True, kw_only=True):
    """Whether the pool's money is what the outstanding points are worth; no run is published unless it `holds`.

    `balance` in minor units since the start, by the bills of all runs; `worth` is Σ outstanding · s·(P - F), exact, by
    the lots.
    """

    currency: str
    balance: int
    worth: Fraction
    outstanding: int
    rounded_cells: int
    mismatches: tuple[PointsMismatch, ...]

    @property
    def apart(self) -> Fraction:
        """Return by how many minor units balance and worth differ."""
        return abs(self.balance - self.worth)

    @property
    def allowed(self) -> Fraction:
        """Return by how many they may: half a minor unit for each cell whose bills are rounded."""
        return Fraction(self.rounded_cells, 2)

    @property
    def holds(self) -> bool:
        """Tell whether the money agrees within rounding, and the points of every issuer's version exactly."""
        return self.apart <= self.allowed and not self.mismatches

    @property
    def explanation(self) -> str:
        """Return the verdict's reason in a sentence, with one more for each version whose points differ."""
        money = (
            f"The pool holds {decimal_text(self.balance, self.currency)} {self.currency}, and {self.outstanding:,} "
            f"outstanding points are worth {exact_decimal(self.worth / minor_units(self.currency))} {self.currency}: "
            f"{exact_decimal(self.apart)} minor units apart, where the rounding of {self.rounded_cells} cells allows "
            f"{exact_decimal(self.allowed)}."
        )
        points = [
            f"{each.partner} version {each.version}: {each.by_lines} points are outstanding by the lines, "
            f"{each.by_lots} by the lots."
            for each in self.mismatches
        ]
        return " ".join([money, *points])


class Calculation(Struct, frozen=True, kw_only=True):
    """Everything that a run comes to, in one order whatever the order of its input.

    `lines` by cell, those of a partner's cells that did not move too, as its statement shows them; `carried` the state
    of every line's cell after this window; `statements` by partner; `nets` by party, houses included, summing to zero.
    """

    facts: WindowFacts
    lines: tuple[Line, ...]
    carried: dict[Cell, Carried]
    statements: tuple[PartnerStatement, ...]
    nets: tuple[Net, ...]
    pool: PoolCheck

    @property
    def moved(self) -> tuple[Line, ...]:
        """Return the lines of cells that the window moved: what is to be recorded, for the rest stands already."""
        return tuple(line for line in self.lines if line.points or line.amount)

    @property
    def part_rate_margins(self) -> int:
        """Return how many margins carry points into the next window at a rate which is no whole number."""
        return self.facts.part_rate_margins + sum(
            1 for line in self.lines if line.cell.leg is Leg.MARGIN and line.rate.denominator > 1 and line.after.points
        )
