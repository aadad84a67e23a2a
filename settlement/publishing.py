"""Publishing a run: once the log has signed its leaf, every partner's bundle is archived as the bytes that it gets.

One bundle a call, so that it may be cut off at any point; a bundle that was archived is never made again.
"""

import asyncio
from collections.abc import Iterable, Iterator
from hashlib import sha256

import msgspec
import structlog
from msgspec import Struct

from koinon.audit.model import Statement
from koinon.audit.publishing import BundleBefore, CommittedStatement, NotYetSigned, partner_bundle
from koinon.database import pool, transaction
from koinon.ids import public
from koinon.parties.model import contract_line
from koinon.parties.operations import programme_contracts
from koinon.runtime import Runtime
from settlement.books import statements
from settlement.operations import clear_alerts, locked_run, move_run
from settlement.states import RunState

PART_BYTES = 1024 * 1024

log = structlog.get_logger(__name__)
decode_statement = msgspec.json.Decoder(Statement).decode


class Pieces(Struct, frozen=True):
    """A bundle in pieces, with the size and the hash of the whole."""

    parts: list[bytes]
    size_bytes: int
    sha256: bytes


async def publish_part(runtime: Runtime, run_id: int) -> bool:
    """Archive one more bundle of a calculated run, or publish the run when it has them all; tells whether it could.

    False until the log has signed the run's leaf and every earlier window's run is published, and once this one is.
    """
    if not await pool().fetchval(statements["may_publish"], run_id):
        return False
    row = await pool().fetchrow(statements["unpublished_statement"], run_id)
    if row is None:
        async with transaction() as connection:
            run = await locked_run(connection, run_id)
            if run is None or run.state != RunState.CALCULATED:
                return False
            await move_run(connection, run_id, RunState.PUBLISHED, None)
            await clear_alerts(connection, run.programme_id, run.window_no)
        log.info("run published", run=public("run", run_id), window=run.window_no)
        return True
    named = {reference.version for reference in decode_statement(row["content"]).contracts}
    # Read without a transaction: what is read never changes, and no snapshot is held while the proofs are made.
    async with pool().acquire() as connection:
        contracts = [
            contract_line(contract)
            for contract in await programme_contracts(connection, row["programme_id"])
            if contract.partner == row["partner"] and str(contract.version) in named
        ]
        before = await connection.fetchrow(statements["bundle_before"], row["partner_id"], row["window_no"])
        try:
            lines = await partner_bundle(
                connection,
                runtime,
                programme=(row["programme_id"], row["programme"]),
                partner=(row["partner_id"], row["partner"]),
                window_no=row["window_no"],
                contracts=contracts,
                before=None if before is None else BundleBefore(**before),
                statement=CommittedStatement(**{name: row[name] for name in CommittedStatement.__struct_fields__}),
            )
        except NotYetSigned:
            return False
    await _archive(run_id, row["partner_id"], await asyncio.to_thread(_pieces, lines))
    return True


async def _archive(run_id: int, partner_id: int, bundle: Pieces) -> None:
    """Keep a bundle as its bytes; of two that were made at once, the first is kept."""
    async with transaction() as connection:
        added = await connection.fetchval(
            statements["add_bundle"], run_id, partner_id, bundle.size_bytes, bundle.sha256
        )
        if added is None:
            return
        for part_no, part in enumerate(bundle.parts, 1):
            await connection.execute(statements["add_bundle_part"], run_id, partner_id, part_no, part)


def _pieces(lines: Iterator[bytes]) -> Pieces:
    digest, size = sha256(), 0
    parts: list[bytes] = []
    for part in _filled(lines):
        digest.update(part)
        size += len(part)
        parts.append(part)
    return Pieces(parts, size, digest.digest())


def _filled(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to pieces of at least PART_BYTES; the last one may be smaller."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= PART_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
