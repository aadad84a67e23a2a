"""Inclusion and consistency proofs of an RFC 6962 tree, by the algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2."""

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    """Hash a leaf's bytes."""
    return sha256(b"\x00" + leaf).digest()


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether `proof` shows the leaf hash `leaf` at `index` under `root` of a tree of `size`."""
    if not 0 <= index < size or len(leaf) != HASH_BYTES:
        return False
    here, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0 or len(sibling) != HASH_BYTES:
            return False
        if here & 1 or here == last:
            result = _node(sibling, result)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            result = _node(result, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether `proof` shows that the tree of `new` leaves extends the tree of `old` (≥ 1)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path or any(len(item) != HASH_BYTES for item in path):
        return False
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    seen_old = seen_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            seen_old, seen_new = _node(sibling, seen_old), _node(sibling, seen_new)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            seen_new = _node(seen_new, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and seen_old == old_root and seen_new == new_root


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
