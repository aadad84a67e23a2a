"""A search of the whole database, every column of every table, for a text in every form that it could be kept in."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import asyncpg

COLUMNS = """
SELECT a.attrelid::regclass::text AS place, a.attname AS name, a.atttypid = 'bytea'::regtype AS raw,
    a.atttypid = 'bytea[]'::regtype AS raws
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY 1, 2
"""


def forms(text: str) -> Iterator[str]:
    """Yield a text as it could stand in a column: itself, escaped, in hex and base64, and its hashes without a key."""
    data = text.encode()
    yield from (text, json.dumps(text)[1:-1], quote(text), data.hex(), text.encode("utf-16-le").hex())
    yield from base64_cores(data)
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, data, usedforsecurity=False).digest()
        yield from (digest.hex(), base64.b64encode(digest).decode().rstrip("="))


def base64_cores(data: bytes) -> Iterator[str]:
    """Yield the symbols of base64 that data has wherever it begins, in both alphabets."""
    for before in range(3):
        symbols = base64.b64encode(bytes(before) + data)
        first = -(-before * 4 // 3)
        last = (before + len(data)) * 4 // 3
        core = symbols[first:last].decode()
        yield core
        yield core.replace("+", "-").replace("/", "_")


def standing_in(cells: Iterable[str], texts: Iterable[str]) -> set[str]:
    """Return the texts that stand in any cell, in any form and in capitals or not."""
    held = "\n".join(cells).casefold()
    return {text for text in texts if any(form.casefold() in held for form in forms(text))}


async def found_in(connection: asyncpg.Connection, texts: Iterable[str]) -> dict[str, set[str]]:
    """Return `schema.table.column` → the texts that stand in it; the connection may read everything."""
    texts = list(texts)
    found: dict[str, set[str]] = {}
    for column in await connection.fetch(COLUMNS):
        name = column["name"]
        rows = await connection.fetch(f'SELECT "{name}" AS value, "{name}"::text AS text FROM {column["place"]}')  # noqa: S608  # names of the catalogue
        cells = [row["text"] for row in rows if row["text"] is not None]
        if column["raw"] or column["raws"]:
            # What looks like bytes may be text: of it, too, every form is looked for.
            values = [row["value"] for row in rows if row["value"] is not None]
            flat = values if column["raw"] else [each for value in values for each in value]
            cells += [decoded for each in flat for decoded in (each.decode("latin-1"), each.decode("utf-8", "ignore"))]
        if standing := standing_in(cells, texts):
            found[f"{column['place']}.{name}"] = standing
    return found
