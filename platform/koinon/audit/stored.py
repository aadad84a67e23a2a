"""The stored trees: tiles as the database keeps them."""

from collections.abc import Iterable

from koinon.audit.tiles import FetchTile, TiledTree, TileKey, tiles_for
from koinon.database import Connection, beside, pool

statements = beside(__file__)

TILES_HASHED = 64
"""How many hashed tiles a tree keeps whose leaves are proven in their order; each is then hashed once or twice."""


async def stored_tiles(connection: Connection, log_id: int, indexes: Iterable[int], size: int) -> FetchTile:
    """Read the tiles that proofs of `indexes` in a tree of `size` need, and its right edge, in one look."""
    stored = await _fetched(connection, log_id, tiles_for(indexes, size))
    return lambda level, index: stored[level, index]


async def stored_tree(connection: Connection, log_id: int, indexes: Iterable[int], size: int) -> TiledTree:
    """Return a log's tree of a size, ready to prove the leaves at `indexes`; the last leaf is always among them."""
    return TiledTree(size, await stored_tiles(connection, log_id, (*indexes, size - 1), size))


class ProvenInOrder:
    """A log's tree of a size, for proofs of many leaves in their order: it holds the tiles of one page at a time."""

    def __init__(self, log_id: int, size: int) -> None:
        """Take which tree; nothing is read yet."""
        self._log_id = log_id
        self._held: dict[TileKey, bytes] = {}
        self._tree = TiledTree(size, lambda level, index: self._held[level, index], tiles_kept=TILES_HASHED)

    async def turn_to(self, indexes: Iterable[int]) -> None:
        """Read what proofs of these leaves need and was not read for the page before, and let go of the rest."""
        needed = tiles_for((*indexes, self._tree.size - 1), self._tree.size)
        async with pool().acquire() as connection:
            fetched = await _fetched(connection, self._log_id, needed - self._held.keys())
        self._held = {key: self._held[key] for key in needed & self._held.keys()} | fetched

    def prove(self, index: int) -> list[bytes]:
        """Prove a leaf of the page that was turned to."""
        return self._tree.inclusion_proof(index)


async def _fetched(connection: Connection, log_id: int, keys: Iterable[TileKey]) -> dict[TileKey, bytes]:
    wanted = sorted(keys)
    rows = await connection.fetch(
        statements["tiles"], log_id, [level for level, _ in wanted], [index for _, index in wanted]
    )
    return {(row["level"], row["tile_index"]): row["hashes"] for row in rows}
