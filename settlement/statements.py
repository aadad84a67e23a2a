"""Writes a partner's statement: canonical bytes that depend on its own contract, points and past only."""

from collections import Counter
from collections.abc import Iterable, Mapping

from koinon.audit.leaves import contract_reference, statement_bytes
from koinon.audit.model import Effect, Statement, StatementLine, StatementPoints
from koinon.money import exponent, ratio_text
from koinon.parties.model import Contract, contract_line
from settlement.model import Leg, Line, PartnerStatement, Position, WindowFacts


def write_statement(
    partner: str,
    facts: WindowFacts,
    contracts: Mapping[int, Contract],
    lines: Iterable[Line],
    positions: Iterable[Position],
) -> PartnerStatement:
    """Return a partner's statement of a window.

    `contracts` are the partner's own by version; of lines and positions only the partner's own are used, and no margin:
    who stands against whom is for the operator's eyes. The versions named are those that a line was billed under.
    """
    own = sorted(
        (line for line in lines if line.cell.partner == partner and line.cell.leg is not Leg.MARGIN),
        key=lambda line: (line.cell.leg, line.cell.version),
    )
    pays = sum(line.amount for line in own if line.cell.debtor == partner)
    receives = sum(line.amount for line in own if line.cell.creditor == partner)
    statement = Statement(
        programme=facts.programme,
        partner=partner,
        window=str(facts.window),
        business_date=facts.business_date.isoformat(),
        currency=facts.currency,
        exponent=str(exponent(facts.currency)),
        points=_points(partner, positions),
        contracts=tuple(
            contract_reference(contract_line(contracts[version]))
            for version in sorted({line.cell.version for line in own})
        ),
        lines=tuple(map(_line, own)),
        pays=str(pays),
        receives=str(receives),
        net=str(receives - pays),
    )
    return PartnerStatement(
        partner=partner, pays=pays, receives=receives, net=receives - pays, content=statement_bytes(statement)
    )


def _points(partner: str, positions: Iterable[Position]) -> StatementPoints:
    totals: Counter[Effect] = Counter()
    for position in positions:
        if position.partner == partner:
            totals[position.effect] += position.points
    return StatementPoints(
        issued=str(totals[Effect.ISSUED]),
        honoured=str(totals[Effect.HONOURED]),
        accepted=str(totals[Effect.ACCEPTED]),
        expired=str(totals[Effect.EXPIRED]),
    )


def _line(line: Line) -> StatementLine:
    cell = line.cell
    return StatementLine(
        leg=cell.leg.value,
        debtor=cell.debtor,
        creditor=cell.creditor,
        version=str(cell.version),
        rate=ratio_text(line.rate),
        points_before=str(line.points_before),
        billed_before=str(line.billed_before),
        points=str(line.points),
        amount=str(line.amount),
    )
