"""Tiles: paths, growth in any batches, resuming from what is stored, and proofs read from tiles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon.audit.tiles import (
    Frontier,
    TileAddress,
    TiledTree,
    append,
    pack_entries,
    parse_tile_path,
    resume,
    tile_path,
    tiles_for,
    tree_of,
)
from koinon.audit.tree import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion

Stored = dict[tuple[int, int], bytes]


def numbered(count: int) -> list[bytes]:
    """Return the leaf hashes of that many distinct leaves."""
    return [leaf_hash(str(number).encode()) for number in range(count)]


HASHES = numbered(70_000)


def grow(stored: Stored, frontier: Frontier, hashes: list[bytes]) -> Frontier:
    """Append leaf hashes and store the tiles that changed."""
    growth = append(frontier, hashes)
    for tile in (*growth.full, *growth.partial):
        stored[tile.level, tile.index] = tile.hashes
    return growth.frontier


def test_paths_are_those_of_the_specification() -> None:
    """Indexes stand in groups of three digits, all but the last with an x; an unfinished tile names its width."""
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(1, 0, 5) == "tile/1/000.p/5"
    assert tile_path(2, 999) == "tile/2/999"
    assert tile_path(0, 1000, 255) == "tile/0/x001/000.p/255"
    for width in (0, 257):
        with pytest.raises(ValueError, match="1 to 256"):
            tile_path(0, 0, width)


@given(st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_paths_read_back(level: int, index: int, width: int) -> None:
    """Every path that is written is read back as what it asks for."""
    assert parse_tile_path(tile_path(level, index, width)) == TileAddress(level, index, width)
    entries = tile_path(0, index, width).replace("tile/0/", "tile/entries/")
    assert parse_tile_path(entries) == TileAddress(None, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/1",
        "tile/0/001/002",
        "tile/0/x000/001",
        "tile/64/000",
        "tile/00/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/0/x001",
        "tile/entries/000/",
        "tile/-1/000",
        "tile/0/../000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    """A path that is not the one canonical spelling names nothing."""
    with pytest.raises(ValueError, match="not a tile's path"):
        parse_tile_path(path)


def test_the_first_tiles_of_a_log() -> None:
    """A log of 256 leaves has one full tile and one hash above it; one more leaf starts a tile."""
    growth = append(Frontier(), HASHES[:256])

    assert [tile.path for tile in growth.full] == ["tile/0/000"]
    assert [tile.path for tile in growth.partial] == ["tile/1/000.p/1"]
    assert growth.full[0].hashes == b"".join(HASHES[:256])
    assert growth.partial[0].hashes == growth.frontier.root() == tree_of(HASHES[:256]).root()
    more = append(growth.frontier, HASHES[256:257])
    assert [tile.path for tile in (*more.full, *more.partial)] == ["tile/0/001.p/1"]
    assert growth.frontier.size == 256
    assert more.frontier.size == 257


def test_an_empty_log_and_an_empty_batch() -> None:
    """A log of no leaves has the empty root, and appending nothing changes nothing."""
    growth = append(Frontier(), [])

    assert growth.frontier == Frontier()
    assert growth.frontier.root() == EMPTY_ROOT == TiledTree(0, lambda level, index: b"").root()
    assert (growth.full, growth.partial) == ((), ())
    assert resume(0, lambda level, index: b"") == Frontier()
    assert tiles_for((), 0) == set()


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=8))
def test_batches_do_not_matter(sizes: list[int]) -> None:
    """However leaves are batched, tiles, frontier and root come out the same, and a stopped writer resumes."""
    stored: Stored = {}
    frontier = Frontier()
    for size in sizes:
        frontier = grow(stored, resume(frontier.size, lambda *key: stored[key]), HASHES[frontier.size :][:size])
    at_once: Stored = {}
    whole = grow(at_once, Frontier(), HASHES[: sum(sizes)])

    assert frontier == whole
    assert stored == at_once
    assert frontier.root() == TiledTree(whole.size, lambda *key: stored[key]).root()


def test_a_frontier_outlives_a_refused_growth() -> None:
    """A growth that is dropped, as after a lost compare-and-set, leaves the frontier as it was."""
    frontier = append(Frontier(), HASHES[:300]).frontier
    root = frontier.root()
    append(frontier, HASHES[:5000])

    assert frontier.root() == root
    assert append(frontier, HASHES[300:600]).frontier.root() == tree_of(HASHES[:600]).root()


def test_a_large_tree_proves_from_three_levels_of_tiles() -> None:
    """In a tree of 70,000 leaves, stored in uneven batches, proofs need only the tiles that `tiles_for` names."""
    stored: Stored = {}
    frontier = Frontier()
    while frontier.size < len(HASHES):
        frontier = grow(stored, frontier, HASHES[frontier.size :][:7919])
    indexes = [0, 1, 255, 256, 65_535, 65_536, 69_999, *range(30_000, 30_050)]
    needed = tiles_for(indexes, frontier.size)
    few = {key: stored[key] for key in needed}
    tree = TiledTree(frontier.size, lambda *key: few[key])

    assert {level for level, _ in stored} == {0, 1, 2}
    assert needed == {(0, 0), (0, 1), (0, 255), (0, 256), (0, 273), (0, 117), (1, 0), (1, 1), (2, 0)}
    assert tree.root() == frontier.root()
    for index in indexes:
        assert verify_inclusion(index, frontier.size, HASHES[index], tree.inclusion_proof(index), frontier.root())


@settings(max_examples=60)
@given(st.integers(1, 70_000), st.data())
def test_consistency_needs_the_tiles_of_the_old_trees_last_leaf(size: int, data: st.DataObject) -> None:
    """A tree of any size proves that it extends any earlier one, from the tiles of one leaf and its right edge."""
    old = data.draw(st.integers(1, size))
    stored: Stored = {}
    frontier = grow(stored, Frontier(), HASHES[:size])
    few = {key: stored[key] for key in tiles_for([old - 1], size)}
    proof = TiledTree(size, lambda *key: few[key]).consistency_proof(old)

    assert verify_consistency(old, size, append(Frontier(), HASHES[:old]).frontier.root(), frontier.root(), proof)


def test_a_smaller_tree_reads_the_tiles_of_a_larger_one() -> None:
    """Tiles that have grown since still prove a checkpoint of an earlier size."""
    stored: Stored = {}
    grow(stored, Frontier(), HASHES[:1000])
    tree = TiledTree(700, lambda *key: stored[key])

    assert tree.root() == tree_of(HASHES[:700]).root()
    assert verify_inclusion(650, 700, HASHES[650], tree.inclusion_proof(650), tree.root())
    assert resume(700, lambda *key: stored[key]) == append(Frontier(), HASHES[:700]).frontier


def test_tiles_that_are_too_short_are_refused() -> None:
    """A stored tile that lacks hashes of the stated size is an error, never a wrong proof."""
    with pytest.raises(ValueError, match="12 hashes are needed"):
        resume(12, lambda level, index: b"\x00" * 32 * 11)
    with pytest.raises(ValueError, match="12 hashes are needed"):
        TiledTree(12, lambda level, index: b"\x00" * 32 * 11).root()
    with pytest.raises(ValueError, match="32 bytes"):
        append(Frontier(), [b"short"])
    with pytest.raises(ValueError, match="no leaf 12"):
        TiledTree(12, lambda level, index: b"\x00" * 32 * 12).inclusion_proof(12)


def test_entries_are_length_and_bytes() -> None:
    """A bundle of entries is each leaf behind its big-endian length, as long as it fits."""
    leaves = [b"", b"a", b"b" * 65_535]
    packed = pack_entries(leaves)

    assert packed[:5] == b"\x00\x00\x00\x01a"
    assert packed[5:7] == b"\xff\xff"
    assert packed[7:] == leaves[2]
    with pytest.raises(ValueError, match="65535"):
        pack_entries([b"b" * 65_536])
