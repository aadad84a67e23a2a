"""Publishing: a partner's bundle of one window, written page by page from what its programme's log holds.

Nothing that is read here ever changes: the window is sealed, and the log only grows. So no snapshot and no connection
is held between two pages, and the same checkpoint gives the same bytes whenever the bundle is made.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct

from koinon.audit.appending import LogBroken
from koinon.audit.bundles import Bundle, BundleEntry, BundleWriter, Committed, Extended
from koinon.audit.logs import log_key
from koinon.audit.model import Opening
from koinon.audit.notes import open_note, parse_checkpoint
from koinon.audit.stored import ProvenInOrder, statements, stored_tree
from koinon.audit.tree import HASH_BYTES, verify_consistency
from koinon.database import Connection, pool
from koinon.parties.model import ContractTerms
from koinon.problems import Conflict
from koinon.runtime import Runtime

PAGE_ENTRIES = 640
"""About a megabyte of lines."""


class NotYetSigned(Conflict):
    """The window's seal or statement is not under a signed checkpoint yet."""

    code = "not-yet-signed"
    title = "The log has not signed this window yet; try again in a moment"


class CommittedStatement(Struct, frozen=True, kw_only=True):
    """A partner's statement as a run committed to it: its bytes, its salt, its place under the run leaf's root."""

    submission_id: UUID
    content: bytes
    salt: bytes
    root_index: int
    root_size: int
    root_proof: bytes


class SignedLog(Struct, frozen=True, kw_only=True):
    """A checkpoint of a log: its size and root, and the signed note that says so."""

    log_id: int
    size: int
    root: bytes
    note: str


class BundleBefore(Struct, frozen=True, kw_only=True):
    """The partner's bundle before this one: its window, and the size and root of the log that it was made under."""

    window_no: int
    size: int
    root: bytes


async def signed_log(connection: Connection, runtime: Runtime, programme_id: int) -> SignedLog:
    """Return the last signed checkpoint of a programme's log; raises NotYetSigned."""
    row = await connection.fetchrow(statements["signed_log"], programme_id)
    if row is None:
        raise NotYetSigned
    signed = parse_checkpoint(open_note(row["note"], [log_key(runtime, row["log_id"])]).text)
    return SignedLog(log_id=row["log_id"], size=signed.size, root=signed.root, note=row["note"])


async def extended(connection: Connection, before: BundleBefore, signed: SignedLog) -> Extended:
    """Prove that a signed log extends the one that the bundle before was made under; raises LogBroken."""
    if before.size > signed.size:
        raise LogBroken(f"the bundle of window {before.window_no} has {before.size} leaves, and the log {signed.size}")
    tree = await stored_tree(connection, signed.log_id, [before.size - 1], signed.size)
    proof = tree.consistency_proof(before.size)
    if not verify_consistency(before.size, signed.size, before.root, signed.root, proof):
        raise LogBroken(
            f"the log of {signed.size} leaves does not extend the one of window {before.window_no}'s bundle"
        )
    return Extended(window=before.window_no, size=before.size, proof=proof)


async def partner_bundle(
    runtime: Runtime,
    *,
    programme: tuple[int, str],
    partner: tuple[int, str],
    window_no: int,
    contracts: Sequence[ContractTerms],
    statement: CommittedStatement,
    signed: SignedLog,
    before: BundleBefore | None = None,
) -> AsyncIterator[bytes]:
    """Yield a partner's bundle in blocks of whole lines; `programme` and `partner` are (id, code).

    It is made under the checkpoint `signed`, and holds a page of entries at a time. Raises NotYetSigned when the run's
    leaf is not under that checkpoint, and LogBroken when the log does not extend the one that the bundle before was
    made under, or entries are missing.
    """
    async with pool().acquire() as connection:
        seal = await connection.fetchrow(statements["seal"], programme[0], window_no, partner[0])
        run = await connection.fetchrow(statements["submission"], statement.submission_id)
        if seal is None or run is None or run["leaf_index"] is None:
            raise NotYetSigned
        if max(seal["leaf_index"], run["leaf_index"]) >= signed.size:
            raise NotYetSigned
        extends = None if before is None else await extended(connection, before, signed)
        count = await connection.fetchval(statements["last_counter"], partner[0], window_no) or 0
    bundle = Bundle(
        programme=programme[1],
        partner=partner[1],
        window=window_no,
        key=log_key(runtime, signed.log_id),
        note=signed.note,
        extends=extends,
        contracts=contracts,
        seal=Committed(
            index=seal["leaf_index"],
            leaf=seal["leaf"],
            salt=seal["salt"],
            content=seal["content"],
            root_index=seal["root_index"],
            root_size=seal["root_size"],
            root_proof=_hashes(seal["root_proof"]),
        ),
        statement=Committed(
            index=run["leaf_index"],
            leaf=run["leaf"],
            salt=statement.salt,
            content=statement.content,
            root_index=statement.root_index,
            root_size=statement.root_size,
            root_proof=_hashes(statement.root_proof),
        ),
    )
    proven = ProvenInOrder(signed.log_id, signed.size)
    writer = BundleWriter(bundle, proven.prove)
    yield writer.head()
    for first in range(1, count + 1, PAGE_ENTRIES):
        last = min(first + PAGE_ENTRIES - 1, count)
        rows = await pool().fetch(statements["openings"], partner[0], window_no, first, last)
        if len(rows) != last - first + 1:
            raise LogBroken(f"of the entries {first} to {last} of {partner[1]} in window {window_no}, some are missing")
        await proven.turn_to(row["leaf_index"] for row in rows)
        # In a thread, so that the arithmetic of a million proofs keeps nobody waiting.
        yield await asyncio.to_thread(writer.entries, _entries(rows))
    await proven.turn_to([seal["leaf_index"], run["leaf_index"]])
    yield writer.foot()


def _entries(rows: Iterable[asyncpg.Record]) -> list[BundleEntry]:
    return [
        BundleEntry(
            index=row["leaf_index"],
            leaf=row["leaf"],
            opening=Opening(row["slot"], row["salt"], row["content"]),
            shared=None
            if row["shared_slot"] is None
            else Opening(row["shared_slot"], row["shared_salt"], row["shared_content"]),
        )
        for row in rows
    ]


def _hashes(proof: bytes) -> list[bytes]:
    return [proof[start : start + HASH_BYTES] for start in range(0, len(proof), HASH_BYTES)]
