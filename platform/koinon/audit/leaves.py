"""Builds leaves, salted commitments and statement bytes: the exact bytes that the log holds.

A commitment is SHA-256(salt ‖ content), written base64url without padding. In a journal leaf each party has
its own slot; a seal or a run holds the RFC 6962 root over its parties' commitments, sorted by their bytes.
"""

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from koinon.audit.model import (
    ContractReference,
    ContractTerms,
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

LEAF_VERSION = "1"
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
    """Build a journal's leaf: a commitment per party's effect, and one per piece that two parties share.

    `new_salt` returns 32 fresh random bytes. Effects that name the same piece must agree on points and unit.
    """
    leaf = {"at": facts.at, "kind": facts.kind, "type": "journal", "v": LEAF_VERSION}
    pieces: dict[int, Opening] = {}
    shared: dict[int, str] = {}
    openings: list[Opening] = []
    for effect in effects:
        piece = effect.piece
        if piece is not None:
            content = _piece_content(facts, effect, piece)
            if piece not in pieces:
                pieces[piece] = Opening(f"s{len(pieces)}", new_salt(), content)
                shared[piece] = base64url(commitment(pieces[piece].salt, content))
                leaf[pieces[piece].slot] = shared[piece]
            elif pieces[piece].content != content:
                raise ValueError(f"the parties of piece {piece} of {facts.journal} do not agree on it")
        own = _effect_content(facts, effect, msgspec.UNSET if piece is None else shared[piece])
        opening = Opening(f"c{len(openings)}", new_salt(), own)
        openings.append(opening)
        leaf[opening.slot] = base64url(commitment(opening.salt, own))
    return JournalLeaf(_encode(leaf), tuple(openings), pieces)


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

    def place(self, item: bytes) -> tuple[int, list[bytes]]:
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


def _window_leaf(kind: str, at: str, programme: str, window: int, root: bytes) -> bytes:
    return _encode(
        {
            "at": at,
            "programme": programme,
            "root": base64url(root),
            "type": kind,
            "v": LEAF_VERSION,
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
