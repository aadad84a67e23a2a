"""What an earning costs on disk: how much every table grew, with its indexes and what is stored out of line."""

from collections import Counter
from collections.abc import Mapping

import asyncpg

SIZES = """
SELECT n.nspname || '.' || c.relname AS name, pg_total_relation_size(c.oid) AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


class Growth:
    """The bytes that tables grew by while earnings were written, over several looks."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.earnings = 0
        self.grown: Counter[str] = Counter()

    def add(self, earnings: int, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """Add what so many earnings made of the sizes before them."""
        self.earnings += earnings
        self.grown.update({name: size - before.get(name, 0) for name, size in after.items()})

    def an_earning(self) -> dict[str, int]:
        """Return the bytes an earning by table, the largest first; tables that did not grow are left out."""
        if self.earnings == 0:
            return {}
        rounded = {name: round(grown / self.earnings) for name, grown in self.grown.most_common()}
        return {name: size for name, size in rounded.items() if size > 0}


async def sizes(url: str) -> dict[str, int]:
    """Return the bytes of every table of a database."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(SIZES)
    await connection.close()
    return {row["name"]: row["bytes"] for row in rows}
