"""The Merkle tree: roots against the definition, proofs that hold, and proofs that do not."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from koinon.audit.tiles import tree_of
from koinon.audit.tree import (
    EMPTY_ROOT,
    consistency_spans,
    inclusion_spans,
    leaf_hash,
    node_hash,
    split,
    verify_consistency,
    verify_inclusion,
)


def defined_root(hashes: list[bytes]) -> bytes:
    """Return the root as RFC 6962 §2.1 defines it, by plain recursion."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = split(len(hashes))
    return node_hash(defined_root(hashes[:middle]), defined_root(hashes[middle:]))


def numbered(count: int) -> list[bytes]:
    """Return the leaf hashes of that many distinct leaves."""
    return [leaf_hash(str(number).encode()) for number in range(count)]


def test_hashes_are_those_of_the_standard() -> None:
    """The empty root, a leaf's hash and a node's hash are the published ones."""
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(b"\x00" * 32, b"\x01" * 32) == sha256(b"\x01" + b"\x00" * 32 + b"\x01" * 32).digest()


def test_the_shape_of_proofs_is_the_standards_example() -> None:
    """RFC 6962 §2.1.3's tree of seven leaves: the paths of leaves 0, 3, 4, 6 and the proofs from 3, 4 and 6."""
    assert inclusion_spans(0, 7) == [(1, 2), (2, 4), (4, 7)]
    assert inclusion_spans(3, 7) == [(2, 3), (0, 2), (4, 7)]
    assert inclusion_spans(4, 7) == [(5, 6), (6, 7), (0, 4)]
    assert inclusion_spans(6, 7) == [(4, 6), (0, 4)]
    assert consistency_spans(3, 7) == [(2, 3), (3, 4), (0, 2), (4, 7)]
    assert consistency_spans(4, 7) == [(4, 7)]
    assert consistency_spans(6, 7) == [(4, 6), (6, 7), (0, 4)]


def test_every_proof_of_every_small_tree_holds() -> None:
    """All inclusion and consistency proofs of all trees up to 40 leaves verify, and roots equal the definition."""
    hashes = numbered(40)
    roots = [defined_root(hashes[:size]) for size in range(41)]
    for size in range(1, 41):
        tree = tree_of(hashes[:size])

        assert tree.root() == roots[size]
        for index in range(size):
            proof = tree.inclusion_proof(index)
            assert verify_inclusion(index, size, hashes[index], proof, roots[size])
            assert not verify_inclusion(index, size, leaf_hash(b"another"), proof, roots[size])
        for old in range(1, size + 1):
            proof = tree.consistency_proof(old)
            assert verify_consistency(old, size, roots[old], roots[size], proof)
            assert not verify_consistency(old, size, roots[old], leaf_hash(b"another"), proof)


@given(st.data())
def test_a_changed_proof_is_refused(data: st.DataObject) -> None:
    """A proof with one bit turned, a hash dropped, added or moved, or for another place, proves nothing."""
    size = data.draw(st.integers(2, 600))
    index = data.draw(st.integers(0, size - 1))
    hashes = numbered(size)
    tree = tree_of(hashes)
    proof, root = tree.inclusion_proof(index), tree.root()
    place = data.draw(st.integers(0, len(proof) - 1))
    turned = bytearray(proof[place])
    turned[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))

    assert verify_inclusion(index, size, hashes[index], proof, root)
    assert not verify_inclusion(index, size, hashes[index], [*proof[:place], bytes(turned), *proof[place + 1 :]], root)
    assert not verify_inclusion(index, size, hashes[index], proof[:place] + proof[place + 1 :], root)
    assert not verify_inclusion(index, size, hashes[index], [*proof, root], root)
    assert not verify_inclusion(size, size, hashes[index], proof, root)
    assert not verify_inclusion(-1, size, hashes[index], proof, root)
    assert not verify_inclusion((index + 1) % size, size, hashes[index], proof, root)


def test_a_tree_that_does_not_extend_is_refused() -> None:
    """A proof does not show extension when the old tree was another, longer, or the sizes are turned round."""
    hashes = numbered(9)
    tree, old = tree_of(hashes), tree_of(hashes[:5])
    proof = tree.consistency_proof(5)

    assert verify_consistency(5, 9, old.root(), tree.root(), proof)
    assert not verify_consistency(5, 9, tree_of(numbered(4)).root(), tree.root(), proof)
    assert not verify_consistency(4, 9, old.root(), tree.root(), proof)
    assert not verify_consistency(9, 5, tree.root(), old.root(), proof)
    assert not verify_consistency(5, 9, old.root(), tree.root(), proof[:-1])
    assert not verify_consistency(5, 9, old.root(), tree.root(), [*proof[:-1], proof[-1][:31]])
    assert not verify_consistency(0, 9, EMPTY_ROOT, tree.root(), [])
    assert tree.consistency_proof(0) == []
