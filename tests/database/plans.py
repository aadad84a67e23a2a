"""What PostgreSQL would do to run a statement: the parts of its plan that read a table or an index whole."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import asyncpg
import msgspec

# So many rows may be read whole: a table of what stands, or an index of what is not done yet.
FEW = 10_000


class Sizes(NamedTuple):
    """How many rows tables and indexes have, and the column that each index starts with."""

    rows: dict[str, float]
    first_columns: dict[str, str]


async def sizes(connection: asyncpg.Connection) -> Sizes:
    """Return what the last ANALYZE has found."""
    relations = await connection.fetch(
        """
        SELECT c.relname, n.nspname || '.' || c.relname AS name, c.reltuples, a.attname
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_index i ON i.indexrelid = c.oid
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE c.relkind IN ('r', 'i')
        """
    )
    return Sizes(
        {row["name"]: row["reltuples"] for row in relations},
        {row["name"]: row["attname"] for row in relations if row["attname"]},
    )


def _nodes(node: dict[str, Any], schema: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each node of a plan under the schema of the table that it or the node above reads."""
    schema = node.get("Schema", schema)
    yield schema, node
    for part in node.get("Plans", ()):
        yield from _nodes(part, schema)


def whole_reads(plan: dict[str, Any], sizes: Sizes) -> list[str]:
    """Return what a plan reads from end to end that is not small: tables, and indexes that nothing narrows down.

    An index is narrowed down by a condition on the column that it starts with; what a condition on a later column
    alone leaves out has been read.
    """
    found = []
    for schema, node in _nodes(plan):
        if node["Node Type"] in {"Seq Scan", "Sample Scan"}:
            read, narrowed = f"{schema}.{node['Relation Name']}", False
        elif "Index Name" in node:
            read = f"{schema}.{node['Index Name']}"
            column = sizes.first_columns[read]
            narrowed = re.search(rf"\((?:ROW\()?(?:\w+\.)?{column}\b", node.get("Index Cond", "")) is not None
        else:
            continue
        if not narrowed and sizes.rows[read] > FEW:
            found.append(f"{node['Node Type']} of {read}")
    return sorted(set(found))


async def planned(connection: asyncpg.Connection, sql: str, arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Return the plan that a statement has whatever its parameters are, or with these expressions for them."""
    parameters = (await connection.prepare(sql)).get_parameters()
    given = ", ".join(arguments or ["NULL"] * len(parameters))
    mode = "force_custom_plan" if arguments else "force_generic_plan"
    await connection.execute(f"SET plan_cache_mode = {mode}; PREPARE planned AS {sql}")
    try:
        explained = await connection.fetchval(
            f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE planned{f'({given})' if given else ''}"
        )
    finally:
        await connection.execute("DEALLOCATE planned")
    plan: dict[str, Any] = msgspec.json.decode(explained)[0]["Plan"]
    return plan
