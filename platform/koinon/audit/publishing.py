"""Publishing: a partner's bundle of one window, from what the log holds."""

from collections.abc import Iterator, Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct

from koinon.audit.bundles import Bundle, BundleEntry, Committed, bundle_lines
from koinon.audit.model import ContractTerms, Opening
from koinon.audit.notes import open_note, parse_checkpoint
from koinon.audit.signing import log_key
from koinon.audit.stored import statements, stored_tree
from koinon.audit.tree import HASH_BYTES
from koinon.database import Connection
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


async def partner_bundle(
    connection: Connection,
    runtime: Runtime,
    *,
    programme: tuple[int, str],
    partner: tuple[int, str],
    window_no: int,
    contracts: Sequence[ContractTerms],
    statement: CommittedStatement,
) -> Iterator[bytes]:
    """Return the lines of a partner's bundle; `programme` and `partner` are (id, code).

    Raises NotYetSigned until the log has signed the run's leaf.
    """
    state = await connection.fetchrow(statements["log_state"])
    seal = await connection.fetchrow(statements["seal"], programme[0], window_no, partner[0])
    run = await connection.fetchrow(statements["submission"], statement.submission_id)
    if state["note"] is None or seal is None or run is None or run["leaf_index"] is None:
        raise NotYetSigned
    size = parse_checkpoint(open_note(state["note"], [log_key(runtime)]).text).size
    if max(seal["leaf_index"], run["leaf_index"]) >= size:
        raise NotYetSigned
    openings = await connection.fetch(statements["openings"], partner[0], window_no)
    tree = await stored_tree(connection, [row["leaf_index"] for row in (*openings, seal, run)], size)
    bundle = Bundle(
        programme=programme[1],
        partner=partner[1],
        window=window_no,
        key=log_key(runtime),
        note=state["note"],
        contracts=contracts,
        entries=[_entry(row) for row in openings],
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
