"""Writes a partner's bundle: one file of canonical JSON lines that `koinon verify` checks alone.

Everything is given: checkpoint, contracts, openings, statement, and a function that proves a leaf's inclusion
under that checkpoint. Contents go in as the very bytes that were committed to. Nobody holds a bundle whole.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from koinon.audit.leaves import base64url, canonical, contract_bytes
from koinon.audit.model import Opening
from koinon.audit.notes import NoteKey
from koinon.parties.model import ContractTerms

BUNDLE_VERSION = "2"
"""Version 2 proves that the log extends the one of the partner's bundle before it, when there is one."""

Prove = Callable[[int], Sequence[bytes]]


class BundleEntry(Struct, frozen=True, kw_only=True):
    """One effect on the partner: its leaf, where that stands in the log, and what opens the partner's slot."""

    index: int
    leaf: bytes
    opening: Opening
    shared: Opening | None = None


class Committed(Struct, frozen=True, kw_only=True):
    """A seal's or a run's leaf, and one party's content with its place in the tree under the leaf's root."""

    index: int
    leaf: bytes
    salt: bytes
    content: bytes
    root_index: int
    root_size: int
    root_proof: Sequence[bytes]


class Extended(Struct, frozen=True, kw_only=True):
    """The checkpoint of the partner's bundle before: its window, its size, and that the bundle's own extends it."""

    window: int
    size: int
    proof: Sequence[bytes]


class Bundle(Struct, frozen=True, kw_only=True):
    """What a partner's bundle of one window says around its entries; the key's name is the log's origin.

    `note` is the signed checkpoint that every proof leads to. Contracts may come in any order. `extends` is None in a
    partner's first.
    """

    programme: str
    partner: str
    window: int
    key: NoteKey
    note: str
    extends: Extended | None = None
    contracts: Sequence[ContractTerms]
    seal: Committed
    statement: Committed


class BundleWriter:
    """Writes a bundle a block of whole lines at a time: its head, its entries as they come, its foot.

    The foot ends with the count and hash of all lines before, so that each block is written once and in this order.
    """

    def __init__(self, bundle: Bundle, prove: Prove) -> None:
        """Take what the bundle says, and what proves a leaf's inclusion under its checkpoint."""
        self._bundle = bundle
        self._prove = prove
        self._lines = 0
        self._digest = sha256()

    def head(self) -> bytes:
        """Write what the bundle is of, its checkpoint, what that extends, and the contracts."""
        return self._written(_head(self._bundle))

    def entries(self, entries: Iterable[BundleEntry]) -> bytes:
        """Write the next entries, in the order of the partner's counters, from 1."""
        return self._written(_line(_entry(entry, self._prove)) for entry in entries)

    def foot(self) -> bytes:
        """Write the seal, the statement and the last line."""
        block = self._written(
            [
                _line(_committed("seal", "content", self._bundle.seal, self._prove)),
                _line(_committed("statement", "statement", self._bundle.statement, self._prove)),
            ]
        )
        end = {"type": "end", "lines": str(self._lines), "sha256": self._digest.hexdigest()}
        return block + self._written([_line(end)])

    def _written(self, lines: Iterable[bytes]) -> bytes:
        written = list(lines)
        block = b"".join(written)
        self._lines += len(written)
        self._digest.update(block)
        return block


def _head(bundle: Bundle) -> Iterator[bytes]:
    yield _line(
        {
            "type": "bundle",
            "v": BUNDLE_VERSION,
            "programme": bundle.programme,
            "partner": bundle.partner,
            "window": str(bundle.window),
            "origin": bundle.key.name,
            "key": bundle.key.text,
        }
    )
    yield _line({"type": "checkpoint", "note": bundle.note})
    if bundle.extends is not None:
        yield _line(
            {
                "type": "consistency",
                "window": str(bundle.extends.window),
                "size": str(bundle.extends.size),
                "proof": _hashes(bundle.extends.proof),
            }
        )
    for terms in sorted(bundle.contracts, key=lambda terms: int(terms.version)):
        yield contract_bytes(terms) + b"\n"


def _entry(entry: BundleEntry, prove: Prove) -> dict[str, Any]:
    line = {
        "type": "entry",
        "index": str(entry.index),
        "leaf": entry.leaf.decode(),
        "proof": _hashes(prove(entry.index)),
        **_opening(entry.opening),
    }
    return line if entry.shared is None else line | {"shared": _opening(entry.shared)}


def _committed(kind: str, content_key: str, committed: Committed, prove: Prove) -> dict[str, Any]:
    return {
        "type": kind,
        "index": str(committed.index),
        "leaf": committed.leaf.decode(),
        "salt": base64url(committed.salt),
        content_key: msgspec.Raw(committed.content),
        "root_index": str(committed.root_index),
        "root_size": str(committed.root_size),
        "root_proof": _hashes(committed.root_proof),
        "proof": _hashes(prove(committed.index)),
    }


def _opening(opening: Opening) -> dict[str, Any]:
    return {"slot": opening.slot, "salt": base64url(opening.salt), "content": msgspec.Raw(opening.content)}


def _hashes(proof: Sequence[bytes]) -> list[str]:
    return [base64url(item) for item in proof]


def _line(value: dict[str, Any]) -> bytes:
    return canonical(value) + b"\n"
