"""Leaves that tell more than their hour: the verifier refuses them, though the log holds and signed them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from koinon.audit import leaves
from koinon.audit.model import JournalFacts, JournalLeaf, PartyEffect
from tests.kit import bundles
from tests.kit.bundles import Alter, Coalition
from tests.unit.verify.test_forgeries import found_in, set_field


def other_leaf(alter: Alter) -> Callable[[Any], bytes]:
    """Return a writer of canonical JSON that changes journals' leaves before they are logged."""
    honest = leaves._encode

    def encode(value: Any) -> bytes:
        if isinstance(value, dict) and value.get("type") == "journal":
            value = dict(value)
            alter(value)
        return honest(value)

    return encode


def swap_slots(leaf: dict[str, Any]) -> None:
    """Let the order of two random commitments tell something."""
    spare = [slot for slot in leaf if slot[1:].isdigit()][-2:]
    leaf[spare[0]], leaf[spare[1]] = leaf[spare[1]], leaf[spare[0]]


def drop_slot(leaf: dict[str, Any]) -> None:
    """Let the number of the slots tell how many commitments there are."""
    del leaf[f"c{len(leaf) - 4}"]


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        (swap_slots, "leaf-malformed"),
        (drop_slot, "leaf-malformed"),
        (set_field(kind="earn"), "leaf-malformed"),
        (set_field(c0="AAAA"), "leaf-malformed"),
        (set_field(v="3"), "leaf-malformed"),
        (set_field(at="2026-03-02T10:15:00Z"), "time-mismatch"),
        (set_field(at="2026-03-02T11:00:00Z"), "time-mismatch"),
    ],
)
def test_a_leaf_that_tells_more_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alter: Alter, code: str
) -> None:
    """A leaf says its hour, and commitments whose order and number tell nothing; a content is held to that hour."""
    monkeypatch.setattr(leaves, "_encode", other_leaf(alter))

    assert ("entry", code) in found_in(tmp_path, Coalition().close(12)["grocer"])


def first_leaf(facts: JournalFacts, effects: list[PartyEffect], new_salt: Callable[[], bytes]) -> JournalLeaf:
    """Build a leaf as logs were begun: kind, exact time, and slots that tell sides from shared pieces."""
    made = leaves.journal_leaf(facts, effects, new_salt)
    own = [msgspec.structs.replace(each, slot=f"c{place}") for place, each in enumerate(made.effects)]
    pieces = {piece: msgspec.structs.replace(each, slot=f"s{piece}") for piece, each in made.pieces.items()}
    leaf = {"at": facts.at, "kind": "burn", "type": "journal", "v": "1"}
    leaf |= {
        each.slot: leaves.base64url(leaves.commitment(each.salt, each.content)) for each in (*own, *pieces.values())
    }
    return JournalLeaf(leaves.canonical(leaf), tuple(own), pieces)


def test_a_leaf_of_the_first_version_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was logged before leaves told less verifies."""
    monkeypatch.setattr(bundles, "journal_leaf", first_leaf)

    assert found_in(tmp_path, Coalition().close(12)["grocer"]) == []
