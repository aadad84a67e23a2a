"""Publishing a run: once the log has signed its leaf, every partner's bundle is archived as the bytes that it gets.

One bundle a call, a piece a transaction, so that it may be cut off at any point: the checkpoint that it is made under
is fixed first, and so the pieces that are there already are those that are made again. A bundle that was archived is
never made again.
"""

from collections.abc import AsyncIterator
from hashlib import sha256

import asyncpg
import msgspec
import structlog

from koinon.audit.model import Statement
from koinon.audit.publishing import (
    BundleBefore,
    CommittedStatement,
    NotYetSigned,
    SignedLog,
    extended,
    partner_bundle,
    signed_log,
)
from koinon.database import Connection, pool, transaction
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


class BundleDiffers(Exception):
    """A piece of a bundle that is there is not the one that is made now: nobody may be given either before a look."""


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
    async with pool().acquire() as connection:
        contracts = [
            contract_line(contract)
            for contract in await programme_contracts(connection, row["programme_id"])
            if contract.partner == row["partner"] and str(contract.version) in named
        ]
        try:
            signed, before = await _begun(connection, runtime, run_id, row)
        except NotYetSigned:
            return False
    blocks = partner_bundle(
        runtime,
        programme=(row["programme_id"], row["programme"]),
        partner=(row["partner_id"], row["partner"]),
        window_no=row["window_no"],
        contracts=contracts,
        statement=CommittedStatement(**{name: row[name] for name in CommittedStatement.__struct_fields__}),
        signed=signed,
        before=before,
    )
    await _archive(run_id, row["partner_id"], blocks)
    return True


async def _begun(
    connection: Connection, runtime: Runtime, run_id: int, row: asyncpg.Record
) -> tuple[SignedLog, BundleBefore | None]:
    """Return the checkpoint that a bundle is made under and the bundle before; the first who asks fixes both.

    Raises NotYetSigned, and LogBroken when the log does not extend the one of the bundle before.
    """
    begun = await connection.fetchrow(statements["begun_bundle"], run_id, row["partner_id"])
    if begun is None:
        signed = await signed_log(connection, runtime, row["programme_id"])
        before = await connection.fetchrow(statements["bundle_before"], row["partner_id"], row["window_no"])
        if before is not None:
            await extended(
                connection, BundleBefore(**{name: before[name] for name in ("window_no", "size", "root")}), signed
            )
        await connection.execute(
            statements["begin_bundle"], run_id, row["partner_id"], signed.log_id, signed.size, signed.root,
            signed.note, None if before is None else before["run_id"],
        )  # fmt: skip
        begun = await connection.fetchrow(statements["begun_bundle"], run_id, row["partner_id"])
    fixed = SignedLog(**{name: begun[name] for name in SignedLog.__struct_fields__})
    if begun["before_window"] is None:
        return fixed, None
    return fixed, BundleBefore(window_no=begun["before_window"], size=begun["before_size"], root=begun["before_root"])


async def _archive(run_id: int, partner_id: int, blocks: AsyncIterator[bytes]) -> None:
    """Keep a bundle as its bytes, a piece at a time; of two that are made at once, each keeps what the other has not.

    Raises BundleDiffers when a piece that is there is another one: the bundle was begun by another release.
    """
    digest, size, part_no = sha256(), 0, 0
    async for part in _filled(blocks):
        part_no += 1
        piece = run_id, partner_id, part_no, part
        added = await pool().fetchval(statements["add_bundle_part"], *piece)
        if added is None and not await pool().fetchval(statements["has_bundle_part"], *piece):
            raise BundleDiffers(f"piece {part_no} of the bundle of {public('par', partner_id)}")
        digest.update(part)
        size += len(part)
    await pool().execute(statements["add_bundle"], run_id, partner_id, size, digest.digest())


async def _filled(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join blocks to pieces of at least PART_BYTES; the last one may be smaller."""
    waiting: list[bytes] = []
    size = 0
    async for block in blocks:
        waiting.append(block)
        size += len(block)
        if size >= PART_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
