"""The RFC 6962 Merkle tree: its hashes, the shape of its proofs, and the checks of them.

A *span* `(low, high)` is the range of leaves `low ≤ i < high` under one node. Proofs are described
as lists of spans first, so that the same shape serves whoever makes a proof (from tiles, `tiles.py`)
and whoever checks one. All hashes are 32 raw bytes.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

Span = tuple[int, int]


def leaf_hash(leaf: bytes) -> bytes:
    """Hash a leaf's bytes (RFC 6962 §2.1: prefix 0x00)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children into their parent (RFC 6962 §2.1: prefix 0x01)."""
    return sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """Return the largest power of two below `size` (≥ 2): how many leaves go under the left child."""
    return 1 << ((size - 1).bit_length() - 1)


def fold_pairs(row: bytes) -> bytes:
    """Hash a row of an even number of concatenated hashes into the row above it."""
    return b"".join([sha256(b"\x01" + row[i : i + 64]).digest() for i in range(0, len(row), 64)])


def span_hash(span: Span, hash_of_full: Callable[[Span], bytes]) -> bytes:
    """Hash any span of the right edge, given the hashes of its full subtrees.

    `hash_of_full` is asked only for spans whose width is a power of two and whose start is a multiple of it.
    """
    low, high = span
    if low == high:
        return EMPTY_ROOT
    parts: list[bytes] = []
    while low < high:
        width = 1 << ((high - low).bit_length() - 1)
        parts.append(hash_of_full((low, low + width)))
        low += width
    result = parts.pop()
    while parts:
        result = node_hash(parts.pop(), result)
    return result


def inclusion_spans(index: int, size: int) -> list[Span]:
    """List the siblings that prove leaf `index` in a tree of `size`, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    low, high = 0, size
    spans: list[Span] = []
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    return spans[::-1]


def is_subtree(start: int, end: int) -> bool:
    """Say whether the leaves of a span can be a tree of their own in every larger one: it starts at its own width."""
    return 0 <= start < end and start % (1 << (end - start - 1).bit_length()) == 0


def consistency_spans(old: int, new: int, start: int = 0) -> list[Span]:
    """List the nodes that prove that a tree of `new` leaves extends its first `old` (RFC 6962 §2.1.2).

    With `start` they prove that it holds the subtree of the leaves `start ≤ i < old`.
    """
    if not 0 <= old <= new or (old and not is_subtree(start, old)):
        raise ValueError(f"a tree of {new} cannot extend one of {old}")
    if old == 0:
        return []
    low, high = 0, new
    spans: list[Span] = []
    while high != old or low < start:
        middle = low + split(high - low)
        if old <= middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    if low > start:
        spans.append((low, high))
    return spans[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether `proof` shows the leaf hash `leaf` at `index` under `root` of a tree of `size`."""
    if not 0 <= index < size or not _are_hashes([leaf, *proof]):
        return False
    spans = inclusion_spans(index, size)
    if len(spans) != len(proof):
        return False
    result = leaf
    for (low, _), sibling in zip(spans, proof, strict=True):
        result = node_hash(sibling, result) if low < index else node_hash(result, sibling)
    return result == root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes], *, start: int = 0
) -> bool:
    """Say whether `proof` shows that the tree of `new` leaves extends the tree of `old`.

    With `start`, whether it holds the subtree of the leaves `start ≤ i < old`, whose root is `old_root`. Every tree
    extends the empty one, so that there is nothing to show: `old` = 0 is refused.
    """
    if not 0 < old <= new or not is_subtree(start, old) or not _are_hashes(proof):
        return False
    spans = consistency_spans(old, new, start)
    if len(spans) != len(proof):
        return False
    siblings = list(zip(spans, proof, strict=True))
    seen_old = seen_new = old_root
    # The old tree's last full subtree comes first, when it is not the whole.
    if siblings and siblings[0][0][1] == old and siblings[0][0][0] > start:
        seen_old = seen_new = siblings.pop(0)[1]
    for (low, _), sibling in siblings:
        if low < start:
            seen_new = node_hash(sibling, seen_new)
        elif low < old:
            seen_old, seen_new = node_hash(sibling, seen_old), node_hash(sibling, seen_new)
        else:
            seen_new = node_hash(seen_new, sibling)
    return seen_old == old_root and seen_new == new_root


def _are_hashes(proof: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in proof)
