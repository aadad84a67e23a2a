"""The stored tree: tiles as the database keeps them."""

from collections.abc import Iterable

from koinon.audit.tiles import FetchTile, TiledTree, tiles_for
from koinon.database import Connection, beside

statements = beside(__file__)


async def stored_tiles(connection: Connection, indexes: Iterable[int], size: int) -> FetchTile:
    """Read the tiles that proofs of `indexes` in a tree of `size` need, and its right edge, in one look."""
    keys = sorted(tiles_for(indexes, size))
    rows = await connection.fetch(statements["tiles"], [level for level, _ in keys], [index for _, index in keys])
    stored = {(row["level"], row["tile_index"]): row["hashes"] for row in rows}
    return lambda level, index: stored[level, index]


async def stored_tree(connection: Connection, indexes: Iterable[int], size: int) -> TiledTree:
    """Return the tree of a size, ready to prove the leaves at `indexes`; the last leaf is always among them."""
    return TiledTree(size, await stored_tiles(connection, (*indexes, size - 1), size))
