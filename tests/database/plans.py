"""What PostgreSQL would do to run a statement: the parts of its plan that read many rows."""

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
        SELECT c.relname, n.nspname || '.' || c.relname AS name, c.reltuples,
            -- An index on an expression starts with the function that makes it.
            coalesce(a.attname, split_part(pg_get_indexdef(i.indexrelid, 1, true), '(', 1)) AS attname
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


class Part(NamedTuple):
    """A node of a plan, the schema of the table that it or the node above reads, and whether a LIMIT ends it early."""

    node: dict[str, Any]
    schema: str
    limited: bool


def parts(node: dict[str, Any], schema: str = "", *, limited: bool = False) -> Iterator[Part]:
    """Yield a plan node by node.

    What sorts, sums up or hashes reads all of its rows before it gives the first, and what filters may have to
    read on and on; an outer join leaves nothing out.
    """
    schema = node.get("Schema", schema)
    yield Part(node, schema, limited)
    kind = node["Node Type"]
    whole = (
        kind in {"Sort", "Hash", "Materialize"}
        or (kind == "Aggregate" and node["Strategy"] != "Sorted")
        or "Filter" in node
        or ("Join Filter" in node and node["Join Type"] != "Left")
    )
    for part in node.get("Plans", ()):
        yield from parts(part, schema, limited=(limited or kind == "Limit") and not whole)


def long_reads(plan: dict[str, Any], sizes: Sizes) -> list[str]:
    """Return what of a plan reads many rows: of a table, or of an index without a condition that leaves few.

    A condition counts that is on the column which the index starts with: what one on a later column alone leaves out
    has been read. How many rows it leaves is the planner's guess, unless a LIMIT ends the reading.
    """
    found = set()
    for node, schema, limited in parts(plan):
        narrowed = False
        if node["Node Type"] in {"Seq Scan", "Sample Scan"}:
            read = f"{schema}.{node['Relation Name']}"
        elif "Index Name" in node:
            read = f"{schema}.{node['Index Name']}"
            condition = rf"\((?:ROW\()?(?:\w+\.)?{sizes.first_columns[read]}\b"
            narrowed = re.search(condition, node.get("Index Cond", "")) is not None
            narrowed = narrowed and (limited or node["Plan Rows"] <= FEW)
        else:
            continue
        if not narrowed and sizes.rows[read] > FEW:
            found.add(f"{node['Node Type']} of {read}")
    return sorted(found)


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
