"""Leaves and commitments: their exact bytes, and that they are canonical JSON."""

import json
import random
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from koinon.audit.leaves import (
    CommitmentTree,
    base64url,
    canonical,
    commitment,
    contract_bytes,
    contract_reference,
    journal_leaf,
    run_leaf,
    seal_leaf,
    statement_bytes,
    unbase64url,
)
from koinon.audit.model import Effect, JournalFacts, PartyEffect, SealContent, Statement, StatementLine, StatementPoints
from koinon.audit.tree import EMPTY_ROOT, leaf_hash, verify_inclusion
from koinon.parties.model import ContractTerms

FACTS = JournalFacts(journal="red_01", at="2026-03-02T10:15:37Z", programme="sun", window=12)
TERMS = ContractTerms(
    partner="cafe",
    version="2",
    price="1",
    fee="3/20",
    issue_share="1",
    honour="17/20",
    currency="EUR",
    effective_from="2026-01-01T00:00:00Z",
)


def counted_salts() -> Callable[[], bytes]:
    """Return a maker of the salts 1, 2, 3, …, 32 bytes each."""
    numbers: Iterator[int] = count(1)
    return lambda: next(numbers).to_bytes(32)


def effect(partner: str, kind: Effect, points: int, counter: int, piece: int | None = None) -> PartyEffect:
    """Return an effect in the unit "points" under contract version 2."""
    return PartyEffect(
        partner=partner, effect=kind, points=points, unit="points", version=2, counter=counter, piece=piece
    )


def test_a_leaf_with_two_parties_has_these_bytes() -> None:
    """A burn of 60 points of the grocer's at the café: three commitments among random ones, nothing else to see."""
    leaf = journal_leaf(
        FACTS,
        [effect("grocer", Effect.HONOURED, 60, 7, piece=0), effect("cafe", Effect.ACCEPTED, 60, 3, piece=0)],
        counted_salts(),
    )
    shared = b'{"journal":"red_01","piece":"0","points":"60","programme":"sun","unit":"points","window":"12"}'
    own = (
        b'{"at":"2026-03-02T10:15:37Z","counter":"3","effect":"accepted","journal":"red_01",'
        b'"partner":"cafe","points":"60","programme":"sun",'
        b'"shared":"' + base64url(sha256((1).to_bytes(32) + shared).digest()).encode() + b'",'
        b'"unit":"points","version":"2","window":"12"}'
    )

    assert leaf.pieces[0].content == shared
    assert leaf.effects[1].content == own
    openings = (*leaf.pieces.values(), *leaf.effects)
    assert [opening.salt[-1] for opening in openings] == [1, 2, 3]
    made = [sha256((1).to_bytes(32) + shared).digest(), commitment((2).to_bytes(32), leaf.effects[0].content)]
    made += [sha256((3).to_bytes(32) + own).digest(), *[number.to_bytes(32) for number in range(4, 9)]]
    assert json.loads(leaf.text) == {
        "at": "2026-03-02T10:00:00Z",
        **{f"c{place}": base64url(item) for place, item in enumerate(sorted(made))},
        "type": "journal",
        "v": "2",
    }
    assert [sorted(made)[int(opening.slot[1:])] for opening in openings] == made[:3]
    assert leaf.text == rfc8785.dumps(json.loads(leaf.text))
    for hidden in (b"cafe", b"grocer", b"60", b"red_01"):
        assert hidden not in leaf.text


def test_a_reversal_shares_the_absolute_number() -> None:
    """Both sides of a reversal carry negative points; what they share is how many points, without a sign."""
    leaf = journal_leaf(
        FACTS,
        [effect("grocer", Effect.HONOURED, -60, 8, piece=4), effect("cafe", Effect.ACCEPTED, -60, 4, piece=4)],
        counted_salts(),
    )

    assert json.loads(leaf.pieces[4].content)["points"] == "60"
    assert json.loads(leaf.pieces[4].content)["piece"] == "4"
    assert [json.loads(opening.content)["points"] for opening in leaf.effects] == ["-60", "-60"]


def test_parties_must_agree_on_what_they_share() -> None:
    """Two sides of one piece with other points build no leaf."""
    with pytest.raises(ValueError, match="piece 0 of red_01"):
        journal_leaf(
            FACTS,
            [effect("grocer", Effect.HONOURED, 60, 7, piece=0), effect("cafe", Effect.ACCEPTED, 59, 3, piece=0)],
            counted_salts(),
        )


@given(st.integers(1, 9), st.integers())
def test_a_leaf_does_not_tell_what_it_is_of(brands: int, seed: int) -> None:
    """An earn and a burn of one or two brands' points look alike; of more, there are a few sizes; all is in order."""
    chance = random.Random(seed)  # noqa: S311  # salts drawn by seed
    burn = [
        effect(partner, kind, 10, 1, piece=piece)
        for piece in range(brands)
        for partner, kind in (("grocer", Effect.HONOURED), ("cafe", Effect.ACCEPTED))
    ]
    leaf = json.loads(journal_leaf(FACTS, burn, lambda: chance.randbytes(32)).text)
    earn = json.loads(journal_leaf(FACTS, burn[:1], lambda: chance.randbytes(32)).text)
    slots = [unbase64url(leaf[f"c{place}"]) for place in range(len(leaf) - 3)]

    assert len(slots) == {1: 8, 2: 8, 3: 16, 4: 16, 5: 16, 6: 24, 7: 24, 8: 24, 9: 32}[brands]
    assert slots == sorted(set(slots))
    assert leaf.keys() - earn.keys() == {f"c{place}" for place in range(8, len(slots))}
    assert {name: leaf[name] for name in ("at", "type", "v")} == {name: earn[name] for name in ("at", "type", "v")}


def test_an_earn_shares_nothing() -> None:
    """Points issued concern their issuer alone."""
    leaf = journal_leaf(FACTS, [effect("grocer", Effect.ISSUED, 5, 1)], counted_salts())

    assert sorted(json.loads(leaf.text)) == ["at", *[f"c{place}" for place in range(8)], "type", "v"]
    assert "shared" not in json.loads(leaf.effects[0].content)
    assert leaf.pieces == {}


def test_many_slots_stay_apart() -> None:
    """A journal of a dozen pieces has a dozen slots a side and a dozen shared, each opening its own content."""
    effects = [
        effect(partner, kind, 10 + piece, 1 + piece, piece=piece)
        for piece in range(12)
        for partner, kind in (("grocer", Effect.HONOURED), ("cafe", Effect.ACCEPTED))
    ]
    leaf = journal_leaf(FACTS, effects, counted_salts())
    slots = json.loads(leaf.text)

    assert leaf.text == rfc8785.dumps(slots)
    assert len({value for key, value in slots.items() if key[1:].isdigit()}) == 40
    assert len({opening.slot for opening in (*leaf.effects, *leaf.pieces.values())}) == 36
    for opening in (*leaf.effects, *leaf.pieces.values()):
        assert slots[opening.slot] == base64url(commitment(opening.salt, opening.content))


def test_seal_and_run_leaves_have_these_bytes() -> None:
    """A window's leaves say programme, window and root, and no party."""
    assert seal_leaf("2026-03-03T00:10:00Z", "sun", 12, EMPTY_ROOT) == (
        b'{"at":"2026-03-03T00:10:00Z","programme":"sun","root":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",'
        b'"type":"seal","v":"1","window":"12"}'
    )
    assert run_leaf("2026-03-03T00:11:00Z", "sun", 12, EMPTY_ROOT) == (
        b'{"at":"2026-03-03T00:11:00Z","programme":"sun","root":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",'
        b'"type":"run","v":"1","window":"12"}'
    )


def test_contracts_are_named_by_the_hash_of_their_line() -> None:
    """A statement names a contract version by the SHA-256 of its canonical bytes."""
    expected = (
        b'{"currency":"EUR","effective_from":"2026-01-01T00:00:00Z","fee":"3/20","honour":"17/20",'
        b'"issue_share":"1","partner":"cafe","price":"1","type":"contract","version":"2"}'
    )

    assert contract_bytes(TERMS) == expected
    assert contract_reference(TERMS).version == "2"
    assert contract_reference(TERMS).sha256 == sha256(expected).hexdigest()


def test_a_statement_has_these_bytes() -> None:
    """A statement is one canonical object, its lists in their own order."""
    statement = Statement(
        programme="sun",
        partner="cafe",
        window="12",
        business_date="2026-03-02",
        currency="EUR",
        exponent="2",
        points=StatementPoints(issued="0", honoured="0", accepted="60", expired="0"),
        contracts=(contract_reference(TERMS),),
        lines=(
            StatementLine(
                leg="reimbursement",
                debtor="pool",
                creditor="cafe",
                version="2",
                rate="17/20",
                points_before="0",
                billed_before="0",
                points="60",
                amount="51",
            ),
        ),
        pays="0",
        receives="51",
        net="51",
    )
    written = statement_bytes(statement)

    assert written == rfc8785.dumps(json.loads(written))
    assert written.startswith(b'{"business_date":"2026-03-02","contracts":[{"sha256":"')
    assert written.endswith(b'"receives":"51","type":"statement","v":"1","window":"12"}')


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=40))
def test_every_party_finds_its_place_under_the_root(commitments: set[bytes]) -> None:
    """The tree of a seal or a run sorts its commitments and proves each of them, however they came."""
    tree = CommitmentTree(commitments)

    assert tree.size == len(commitments)
    assert tree.root == CommitmentTree(sorted(commitments, reverse=True)).root
    for item in commitments:
        index, proof = tree.path(item)
        assert sorted(commitments)[index] == item
        assert verify_inclusion(index, tree.size, leaf_hash(item), proof, tree.root)
    with pytest.raises(KeyError):
        tree.path(b"another")


def test_a_window_without_partners_has_the_empty_root() -> None:
    """A seal over nobody is still a seal."""
    assert CommitmentTree([]).root == EMPTY_ROOT


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
keys = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=8)
flat = st.dictionaries(keys, texts, max_size=12)
nested = st.dictionaries(keys, texts | st.lists(flat | texts, max_size=4) | flat, max_size=8)


@given(nested)
def test_our_writer_is_canonical_json(value: dict[str, Any]) -> None:
    """For text values under ASCII keys, in any nesting, msgspec's sorted output is RFC 8785 byte for byte."""
    assert canonical(value) == rfc8785.dumps(value)


@given(st.builds(SealContent, **dict.fromkeys(SealContent.__struct_fields__, texts)), st.builds(Statement))
def test_our_structs_are_canonical_json(seal: SealContent, statement: Statement) -> None:
    """The structs that are committed to are written as their dicts would be by RFC 8785."""
    for value in (seal, statement):
        assert canonical(value) == rfc8785.dumps(msgspec.to_builtins(value))


@given(texts, texts, texts, st.integers(), st.integers(1))
def test_any_journal_leaf_is_canonical_json(journal: str, kind: str, partner: str, points: int, window: int) -> None:
    """Leaf, contents and shared piece are RFC 8785 byte for byte whatever text the business puts in."""
    facts = JournalFacts(journal=journal, at="2026-03-02T10:15:00Z", programme=partner, window=window)
    leaf = journal_leaf(
        facts,
        [effect(partner, Effect.HONOURED, points, 1, 0), effect(kind, Effect.ACCEPTED, points, 1, 0)],
        counted_salts(),
    )

    for text in (leaf.text, *[opening.content for opening in (*leaf.effects, *leaf.pieces.values())]):
        assert text == rfc8785.dumps(json.loads(text))


@given(st.binary(max_size=70))
def test_base64url_has_one_spelling(data: bytes) -> None:
    """Bytes read back from base64url; padding, the other alphabet and stray low bits are refused."""
    text = base64url(data)

    assert unbase64url(text) == data
    with pytest.raises(ValueError, match=r".+"):
        unbase64url(text + "=")


@pytest.mark.parametrize("text", ["A", "AB", "+/", "AA==", "A\u00e9AA", "AA\n"])
def test_malformed_base64url_is_refused(text: str) -> None:
    """What base64url does not write, it does not read."""
    with pytest.raises(ValueError, match=r".+"):
        unbase64url(text)


def test_salts_have_their_length() -> None:
    """A commitment under a short salt is refused."""
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(b"salt", b"content")
