"""The platform's calculator and the verifier's, written apart, bill every line alike."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.audit.leaves import contract_bytes
from koinon.audit.model import Statement
from koinon.money import parse_ratio
from koinon.parties.model import Contract, contract_line
from koinon_verify import amounts, records
from tests.kit.positions import CONTRACTS, EVENTS, Event, positions, settle_windows


def as_verified(contract: Contract) -> records.Contract:
    """Return a contract as the verifier has it after reading its line in a bundle."""
    line = msgspec.json.decode(contract_bytes(contract_line(contract)))
    rates = {name: parse_ratio(line[name]) for name in ("price", "fee", "issue_share", "honour")}
    return records.Contract(
        line=1, partner=line["partner"], version=int(line["version"]), currency=line["currency"],
        effective_from=line["effective_from"], digest="", **rates,
    )  # fmt: skip


def as_verified_line(line: msgspec.Struct) -> records.StatementLine:
    """Return a statement's line as the verifier has it."""
    texts = msgspec.structs.asdict(line)
    numbers = {name: int(texts.pop(name)) for name in ("version", "points_before", "billed_before", "points", "amount")}
    return records.StatementLine(**{**texts, **numbers, "rate": parse_ratio(texts["rate"])})


@settings(max_examples=30)
@given(CONTRACTS, st.lists(EVENTS, min_size=1, max_size=3))
def test_both_calculators_bill_alike(contracts: list[Contract], nights: list[list[Event]]) -> None:
    """Each line of each statement has the verifier's parties, rate, points and amount, and none it wants is missing."""
    legs = {
        (each.partner, each.version, name): leg
        for each in contracts
        for name, leg in amounts.legs_of(as_verified(each)).items()
    }
    for events, run in zip(nights, settle_windows(contracts, nights), strict=True):
        points = Counter[tuple[str, int, str]]()
        for row in positions(events):
            points[row.partner, row.version, row.effect.value] += row.points
        for content in run.statements:
            statement = msgspec.json.decode(content.content, type=Statement)
            wanted = {key for key, leg in legs.items() if key[0] == content.partner and points[*key[:2], leg.effect]}
            for line in map(as_verified_line, statement.lines):
                leg = legs[content.partner, line.version, line.leg]
                assert (line.debtor, line.creditor, line.rate) == (leg.debtor, leg.creditor, leg.rate)
                assert line.points == points[content.partner, line.version, leg.effect]
                assert line.amount == amounts.amount_of(line)
                wanted.discard((content.partner, line.version, line.leg))
            assert wanted == set()
