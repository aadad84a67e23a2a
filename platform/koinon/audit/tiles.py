"""Tiles of the tree (C2SP tlog-tiles): their paths, how a log grows by them, and proofs read from them.

A tile holds up to 256 hashes of one level; a hash of level `l` is the root of a full tile of level `l - 1`.
Nothing here reads or writes: whoever stores tiles passes a function `(level, index) -> bytes` that returns
at least as many hashes as the tree of the stated size has in that tile. With asynchronous storage, fetch
`tiles_for(...)` first and pass a dict's lookup.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from msgspec import Struct

from koinon.audit.tree import (
    HASH_BYTES,
    Span,
    consistency_spans,
    fold_pairs,
    inclusion_spans,
    span_hash,
)

TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_BYTES
ENTRY_BYTES_MAX = 65_535

FetchTile = Callable[[int, int], bytes]
TileKey = tuple[int, int]

_PATH = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class Tile(Struct, frozen=True):
    """A tile's place and its hashes, concatenated: 1 to 256 times 32 bytes."""

    level: int
    index: int
    hashes: bytes

    @property
    def width(self) -> int:
        """Return how many hashes the tile holds."""
        return len(self.hashes) // HASH_BYTES

    @property
    def path(self) -> str:
        """Return the tile's path below the log's prefix."""
        return tile_path(self.level, self.index, self.width)


class TileAddress(Struct, frozen=True):
    """What a path asks for: a level (None: the entries themselves), an index and a width."""

    level: int | None
    index: int
    width: int


class Frontier(Struct, frozen=True):
    """The right edge of a log: its size and, for each tile level, the hashes of its unfinished tile."""

    size: int = 0
    edges: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """Return the tree's root hash."""
        return span_hash((0, self.size), self._full)

    def _full(self, span: Span) -> bytes:
        level, row = divmod((span[1] - span[0]).bit_length() - 1, 8)
        start = (span[0] >> (8 * level)) % TILE_WIDTH
        return _reduce(self.edges[level][start * HASH_BYTES : (start + (1 << row)) * HASH_BYTES])


class Growth(Struct, frozen=True):
    """What an append made: the new frontier, the tiles that became full, the unfinished tiles that changed."""

    frontier: Frontier
    full: tuple[Tile, ...]
    partial: tuple[Tile, ...]


def append(frontier: Frontier, hashes: Sequence[bytes]) -> Growth:
    """Append leaf hashes to a log.

    The given frontier stays valid: a writer whose compare-and-set on the size fails drops the growth.
    """
    edges = list(frontier.edges)
    full: list[Tile] = []
    partial: list[Tile] = []
    fresh = b"".join(hashes)
    if len(fresh) != HASH_BYTES * len(hashes):
        raise ValueError("a leaf hash has 32 bytes")
    level = 0
    while fresh:
        if level == len(edges):
            edges.append(b"")
        row = edges[level] + fresh
        first = (frontier.size >> (8 * level)) // TILE_WIDTH
        whole = len(row) // TILE_BYTES
        done = [row[i * TILE_BYTES : (i + 1) * TILE_BYTES] for i in range(whole)]
        full += [Tile(level, first + i, tile) for i, tile in enumerate(done)]
        edges[level] = row[whole * TILE_BYTES :]
        if edges[level]:
            partial.append(Tile(level, first + whole, edges[level]))
        fresh = b"".join([_reduce(tile) for tile in done])
        level += 1
    return Growth(Frontier(frontier.size + len(hashes), tuple(edges)), tuple(full), tuple(partial))


def resume(size: int, fetch_tile: FetchTile) -> Frontier:
    """Rebuild the frontier of a log of `size` from its stored tiles (those of `tiles_for((), size)`)."""
    edges: list[bytes] = []
    level = 0
    while size >> (8 * level):
        index, width = divmod(size >> (8 * level), TILE_WIDTH)
        edges.append(_first(fetch_tile(level, index), width) if width else b"")
        level += 1
    return Frontier(size, tuple(edges))


def tiles_for(indexes: Iterable[int], size: int) -> set[TileKey]:
    """List the tiles that inclusion proofs of `indexes` in a tree of `size` read, and those of its right edge.

    A consistency proof from `old` needs the tiles for the leaf `old - 1`.
    """
    keys: set[TileKey] = set()
    leaves = set(indexes)
    level = 0
    while size >> (8 * level):
        count = size >> (8 * level)
        edge, width = divmod(count, TILE_WIDTH)
        if width:
            keys.add((level, edge))
        places = {index >> (8 * level) for index in leaves}
        keys.update((level, place // TILE_WIDTH) for place in places if place < count)
        level += 1
    return keys


class TiledTree:
    """A tree of a stated size, read from its tiles.

    A tile is fetched and hashed once while it stays among the `tiles_kept` last used (16 KiB each), so that
    thousands of proofs of one bundle, asked for in the order of their leaves, cost one pass over their tiles.
    """

    def __init__(self, size: int, fetch_tile: FetchTile, *, tiles_kept: int = 2048) -> None:
        """Read a tree of `size` leaves through `fetch_tile`."""
        self.size = size
        self._fetch_tile = fetch_tile
        self._rows = lru_cache(maxsize=tiles_kept)(self._read_rows)
        self._ragged: dict[Span, bytes] = {}

    def root(self) -> bytes:
        """Return the root hash."""
        return self._hash((0, self.size))

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Prove the leaf at `index`: the siblings' hashes, from the leaf upwards."""
        return [self._hash(span) for span in inclusion_spans(index, self.size)]

    def consistency_proof(self, old: int) -> list[bytes]:
        """Prove that this tree extends its first `old` leaves."""
        return [self._hash(span) for span in consistency_spans(old, self.size)]

    def _hash(self, span: Span) -> bytes:
        width = span[1] - span[0]
        if width & (width - 1) == 0 and width:
            return self._full(span)
        if span not in self._ragged:
            self._ragged[span] = span_hash(span, self._full)
        return self._ragged[span]

    def _full(self, span: Span) -> bytes:
        level, row = divmod((span[1] - span[0]).bit_length() - 1, 8)
        index, place = divmod(span[0] >> (8 * level), TILE_WIDTH)
        start = (place >> row) * HASH_BYTES
        return self._rows(level, index)[row][start : start + HASH_BYTES]

    def _read_rows(self, level: int, index: int) -> list[bytes]:
        width = min((self.size >> (8 * level)) - index * TILE_WIDTH, TILE_WIDTH)
        rows = [_first(self._fetch_tile(level, index), width)]
        while len(rows[-1]) >= 2 * HASH_BYTES:
            rows.append(fold_pairs(rows[-1][: len(rows[-1]) // 64 * 64]))
        return rows


def tree_of(hashes: Sequence[bytes]) -> TiledTree:
    """Hold a whole tree in memory: for small ones, as a seal's or a run's."""
    growth = append(Frontier(), hashes)
    tiles = {(tile.level, tile.index): tile.hashes for tile in (*growth.full, *growth.partial)}
    return TiledTree(len(hashes), lambda level, index: tiles[level, index])


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile of hashes below the log's prefix, as `tile/0/x001/067.p/12`."""
    return f"tile/{level}/{_grouped(index)}{_partial(width)}"


def parse_tile_path(path: str) -> TileAddress:
    """Read the path of a tile or of a bundle of entries; a path that is not the canonical one is a ValueError."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError("not a tile's path")
    kind, groups, partial = match.groups()
    address = TileAddress(
        None if kind == "entries" else int(kind),
        int(groups.replace("x", "").replace("/", "")),
        int(partial) if partial else TILE_WIDTH,
    )
    if _grouped(address.index) != groups or (partial and address.width >= TILE_WIDTH):
        raise ValueError("not a tile's path")
    return address


def pack_entries(leaves: Iterable[bytes]) -> bytes:
    """Write leaves as a bundle of entries: each a big-endian u16 length and the leaf's bytes."""
    parts: list[bytes] = []
    for leaf in leaves:
        if len(leaf) > ENTRY_BYTES_MAX:
            raise ValueError(f"a leaf has at most {ENTRY_BYTES_MAX} bytes")
        parts += (len(leaf).to_bytes(2), leaf)
    return b"".join(parts)


def _reduce(row: bytes) -> bytes:
    while len(row) > HASH_BYTES:
        row = fold_pairs(row)
    return row


def _first(hashes: bytes, width: int) -> bytes:
    if len(hashes) < width * HASH_BYTES:
        raise ValueError(f"a stored tile has {len(hashes)} bytes where {width} hashes are needed")
    return hashes[: width * HASH_BYTES]


def _grouped(index: int) -> str:
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])


def _partial(width: int) -> str:
    if not 1 <= width <= TILE_WIDTH:
        raise ValueError(f"a tile has 1 to {TILE_WIDTH} hashes")
    return "" if width == TILE_WIDTH else f".p/{width}"
