"""A lying operator: the log is consistent and signed, every hash holds, and still the lie is found and named.

A case alters what is committed before it is committed, so that only meaning is left to find it by.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from koinon.audit import leaves
from koinon.audit.model import Effect, JournalFacts, PartyEffect
from koinon.parties.model import ContractTerms
from koinon_verify import verify_bundle
from tests.kit.bundles import CONTRACTS, KEY, WINDOWS, Coalition, Mover, altered, ended

Alter = Callable[[dict[str, Any]], None]
Found = list[tuple[str | None, str]]


def found_in(folder: Path, bundle: bytes, key: str | None = None) -> Found:
    """Return the problems of a bundle as (type of line, code), in the order of the lines."""
    path = folder / "forged.bundle"
    path.write_bytes(bundle)
    kinds = [json.loads(line)["type"] for line in bundle.splitlines()]
    problems = verify_bundle(path, key=key).problems
    return [(kinds[problem.line - 1] if problem.line else None, problem.code) for problem in problems]


def set_line(place: int, **fields: str) -> Alter:
    """Return a change of a statement's line at a place."""
    return lambda statement: statement["lines"][place].update(fields)


def set_field(**fields: Any) -> Alter:
    """Return a change of a content's own fields."""
    return lambda content: content.update(fields)


def without(name: str) -> Alter:
    """Return the removal of a content's field."""

    def alter(content: dict[str, Any]) -> None:
        del content[name]

    return alter


def drop_line(place: int, **totals: str) -> Alter:
    """Return the removal of a statement's line, with totals that fit."""

    def alter(statement: dict[str, Any]) -> None:
        statement["lines"] = [line for number, line in enumerate(statement["lines"]) if number != place]
        statement.update(totals)

    return alter


def turned_round(statement: dict[str, Any]) -> None:
    """Turn a statement's lines round."""
    statement["lines"] = statement["lines"][::-1]


def doubled(statement: dict[str, Any]) -> None:
    """State the fee twice, with totals that fit."""
    statement["lines"] = [*statement["lines"][:2], *statement["lines"][1:]]
    statement.update(pays="128", net="-102")


def forget_contract(statement: dict[str, Any]) -> None:
    """Name one contract version less."""
    statement["contracts"] = statement["contracts"][:1]


def name_contract_twice(statement: dict[str, Any]) -> None:
    """Name a contract version twice."""
    statement["contracts"] = [*statement["contracts"], statement["contracts"][0]]


def name_another_contract(statement: dict[str, Any]) -> None:
    """Name a version of which there is no contract line."""
    statement["contracts"] = [*statement["contracts"], {"version": "3", "sha256": "00"}]


def rename_contract(statement: dict[str, Any]) -> None:
    """Name a contract by another hash."""
    statement["contracts"][1]["sha256"] = "00" * 32


def state_points(statement: dict[str, Any]) -> None:
    """State other points in all than the lines have."""
    statement["points"]["accepted"] = "31"


def other_currency(statement: dict[str, Any]) -> None:
    """State the bill in another currency than the contracts'."""
    statement["currency"] = "USD"


def old_debts(statement: dict[str, Any]) -> None:
    """Bill the fee as if other points had been billed for too little before."""
    statement["lines"][1].update(points_before="100", billed_before="0", amount="29")
    statement.update(pays="129", net="-103")


def empty_line(statement: dict[str, Any]) -> None:
    """State a line of no points."""
    line = statement["lines"][0] | {"leg": "breakage", "version": "1", "rate": "17/60", "points": "0", "amount": "0"}
    statement["lines"] = [line, *statement["lines"]]


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (set_line(1, amount="15"), [("statement", "line-wrong")]),
        (set_line(1, amount="13"), [("statement", "line-wrong")]),
        (set_line(1, rate="4/25", amount="15"), [("statement", "line-wrong")]),
        (set_line(1, points="94"), [("statement", "line-wrong")]),
        (set_line(1, debtor="pool"), [("statement", "line-wrong")]),
        (set_line(6, creditor="cafe"), [("statement", "line-wrong")]),
        (set_line(1, leg="gift"), [("statement", "line-wrong")]),
        (set_line(1, version="9"), [("statement", "line-wrong")]),
        (set_line(1, leg="margin"), [("statement", "line-wrong")]),
        (old_debts, [("statement", "line-wrong")]),
        (empty_line, [("statement", "line-wrong")]),
        (turned_round, [("statement", "line-wrong")]),
        (doubled, [("statement", "line-wrong")]),
        (drop_line(6, receives="0", net="-114"), [("statement", "statement-line-missing")]),
        (drop_line(1, pays="100", net="-74"), [("statement", "statement-line-missing")]),
        (set_field(pays="115", net="-89"), [("statement", "total-mismatch")]),
        (set_field(net="88"), [("statement", "total-mismatch")]),
        (state_points, [("statement", "points-mismatch")]),
        (other_currency, [("contract", "contract-mismatch"), ("contract", "contract-mismatch")]),
        (rename_contract, [("contract", "contract-mismatch")]),
        (forget_contract, [("contract", "contract-mismatch")]),
        (name_another_contract, [("statement", "contract-mismatch")]),
        (name_contract_twice, [("statement", "field-wrong")]),
        (set_field(partner="cafe"), [("statement", "identity-mismatch")]),
        (set_field(programme="moon"), [("statement", "identity-mismatch")]),
        (set_field(window="13"), [("statement", "identity-mismatch")]),
        (set_field(v="2"), [("statement", "field-wrong")]),
        (set_field(type="bill"), [("statement", "field-wrong")]),
        (set_field(pays="0114"), [("statement", "field-wrong")]),
        (set_field(exponent="-2"), [("statement", "field-wrong")]),
        (set_field(lines="none"), [("statement", "field-wrong")]),
        (set_field(points="many"), [("statement", "field-wrong")]),
        (set_field(discount="1"), [("statement", "field-wrong")]),
        (set_line(1, rate="6/40"), [("statement", "field-wrong")]),
        (set_line(1, rate="0.15"), [("statement", "field-wrong")]),
        (without("net"), [("statement", "field-wrong")]),
    ],
)
def test_a_false_statement_is_found(tmp_path: Path, alter: Alter, expected: Found) -> None:
    """A statement that the run really committed to, but that does not follow from contracts and entries."""
    assert found_in(tmp_path, Coalition(alter_statement=alter).close(12)["grocer"]) == expected


def test_a_line_of_others_may_not_be_left_out(tmp_path: Path) -> None:
    """Breakage moves none of the partner's own money, and carries on the points that the seal counts."""
    assert found_in(tmp_path, Coalition(alter_statement=drop_line(0)).close(12)["grocer"]) == [
        ("statement", "statement-line-missing")
    ]


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (set_field(counter="8"), [("seal", "seal-mismatch")]),
        (set_field(counter="6"), [("seal", "seal-mismatch")]),
        (set_field(issued="127"), [("seal", "seal-mismatch")]),
        (set_field(honoured="0"), [("seal", "seal-mismatch")]),
        (set_field(accepted="29"), [("seal", "seal-mismatch")]),
        (set_field(expired="-5"), [("seal", "seal-mismatch")]),
        (set_field(programme="moon"), [("seal", "identity-mismatch")]),
        (set_field(counter="-1"), [("seal", "field-wrong")]),
        (without("outstanding"), [("seal", "field-wrong")]),
    ],
)
def test_a_false_seal_is_found(tmp_path: Path, alter: Alter, expected: Found) -> None:
    """A seal that was really logged, but that does not fit the entries."""
    assert found_in(tmp_path, Coalition(alter_seal=alter).close(12)["grocer"]) == expected


def test_another_partners_seal_is_found(tmp_path: Path) -> None:
    """A bundle with a seal that speaks of somebody else is refused wherever the two differ."""
    found = found_in(tmp_path, Coalition(alter_seal=set_field(partner="cafe")).close(12)["grocer"])

    assert found == [
        ("bundle", "identity-mismatch"),
        *[("contract", "identity-mismatch")] * 2,
        *[("entry", "identity-mismatch")] * 7,
        ("statement", "identity-mismatch"),
    ]


def test_a_missing_entry_is_found(tmp_path: Path) -> None:
    """An entry that the operator leaves out shows as a gap, and the last one by the seal's counter."""
    lines = Coalition().close(12)["grocer"].splitlines(keepends=True)

    assert found_in(tmp_path, ended(lines[:6] + lines[7:-1]))[0] == ("entry", "counter-gap")
    assert found_in(tmp_path, ended(lines[:10] + lines[11:-1])) == [
        ("seal", "seal-mismatch"),
        ("statement", "points-mismatch"),
    ]


def with_windows(*journals: tuple[str, str, list[Mover]]) -> Coalition:
    """Return a coalition whose window 12 has more journals at its end."""
    return Coalition(windows={12: [*WINDOWS[12], *journals]})


def test_a_journal_that_is_counted_twice_is_found(tmp_path: Path) -> None:
    """The same journal in a second leaf is refused, though counters, sums and bill all agree with it."""
    forged = with_windows(WINDOWS[12][0]).close(12)["grocer"]

    assert found_in(tmp_path, forged) == [("entry", "entry-duplicated")]


def test_a_piece_that_is_counted_twice_is_found(tmp_path: Path) -> None:
    """One shared piece cannot stand for two effects of a kind on the same partner."""
    pieces: list[Mover] = [("grocer", Effect.ACCEPTED, 5, 2, 0), ("grocer", Effect.ACCEPTED, 5, 2, 0)]

    assert found_in(tmp_path, with_windows(("red_90", "burn", pieces)).close(12)["grocer"]) == [
        ("entry", "entry-duplicated")
    ]


def test_points_honoured_at_home_are_two_effects_of_a_piece(tmp_path: Path) -> None:
    """A brand that honours its own points sees both sides of a piece, and that is in order."""
    pieces: list[Mover] = [("grocer", Effect.HONOURED, 5, 2, 0), ("grocer", Effect.ACCEPTED, 5, 2, 0)]

    assert found_in(tmp_path, with_windows(("red_90", "burn", pieces)).close(12)["grocer"]) == []


def test_a_seal_that_came_too_early_is_found(tmp_path: Path) -> None:
    """A seal whose leaf stands before the entries that it should cover proves nothing of them."""
    forged = Coalition(seal_first=True).close(12)["grocer"]

    assert found_in(tmp_path, forged) == [("entry", "entry-after-seal")] * 7


def test_an_unknown_contract_version_is_found(tmp_path: Path) -> None:
    """What is billed under a version that the bundle lacks cannot be checked, and is refused."""
    forged = with_windows(("red_90", "earn", [("grocer", Effect.ISSUED, 10, 3, None)])).close(12)["grocer"]

    assert found_in(tmp_path, forged) == [("entry", "contract-unknown")]


def test_what_nets_to_nothing_needs_no_contract(tmp_path: Path) -> None:
    """Points issued and taken back in one window are not billed, and no contract is needed for them."""
    coalition = with_windows(
        ("red_90", "earn", [("grocer", Effect.ISSUED, 10, 3, None)]),
        ("red_91", "reverse", [("grocer", Effect.ISSUED, -10, 3, None)]),
    )

    assert found_in(tmp_path, coalition.close(12)["grocer"]) == []


def test_a_second_unit_is_found(tmp_path: Path) -> None:
    """Stamps are not billed as points."""

    def alter(effects: list[PartyEffect]) -> list[PartyEffect]:
        stamps = effects[0].partner == "grocer" and effects[0].points == 33
        return [msgspec.structs.replace(effects[0], unit="stamps")] if stamps else effects

    assert found_in(tmp_path, Coalition(alter_effects=alter).close(12)["grocer"])[0] == ("entry", "unit-mixed")


def test_a_false_shared_piece_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaf whose shared piece says other points than the partner's own content is refused."""
    honest = leaves._piece_content

    def lie(facts: JournalFacts, effect: PartyEffect, piece: int) -> bytes:
        return honest(facts, msgspec.structs.replace(effect, points=effect.points + 1), piece)

    monkeypatch.setattr(leaves, "_piece_content", lie)

    assert found_in(tmp_path, Coalition().close(12)["grocer"]) == [("entry", "shared-mismatch")] * 3


def edited(place: int, edit: Alter, bundle: bytes | None = None) -> bytes:
    """Return the grocer's bundle with one line's object changed, and a last line that fits."""
    lines = (bundle or Coalition().close(12)["grocer"]).splitlines(keepends=True)[:-1]
    plain = json.loads(lines[place])
    edit(plain)
    lines[place] = leaves.canonical(plain) + b"\n"
    return ended(lines)


def exchange_pieces(line: dict[str, Any]) -> None:
    """Open the other piece of the same journal, which has the same points."""
    other = json.loads(Coalition().close(12)["grocer"].splitlines()[10])
    line["shared"] = other["shared"]


@pytest.mark.parametrize(
    ("place", "edit", "expected"),
    [
        (0, set_field(partner="cafe"), ("bundle", "identity-mismatch")),
        (0, set_field(window="13"), ("bundle", "identity-mismatch")),
        (0, set_field(origin="log.example/moon"), ("bundle", "origin-mismatch")),
        (0, set_field(key="log.example/sun"), ("bundle", "key-malformed")),
        (0, set_field(v="3"), ("bundle", "field-wrong")),
        (0, without("key"), ("bundle", "field-wrong")),
        (1, set_field(note="log.example/sun\n14\n"), ("checkpoint", "checkpoint-malformed")),
        (2, set_field(partner="cafe"), ("contract", "identity-mismatch")),
        (2, set_field(issue_share="4/3"), ("contract", "field-wrong")),
        (2, set_field(honour="2/4"), ("contract", "field-wrong")),
        (3, set_field(version="1"), ("contract", "line-out-of-order")),
        (4, set_field(slot="c8"), ("entry", "field-wrong")),
        (4, set_field(slot="s0"), ("entry", "field-wrong")),
        (4, set_field(salt="AAAA"), ("entry", "field-wrong")),
        (4, set_field(proof=["AAAA"]), ("entry", "field-wrong")),
        (4, set_field(proof=[["A"]]), ("entry", "not-canonical")),
        (4, set_field(proof=[{"a": "b"}]), ("entry", "field-wrong")),
        (4, set_field(proof=[]), ("entry", "not-included")),
        (4, set_field(index="4"), ("entry", "not-included")),
        (4, set_field(content="issued"), ("entry", "field-wrong")),
        (4, set_field(leaf="{}"), ("entry", "leaf-malformed")),
        (4, set_field(leaf="not json"), ("entry", "leaf-malformed")),
        (4, set_field(shared={"slot": "s0"}), ("entry", "shared-mismatch")),
        (9, exchange_pieces, ("entry", "shared-mismatch")),
        (9, without("shared"), ("entry", "shared-mismatch")),
        (11, set_field(root_index="1"), ("seal", "commitment-mismatch")),
        (11, set_field(root_size="0"), ("seal", "field-wrong")),
        (12, set_field(type="seal"), ("seal", "line-out-of-order")),
        (12, set_field(type="coda"), ("coda", "field-wrong")),
    ],
)
def test_an_edited_line_is_found(tmp_path: Path, place: int, edit: Alter, expected: tuple[str, str]) -> None:
    """Whoever edits a line of the file, and makes its last line fit, is found on that line."""
    found = found_in(tmp_path, edited(place, edit))

    assert expected in found


def test_a_log_of_another_key_is_found_when_the_key_is_pinned(tmp_path: Path) -> None:
    """A whole false log under a false key verifies only for a reader who trusts the bundle for its key."""
    false_key = "log.example/moon+00000000+" + KEY.text.rsplit("+", 1)[1]
    bundle = Coalition().close(12)["grocer"]

    assert found_in(tmp_path, bundle, key=KEY.text) == []
    assert found_in(tmp_path, bundle, key=false_key) == [(None, "key-malformed")]
    other = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    assert found_in(tmp_path, bundle, key=other) == [
        ("bundle", "key-not-pinned"),
        ("checkpoint", "checkpoint-unsigned"),
    ]


def test_a_checkpoint_of_another_log_is_found(tmp_path: Path) -> None:
    """A key that signs for a log of another name does not vouch for this one."""
    forged = Coalition(origin="log.example/moon").close(12)["grocer"]

    assert found_in(tmp_path, forged) == [("checkpoint", "origin-mismatch")]


def test_a_contract_that_nobody_named_is_found(tmp_path: Path) -> None:
    """A contract line that the statement does not commit to is refused, whatever it says."""

    def more(contracts: list[ContractTerms]) -> list[ContractTerms]:
        return [*contracts, msgspec.structs.replace(contracts[0], version="3")]

    forged = Coalition(alter_contracts=more).close(12)["grocer"]

    assert found_in(tmp_path, forged) == [("contract", "contract-mismatch")]


def test_the_altered_contents_start_from_honest_ones() -> None:
    """The change of nothing changes nothing, so that each case above shows its own lie alone."""
    terms = CONTRACTS["cafe"][0]

    assert altered(terms, None) == altered(terms, lambda plain: None) == leaves.contract_bytes(terms)
