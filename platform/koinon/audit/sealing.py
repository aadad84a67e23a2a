"""Sealing a window: what it comes to for each partner, committed to in one leaf."""

import os

import asyncpg

from koinon.audit.appending import Programme, append_leaves
from koinon.audit.leaves import SALT_BYTES, CommitmentTree, canonical, commitment, seal_leaf
from koinon.audit.model import SealContent
from koinon.audit.stored import statements
from koinon.clock import machine_now, rfc3339
from koinon.database import Connection


async def seal_next_window(connection: Connection, locked: asyncpg.Record, programme: Programme) -> bool:
    """Seal a programme's next window when it is closed and each of its journals has a leaf; tells whether it was."""
    window = await connection.fetchrow(statements["first_unsealed_window"], programme.programme_id)
    if window is None or window["state"] != "CLOSED":
        return False
    # Asked after the state: a closed window never grows.
    if await connection.fetchval(statements["has_unmarked"], programme.programme_id, window["window_no"]):
        return False
    await _seal_window(connection, locked, programme, window["window_no"])
    return True


async def _seal_window(connection: Connection, locked: asyncpg.Record, programme: Programme, window_no: int) -> None:
    """Seal a closed window: each partner's last counter, sums and outstanding points."""
    rows = await connection.fetch(statements["seal_figures"], programme.programme_id, window_no)
    outstanding = [row["outstanding"] + row["issued"] - row["honoured"] - row["expired"] for row in rows]
    salts = [os.urandom(SALT_BYTES) for _ in rows]
    contents = [
        canonical(
            SealContent(
                accepted=str(row["accepted"]),
                counter=str(row["counter"]),
                expired=str(row["expired"]),
                honoured=str(row["honoured"]),
                issued=str(row["issued"]),
                outstanding=str(points),
                partner=row["code"],
                programme=programme.code,
                window=str(window_no),
            )
        )
        for row, points in zip(rows, outstanding, strict=True)
    ]
    commitments = [commitment(salt, content) for salt, content in zip(salts, contents, strict=True)]
    tree = CommitmentTree(commitments)
    leaf = seal_leaf(rfc3339(machine_now()), programme.code, window_no, tree.root)
    leaf_index = await append_leaves(connection, locked, [leaf])
    paths = [tree.path(item) for item in commitments]
    await connection.execute(
        statements["add_seals"], programme.programme_id, window_no, programme.log_id, leaf_index, tree.size,
        [row["partner_id"] for row in rows], salts, contents, outstanding, [index for index, _ in paths],
        [b"".join(proof) for _, proof in paths],
    )  # fmt: skip
    await connection.execute(statements["set_sealed"], programme.programme_id, window_no)
