"""Builds leaves, salted commitments and statement bytes: the exact bytes that the log holds.

A commitment is SHA-256(salt ‖ content), written base64url without padding. A journal leaf holds them in slots
`c0`, `c1`, …: sorted by their bytes, so that their order tells nothing, and filled up with random ones to a
multiple of SLOT_STEP, so that their number hardly does. A seal or a run holds the RFC 6962 root over its parties'
commitments, sorted likewise.
"""

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from koinon.audit.model import (
    ContractReference,
    EffectContent,
    JournalFacts,
    JournalLeaf,
    Opening,
    PartyEffect,
    PieceContent,
    Statement,
)
from koinon.audit.tiles import tree_of
from koinon.audit.tree import leaf_hash
from koinon.parties.model import ContractTerms

JOURNAL_LEAF_VERSION = "2"
WINDOW_LEAF_VERSION = "1"
SLOT_STEP = 8
"""Of what a journal leaf has a multiple of slots: eight hold a burn of two brands' points, and most journals fewer."""
HOUR = len("2026-03-02T10")
SALT_BYTES = 32

_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")
_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: Any) -> bytes:
    """Write canonical JSON (RFC 8785) of structs, dicts and lists whose keys are ASCII and whose values are text."""
    return _encode(value)


def base64url(data: bytes) -> str:
    """Write bytes as base64url without padding, as every hash and salt in leaves and bundles is written."""
    return b2a_base64(data, newline=False).translate(_URL_ALPHABET, b"=").decode()


def unbase64url(text: str) -> bytes:
    """Read base64url without padding; any other spelling of the same bytes is a ValueError."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(data) != text:
        raise ValueError("not base64url without padding")
    return data


def commitment(salt: bytes, content: bytes) -> bytes:
    """Commit to a content under a salt: 32 raw bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return sha256(salt + content).digest()


def journal_leaf(facts: JournalFacts, effects: Sequence[PartyEffect], new_salt: Callable[[], bytes]) -> JournalLeaf:
    """Build a journal's leaf: its hour, a commitment per party's effect, and one per piece that two parties share.

    `new_salt` returns 32 fresh random bytes, as often as the leaf has slots. Effects that name the same piece must
    agree on points and unit.
    """
    pieces: dict[int, _Committed] = {}
    own: list[_Committed] = []
    for effect in effects:
        piece = effect.piece
        shared: str | msgspec.UnsetType = msgspec.UNSET
        if piece is not None:
            content = _piece_content(facts, effect, piece)
            if piece not in pieces:
                pieces[piece] = _committed(new_salt(), content)
            elif pieces[piece].content != content:
                raise ValueError(f"the parties of piece {piece} of {facts.journal} do not agree on it")
            shared = base64url(pieces[piece].commitment)
        own.append(_committed(new_salt(), _effect_content(facts, effect, shared)))
    made = [each.commitment for each in (*pieces.values(), *own)]
    made += [new_salt() for _ in range(slots_for(len(made)) - len(made))]
    slots = {item: f"c{place}" for place, item in enumerate(sorted(made))}
    leaf = {"at": facts.at[:HOUR] + ":00:00Z", "type": "journal", "v": JOURNAL_LEAF_VERSION}
    leaf |= {slot: base64url(item) for item, slot in slots.items()}
    return JournalLeaf(
        _encode(leaf),
        tuple(_opening(each, slots) for each in own),
        {piece: _opening(each, slots) for piece, each in pieces.items()},
    )


def slots_for(commitments: int) -> int:
    """Return how many slots the leaf of a journal with so many commitments has."""
    return -(-commitments // SLOT_STEP) * SLOT_STEP


class CommitmentTree:
    """The tree that a seal or a run is the root of: its parties' commitments, sorted by their bytes."""

    def __init__(self, commitments: Iterable[bytes]) -> None:
        """Build the tree over 32-byte commitments, in any order."""
        self._sorted = sorted(commitments)
        self._places = {item: place for place, item in enumerate(self._sorted)}
        self._tree = tree_of([leaf_hash(item) for item in self._sorted])

    @property
    def size(self) -> int:
        """Return how many parties the tree holds."""
        return len(self._sorted)

    @property
    def root(self) -> bytes:
        """Return the root hash."""
        return self._tree.root()

    def path(self, item: bytes) -> tuple[int, list[bytes]]:
        """Return a commitment's index and inclusion proof; a commitment that is not here is a KeyError."""
        index = self._places[item]
        return index, self._tree.inclusion_proof(index)


def seal_leaf(at: str, programme: str, window: int, root: bytes) -> bytes:
    """Build the leaf that seals a closed window over its partners' seal contents."""
    return _window_leaf("seal", at, programme, window, root)


def run_leaf(at: str, programme: str, window: int, root: bytes) -> bytes:
    """Build the leaf that commits a settlement run to its partners' statements."""
    return _window_leaf("run", at, programme, window, root)


def contract_bytes(terms: ContractTerms) -> bytes:
    """Write a contract version as its line in a bundle, without the newline."""
    return _encode(terms)


def contract_reference(terms: ContractTerms) -> ContractReference:
    """Name a contract version in a statement by the SHA-256 of its canonical bytes."""
    return ContractReference(version=terms.version, sha256=sha256(_encode(terms)).hexdigest())


def statement_bytes(statement: Statement) -> bytes:
    """Write a statement's canonical bytes, which a run commits to."""
    return _encode(statement)


class _Committed(NamedTuple):
    """A content with its salt and its commitment."""

    salt: bytes
    content: bytes
    commitment: bytes


def _committed(salt: bytes, content: bytes) -> _Committed:
    return _Committed(salt, content, commitment(salt, content))


def _opening(committed: _Committed, slots: Mapping[bytes, str]) -> Opening:
    return Opening(slots[committed.commitment], committed.salt, committed.content)


def _window_leaf(kind: str, at: str, programme: str, window: int, root: bytes) -> bytes:
    return _encode(
        {
            "at": at,
            "programme": programme,
            "root": base64url(root),
            "type": kind,
            "v": WINDOW_LEAF_VERSION,
            "window": str(window),
        }
    )


def _piece_content(facts: JournalFacts, effect: PartyEffect, piece: int) -> bytes:
    return _encode(
        PieceContent(
            journal=facts.journal,
            piece=str(piece),
            points=str(abs(effect.points)),
            programme=facts.programme,
            unit=effect.unit,
            window=str(facts.window),
        )
    )


def _effect_content(facts: JournalFacts, effect: PartyEffect, shared: str | msgspec.UnsetType) -> bytes:
    return _encode(
        EffectContent(
            at=facts.at,
            counter=str(effect.counter),
            effect=effect.effect.value,
            journal=facts.journal,
            partner=effect.partner,
            points=str(effect.points),
            programme=facts.programme,
            unit=effect.unit,
            version=str(effect.version),
            window=str(facts.window),
            shared=shared,
        )
    )
