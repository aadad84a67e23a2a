"""A run: contracts, what is carried and a window's positions in; lines, statements, nets and the pool's check out.

Pure: the same input in any order gives the same result, byte for byte.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from koinon.audit.model import Effect
from koinon.parties.model import Contract, Terms
from settlement.model import (
    BREAKAGE,
    LEGS_OF,
    MARGIN,
    NOTHING_CARRIED,
    OPERATOR,
    POOL,
    Calculation,
    Carried,
    Cell,
    Leg,
    Line,
    Net,
    Position,
    SettlementError,
    WindowFacts,
)
from settlement.pool import Version, check_pool
from settlement.rounding import bill
from settlement.statements import write_statement

Pair = tuple[str, int, str, int]


def calculate(
    contracts: Sequence[Contract],
    carried: Mapping[Cell, Carried],
    positions: Sequence[Position],
    facts: WindowFacts,
    partners: Iterable[str] | None = None,
) -> Calculation:
    """Return what a closed window comes to.

    `contracts`: every version of every partner of the programme. `carried`: what the cells carried before (see
    `carrying_cells`). `partners`: who gets a statement, by default whoever has a contract; a partner that joined later
    changes nothing of a window that was sealed without it. Raises SettlementError when the input does not fit together:
    a version without its contract, another currency, or points honoured that nobody accepted. Whether the pool holds
    is in the result, with its reason, for the caller to stop at.
    """
    terms = _terms_by_version(contracts, facts.currency)
    _check_pairs(positions)
    for entry in facts.outstanding:
        _terms(terms, (entry.partner, entry.version))
    lines = bill_cells(terms, carried, points_by_cell(positions))
    everyone = {contract.partner for contract in contracts} if partners is None else set(partners)
    own_contracts: dict[str, dict[int, Contract]] = {partner: {} for partner in everyone}
    for contract in contracts:
        if contract.partner in everyone:
            own_contracts[contract.partner][contract.version] = contract
    if unbilled := sorted({line.cell.partner for line in lines} - everyone):
        raise SettlementError(f"{unbilled[0]} has lines, and is none of the partners that get a statement")
    return Calculation(
        facts=facts,
        lines=lines,
        carried={line.cell: line.after for line in lines},
        statements=tuple(
            write_statement(partner, facts, own_contracts[partner], lines, positions)
            for partner in sorted(own_contracts)
        ),
        nets=net_all(lines, own_contracts),
        pool=check_pool(lines, terms, facts),
    )


def carrying_cells(contracts: Iterable[Contract], positions: Iterable[Position]) -> list[Cell]:
    """Return the cells of which a window's run has to know what they carry: all but the margins that do not move.

    A statement shows each of its partner's cells every night, moved or not: so its outstanding points add up. It shows
    no margin, of which there are as many as pairs of versions.
    """
    own = {
        Cell(leg, contract.partner, contract.version) for contract in contracts for leg in Leg if leg is not Leg.MARGIN
    }
    return sorted(own | points_by_cell(positions).keys())


def points_by_cell(positions: Iterable[Position]) -> dict[Cell, int]:
    """Return the points that positions bring to each cell; an effect that moves no money brings none."""
    points: Counter[Cell] = Counter()
    for position in positions:
        for leg in LEGS_OF[position.effect]:
            points[_cell(leg, position)] += position.points
    return dict(points)


def bill_cells(
    terms: Mapping[Version, Terms], carried: Mapping[Cell, Carried], points: Mapping[Cell, int]
) -> tuple[Line, ...]:
    """Return the line of every cell that has points now or had points before, ordered by cell."""
    lines = []
    for cell in sorted({*points, *carried}):
        before = carried.get(cell, NOTHING_CARRIED)
        now = points.get(cell, 0)
        if before.points or now:
            lines.append(bill(cell, _rate(cell, terms), before, now))
    return tuple(lines)


def net_all(lines: Iterable[Line], partners: Iterable[str]) -> tuple[Net, ...]:
    """Return what every party pays and receives, partners without a line and the houses too; the nets sum to zero."""
    pays: Counter[str] = Counter()
    receives: Counter[str] = Counter()
    for line in lines:
        pays[line.cell.debtor] += line.amount
        receives[line.cell.creditor] += line.amount
    parties = sorted({*partners, *pays, *receives, OPERATOR, POOL, MARGIN, BREAKAGE})
    nets = tuple(Net(party=party, pays=pays[party], receives=receives[party]) for party in parties)
    if sum(net.net for net in nets) != 0:
        raise SettlementError("the nets of all parties do not sum to zero")
    return nets


def expect(
    partner: str, contracts: Iterable[Contract], carried: Mapping[Cell, Carried], positions: Iterable[Position]
) -> Net:
    """Return what a partner would pay and receive if a window that is still open closed with these positions.

    Only the partner's own contracts, cells and positions matter: others may be given or left out.
    """
    lines = expected_lines(partner, contracts, carried, positions)
    return Net(
        party=partner,
        pays=sum(line.amount for line in lines if line.cell.debtor == partner),
        receives=sum(line.amount for line in lines if line.cell.creditor == partner),
    )


def expected_lines(
    partner: str, contracts: Iterable[Contract], carried: Mapping[Cell, Carried], positions: Iterable[Position]
) -> tuple[Line, ...]:
    """Return the lines of the statement that a partner would get if a window closed with these positions."""
    terms = {(each.partner, each.version): each.terms for each in contracts if each.partner == partner}
    before = {cell: state for cell, state in carried.items() if _on_statement(cell, partner)}
    points = {cell: now for cell, now in points_by_cell(positions).items() if _on_statement(cell, partner)}
    return bill_cells(terms, before, points)


def _on_statement(cell: Cell, partner: str) -> bool:
    return cell.partner == partner and cell.leg is not Leg.MARGIN


def _cell(leg: Leg, position: Position) -> Cell:
    if leg is not Leg.MARGIN:
        return Cell(leg, position.partner, position.version)
    _, _, acceptor, acceptor_version = _pair(position)
    return Cell(leg, position.partner, position.version, acceptor, acceptor_version)


def _pair(position: Position) -> Pair:
    """Return (issuer, version, acceptor, version) of an honoured or accepted position."""
    own = position.partner, position.version
    if position.counterparty is None or position.counterparty_version is None:
        raise SettlementError(f"{position.effect} of {own[0]} version {own[1]} names no counterparty and version")
    other = position.counterparty, position.counterparty_version
    return (*own, *other) if position.effect == Effect.HONOURED else (*other, *own)


def _rate(cell: Cell, terms: Mapping[Version, Terms]) -> Fraction:
    own = _terms(terms, (cell.partner, cell.version))
    if cell.leg is not Leg.MARGIN:
        return cell.rate(own)
    return cell.rate(own, _terms(terms, (cell.counterparty, cell.counterparty_version)))


def _terms(terms: Mapping[Version, Terms], version: Version) -> Terms:
    try:
        return terms[version]
    except KeyError:
        raise SettlementError(f"{version[0]} has no contract version {version[1]}") from None


def _terms_by_version(contracts: Iterable[Contract], currency: str) -> dict[Version, Terms]:
    terms: dict[Version, Terms] = {}
    for contract in contracts:
        if contract.currency != currency:
            raise SettlementError(f"{contract.partner} version {contract.version} is not in {currency}")
        terms[contract.partner, contract.version] = contract.terms
    return terms


def _check_pairs(positions: Iterable[Position]) -> None:
    """Raise SettlementError unless every pair's honoured points are its accepted points."""
    apart: Counter[Pair] = Counter()
    for position in positions:
        if position.effect == Effect.HONOURED:
            apart[_pair(position)] += position.points
        elif position.effect == Effect.ACCEPTED:
            apart[_pair(position)] -= position.points
    for (issuer, issuer_version, acceptor, acceptor_version), points in sorted(apart.items()):
        if points:
            raise SettlementError(
                f"of {issuer} version {issuer_version} at {acceptor} version {acceptor_version}, "
                f"{points} more points were honoured than accepted"
            )
