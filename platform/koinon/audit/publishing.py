"""Publishing: a partner's bundle of one window, from what the log holds."""

from collections.abc import Iterator, Sequence
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct

from koinon.audit.bundles import Bundle, BundleEntry, Committed, Extended, bundle_lines
from koinon.audit.model import Opening
from koinon.audit.notes import Checkpoint, open_note, parse_checkpoint
from koinon.audit.sequencer import LogBroken
from koinon.audit.signing import log_key
from koinon.audit.stored import statements, stored_tree
from koinon.audit.tree import HASH_BYTES, verify_consistency
from koinon.database import Connection
from koinon.parties.model import ContractTerms
from koinon.problems import Conflict
from koinon.runtime import Runtime


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


class BundleBefore(Struct, frozen=True):
    """The partner's bundle before this one: its window, and its first bytes, with its checkpoint's line among them."""

    window_no: int
    start: bytes


async def partner_bundle(
    connection: Connection,
    runtime: Runtime,
    *,
    programme: tuple[int, str],
    partner: tuple[int, str],
    window_no: int,
    contracts: Sequence[ContractTerms],
    statement: CommittedStatement,
    before: BundleBefore | None = None,
) -> Iterator[bytes]:
    """Return the lines of a partner's bundle; `programme` and `partner` are (id, code).

    Raises NotYetSigned until the log has signed the run's leaf, and LogBroken when the log does not extend the one that
    the bundle before was made under.
    """
    state = await connection.fetchrow(statements["log_state"])
    seal = await connection.fetchrow(statements["seal"], programme[0], window_no, partner[0])
    run = await connection.fetchrow(statements["submission"], statement.submission_id)
    if state["note"] is None or seal is None or run is None or run["leaf_index"] is None:
        raise NotYetSigned
    signed = parse_checkpoint(open_note(state["note"], [log_key(runtime)]).text)
    size = signed.size
    if max(seal["leaf_index"], run["leaf_index"]) >= size:
        raise NotYetSigned
    extends = None if before is None else await _extended(connection, runtime, before, signed)
    openings = await connection.fetch(statements["openings"], partner[0], window_no)
    tree = await stored_tree(connection, [row["leaf_index"] for row in (*openings, seal, run)], size)
    bundle = Bundle(
        programme=programme[1],
        partner=partner[1],
        window=window_no,
        key=log_key(runtime),
        note=state["note"],
        extends=extends,
        contracts=contracts,
        entries=(_entry(row) for row in openings),
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
    return bundle_lines(bundle, tree.inclusion_proof)


async def _extended(connection: Connection, runtime: Runtime, before: BundleBefore, signed: Checkpoint) -> Extended:
    """Prove that the signed log extends the one of the bundle before."""
    note = msgspec.json.decode(before.start.split(b"\n", 2)[1])["note"]
    old = parse_checkpoint(open_note(note, [log_key(runtime)]).text)
    if old.size > signed.size:
        raise LogBroken(f"the bundle of window {before.window_no} has {old.size} leaves, and the log {signed.size}")
    tree = await stored_tree(connection, [old.size - 1], signed.size)
    proof = tree.consistency_proof(old.size)
    if not verify_consistency(old.size, signed.size, old.root, signed.root, proof):
        raise LogBroken(
            f"the log of {signed.size} leaves does not extend the one of window {before.window_no}'s bundle"
        )
    return Extended(window=before.window_no, size=old.size, proof=proof)


def _entry(row: asyncpg.Record) -> BundleEntry:
    shared = (
        Opening(row["shared_slot"], row["shared_salt"], row["shared_content"])
        if row["shared_slot"] is not None
        else None
    )
    return BundleEntry(
        index=row["leaf_index"],
        leaf=row["leaf"],
        opening=Opening(row["slot"], row["salt"], row["content"]),
        shared=shared,
    )


def _hashes(proof: bytes) -> list[bytes]:
    return [proof[place : place + HASH_BYTES] for place in range(0, len(proof), HASH_BYTES)]
