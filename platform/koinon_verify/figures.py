"""What the lines of a bundle say together: counters, sums, contracts, the statement's arithmetic."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain, pairwise

from koinon_verify.amounts import Leg, amount_of, billed, legs_of
from koinon_verify.entries import check_entries
from koinon_verify.problems import Found, Problems, Refused
from koinon_verify.records import MONEY_EFFECTS, Bundle, Entry, Identity, Seal, Statement, StatementLine


def check_figures(bundle: Bundle, problems: Problems) -> None:
    """Check a bundle's lines against each other.

    Sums are not checked where a line that they rest on has itself been refused.
    """
    found: list[Found] = [_check_identities(bundle), _check_contracts(bundle), check_entries(bundle)]
    entries = [entry for entry in bundle.entries if entry is not None]
    if len(entries) == len(bundle.entries):
        found.append(_check_seal(bundle.seal, entries))
        if len([contract for contract in bundle.contracts if contract]) == len(bundle.contracts):
            found.append(_check_statement(bundle, entries))
    found.append(_check_past(bundle.seal, bundle.statement))
    for line, refused in chain.from_iterable(found):
        problems.add(bundle.file, line, refused)


def _check_identities(bundle: Bundle) -> Found:
    expected = bundle.identity
    if expected is None:
        return
    named: list[tuple[int, Identity]] = [(1, bundle.head.identity)] if bundle.head else []
    named += [(item.line, item.identity) for item in (*bundle.entries, bundle.statement) if item]
    for line, identity in named:
        if identity != expected:
            yield line, Refused("identity-mismatch", f"this is of {identity}; the bundle is of {expected}")
    for contract in bundle.contracts:
        if contract and contract.partner != expected.partner:
            yield contract.line, Refused("identity-mismatch", f"this is a contract of {contract.partner}")


def _check_contracts(bundle: Bundle) -> Found:
    contracts = [contract for contract in bundle.contracts if contract]
    for before, contract in pairwise(contracts):
        if before.version >= contract.version:
            yield contract.line, Refused("line-out-of-order", "contract versions do not ascend")
    statement = bundle.statement
    if statement is None:
        return
    for contract in contracts:
        named = statement.contracts.get(contract.version)
        if named is None:
            yield contract.line, Refused("contract-mismatch", "the statement does not name this version")
        elif named != contract.digest:
            yield (
                contract.line,
                Refused("contract-mismatch", f"the statement names version {contract.version} as {named}"),
            )
        elif contract.currency != statement.currency:
            yield contract.line, Refused("contract-mismatch", f"the statement is in {statement.currency}")
    lacking = sorted(statement.contracts.keys() - {contract.version for contract in contracts})
    if lacking and len(contracts) == len(bundle.contracts):
        yield statement.line, Refused("contract-mismatch", f"contract version {lacking[0]} is not in the bundle")


def _check_seal(seal: Seal | None, entries: list[Entry]) -> Found:
    if seal is None:
        return
    last = entries[-1].counter if entries else 0
    if seal.counter != last:
        detail = f"the seal's last counter is {seal.counter}, and the last entry's {last}"
        yield seal.line, Refused("seal-mismatch", detail)
    yield from _check_sums("seal-mismatch", seal.line, seal.points, entries)


def _check_past(seal: Seal | None, statement: Statement | None) -> Found:
    """Find what seal and statement say of the past that cannot all be true, and a run that did not wait for the seal.

    A cell that is not there had no points before. What came before this window is known from the statement alone.
    """
    if seal is None or statement is None:
        return
    if statement.index <= seal.index:
        detail = f"the run's leaf {statement.index} does not follow the seal's leaf {seal.index}"
        yield statement.line, Refused("run-before-seal", detail)
    before = {(line.leg, line.version): line.points_before for line in statement.lines}
    issued = honoured = expired = 0
    for version in sorted({version for _, version in before}):
        fee, funding = (before.get((leg, version), 0) for leg in ("fee", "issue_funding"))
        if fee != funding:
            detail = f"version {version}: fee starts from {fee} points issued before, and issue_funding from {funding}"
            yield statement.line, Refused("line-wrong", detail)
            return
        issued += fee
        honoured += before.get(("honour_funding", version), 0)
        expired += before.get(("breakage", version), 0)
    moved = seal.points["issued"] - seal.points["honoured"] - seal.points["expired"]
    expected = issued - honoured - expired + moved
    if seal.outstanding != expected:
        sums = f"{issued} - {honoured} - {expired} before and {moved} now"
        yield seal.line, Refused("seal-mismatch", f"outstanding is {seal.outstanding}, and {sums} make {expected}")


def _check_sums(code: str, line: int, stated: dict[str, int], entries: list[Entry]) -> Found:
    sums = Counter[str]()
    for entry in entries:
        sums[entry.effect] += entry.points
    for effect in MONEY_EFFECTS:
        if stated[effect] != sums[effect]:
            yield line, Refused(code, f"{effect} is {stated[effect]}, and the entries sum to {sums[effect]}")


def _check_statement(bundle: Bundle, entries: list[Entry]) -> Found:
    statement = bundle.statement
    if statement is None:
        return
    yield from _check_sums("points-mismatch", statement.line, statement.points, entries)
    sums = Counter[tuple[str, int]]()
    for entry in entries:
        sums[entry.effect, entry.version] += entry.points
    yield from _check_versions(bundle, entries, sums)
    legs = {
        (name, contract.version): leg
        for contract in bundle.contracts
        if contract
        for name, leg in legs_of(contract).items()
    }
    for line in statement.lines:
        for detail in _wrong_in(line, legs.get((line.leg, line.version)), sums):
            yield statement.line, Refused("line-wrong", f"{line.leg}, version {line.version}: {detail}")
    places = [(line.leg, line.version) for line in statement.lines]
    if places != sorted(set(places)):
        yield statement.line, Refused("line-wrong", "the lines are not sorted by leg and version, each once")
    yield from _check_missing(statement, legs, sums, places)
    yield from _check_totals(statement)


def _check_versions(bundle: Bundle, entries: list[Entry], sums: Counter[tuple[str, int]]) -> Found:
    """Find what was billed under a version that the bundle lacks; what nets to nothing is billed under none."""
    versions = {contract.version for contract in bundle.contracts if contract}
    for entry in entries:
        billed_here = entry.effect in MONEY_EFFECTS and sums[entry.effect, entry.version]
        if billed_here and entry.version not in versions:
            yield entry.line, Refused("contract-unknown", f"contract version {entry.version} is not in the bundle")


def _wrong_in(line: StatementLine, leg: Leg | None, sums: Counter[tuple[str, int]]) -> Iterator[str]:
    if leg is None:
        yield "no contract in the bundle has this leg"
        return
    points = sums[leg.effect, line.version]
    if (line.debtor, line.creditor) != (leg.debtor, leg.creditor):
        yield f"it goes from {line.debtor} to {line.creditor}, and should from {leg.debtor} to {leg.creditor}"
    if line.rate != leg.rate:
        yield f"the rate is {line.rate}, and the contract makes it {leg.rate}"
    if line.points != points:
        yield f"points are {line.points}, and the entries sum to {points}"
    if line.points == line.points_before == 0:
        yield "a line without points is left out"
    if line.billed_before != billed(line.rate, line.points_before):
        before = billed(line.rate, line.points_before)
        yield f"billed before is {line.billed_before}, and {line.rate} x {line.points_before} rounds to {before}"
    if line.amount != amount_of(line):
        exact = f"{line.rate} x ({line.points_before} + {line.points}) - {line.billed_before}"
        yield f"the amount is {line.amount}, and {exact} rounds to {amount_of(line)}"


def _check_missing(
    statement: Statement,
    legs: dict[tuple[str, int], Leg],
    sums: Counter[tuple[str, int]],
    places: list[tuple[str, int]],
) -> Found:
    """Find a line that the entries call for; one at no rate is there too, for the points that it carries on."""
    for place, leg in sorted(legs.items()):
        if sums[leg.effect, place[1]] and place not in places:
            yield statement.line, Refused("statement-line-missing", f"{place[0]}, version {place[1]} is not there")


def _check_totals(statement: Statement) -> Found:
    partner = statement.identity.partner
    pays = sum(line.amount for line in statement.lines if line.debtor == partner)
    receives = sum(line.amount for line in statement.lines if line.creditor == partner)
    stated = (statement.pays, statement.receives, statement.net)
    if stated != (pays, receives, receives - pays):
        detail = f"pays, receives, net are {stated}, and the lines make {(pays, receives, receives - pays)}"
        yield statement.line, Refused("total-mismatch", detail)
