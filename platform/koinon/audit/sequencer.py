"""The sequencer: gives every journal its leaf, in batches, one process at a time.

It drains what is unmarked, never what lies behind a number, so that a transaction that committed late is not passed
over. No writer of the ledger waits for it. Leaves, tiles, openings and marks are one transaction.
"""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import asyncpg

from koinon.audit.effects import LoggedJournal, Part, Seen, effects
from koinon.audit.leaves import (
    SALT_BYTES,
    CommitmentTree,
    canonical,
    commitment,
    journal_leaf,
    seal_leaf,
    slots_for,
)
from koinon.audit.model import JournalFacts, JournalLeaf, PartyEffect, SealContent
from koinon.audit.stored import statements, stored_tiles
from koinon.audit.tiles import ENTRY_BYTES_MAX, append, resume
from koinon.audit.tree import leaf_hash
from koinon.clock import machine_now, rfc3339
from koinon.database import Connection, transaction
from koinon.ledger.names import journal_name
from koinon.runtime import Runtime

BATCH_JOURNALS = 2_000
BATCH_SUBMISSIONS = 100


class LogBroken(Exception):
    """What is stored of the log contradicts itself; nothing is appended or signed until a person has looked."""


class Numbered(NamedTuple):
    """An effect with its partner's counter."""

    seen: Seen
    counter: int


async def sequence(runtime: Runtime) -> bool:
    """Append one batch: unmarked journals, then handed-in leaves, then the seals of windows that are complete."""
    async with transaction() as connection:
        log = await connection.fetchrow(statements["lock_log"])
        if log is None:
            return False
        journals = _grouped(await connection.fetch(statements["unmarked_journals"], BATCH_JOURNALS))
        if journals:
            await append_journals(connection, runtime.keys.secret, log, journals)
            return True
        submissions = await connection.fetch(statements["unmarked_submissions"], BATCH_SUBMISSIONS)
        if submissions:
            first = await append_leaves(connection, log, [row["leaf"] for row in submissions])
            places = list(range(first, first + len(submissions)))
            await connection.execute(
                statements["mark_submissions"], [row["submission_id"] for row in submissions], places
            )
            return True
        for window in await connection.fetch(statements["sealable_windows"]):
            await seal_window(connection, log, window)
            return True
    return False


async def append_leaves(connection: Connection, log: asyncpg.Record, leaves: Sequence[bytes]) -> int:
    """Append leaves to the log that this transaction has locked, and return the first one's place.

    Raises LogBroken when a leaf is longer than an entry can be, when the stored tiles do not give the stored root, or
    when the size moved under the lock.
    """
    longest = max(map(len, leaves), default=0)
    if longest > ENTRY_BYTES_MAX:
        raise LogBroken(f"a leaf has {longest} bytes, and an entry of the log at most {ENTRY_BYTES_MAX}")
    frontier = resume(log["size"], await stored_tiles(connection, (), log["size"]))
    if frontier.root() != log["root"]:
        raise LogBroken(f"the tiles of {log['size']} leaves do not give the stored root")
    growth = append(frontier, [leaf_hash(leaf) for leaf in leaves])
    tiles = (*growth.full, *growth.partial)
    await connection.execute(statements["add_entries"], log["size"], list(leaves))
    await connection.execute(
        statements["put_tiles"],
        [tile.level for tile in tiles],
        [tile.index for tile in tiles],
        [tile.hashes for tile in tiles],
    )
    grown = await connection.fetchval(statements["grow_log"], log["size"], growth.frontier.size, growth.frontier.root())
    if grown != log["size"] + len(leaves):
        raise LogBroken(f"the log no longer has {log['size']} leaves")
    first: int = log["size"]
    return first


async def append_journals(
    connection: Connection, secret: bytes, log: asyncpg.Record, journals: Sequence[LoggedJournal]
) -> None:
    """Append a leaf per journal, number each party's effects, and keep what opens them; `secret` names the journals."""
    names = await _names(connection, journals)
    numbered = await _number(connection, journals)
    new_salt = _salts(sum(slots_for(len(each) * 2) for each in numbered))  # an effect and, at most, a piece each
    leaves = [_leaf(secret, journal, each, names, new_salt) for journal, each in zip(journals, numbered, strict=True)]
    first = await append_leaves(connection, log, [leaf.text for leaf in leaves])
    await _keep_openings(connection, journals, numbered, leaves, first)
    marked = await connection.execute(
        statements["mark_journals"],
        [journal.account_id for journal in journals],
        [journal.journal_id for journal in journals],
        list(range(first, first + len(journals))),
    )
    if marked != f"UPDATE {len(journals)}":
        raise LogBroken(f"{len(journals)} journals were appended and {marked} marked")


async def seal_window(connection: Connection, log: asyncpg.Record, window: asyncpg.Record) -> None:
    """Seal a closed window of which every journal has its leaf: each partner's last counter, sums and outstanding."""
    rows = await connection.fetch(statements["seal_figures"], window["programme_id"], window["window_no"])
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
                programme=window["programme"],
                window=str(window["window_no"]),
            )
        )
        for row, points in zip(rows, outstanding, strict=True)
    ]
    commitments = [commitment(salt, content) for salt, content in zip(salts, contents, strict=True)]
    tree = CommitmentTree(commitments)
    leaf = seal_leaf(rfc3339(machine_now()), window["programme"], window["window_no"], tree.root)
    place = await append_leaves(connection, log, [leaf])
    places = [tree.place(item) for item in commitments]
    await connection.execute(
        statements["add_seals"], window["programme_id"], window["window_no"], place, tree.size,
        [row["partner_id"] for row in rows], salts, contents, outstanding, [index for index, _ in places],
        [b"".join(proof) for _, proof in places],
    )  # fmt: skip
    await connection.execute(statements["set_sealed"], window["programme_id"], window["window_no"])


def _grouped(rows: Sequence[asyncpg.Record]) -> list[LoggedJournal]:
    parts: dict[tuple[int, object], list[Part]] = {}
    heads: dict[tuple[int, object], asyncpg.Record] = {}
    for row in rows:
        key = (row["account_id"], row["journal_id"])
        heads.setdefault(key, row)
        parts.setdefault(key, []).append(
            Part(row["issuer_id"], row["issuer_version"], row["acceptor_id"], row["acceptor_version"], row["points"])
        )
    return [
        LoggedJournal(
            account_id=head["account_id"],
            journal_id=head["journal_id"],
            kind=head["kind"],
            recorded_at=head["recorded_at"],
            programme_id=head["programme_id"],
            window_no=head["window_no"],
            unit_id=head["unit_id"],
            parts=tuple(parts[key]),
        )
        for key, head in heads.items()
    ]


async def _names(connection: Connection, journals: Sequence[LoggedJournal]) -> dict[int, str]:
    partners = {part.issuer_id for journal in journals for part in journal.parts}
    partners |= {part.acceptor_id for journal in journals for part in journal.parts if part.acceptor_id is not None}
    rows = await connection.fetch(
        statements["names"],
        sorted(partners),
        sorted({journal.programme_id for journal in journals}),
        sorted({journal.unit_id for journal in journals}),
    )
    return {row["id"]: row["code"] for row in rows}


async def _number(connection: Connection, journals: Sequence[LoggedJournal]) -> list[list[Numbered]]:
    """Give every effect its partner's next counter in its window: dense, in the order of the leaves."""
    seen = [effects(journal) for journal in journals]
    keys = sorted(
        {
            (effect.partner_id, journal.window_no)
            for journal, each in zip(journals, seen, strict=True)
            for effect in each
        }
    )
    rows = await connection.fetch(
        statements["last_counters"], [partner for partner, _ in keys], [window for _, window in keys]
    )
    counters = {(row["partner_id"], row["window_no"]): row["counter"] for row in rows}
    numbered: list[list[Numbered]] = []
    for journal, each in zip(journals, seen, strict=True):
        numbered.append([])
        for effect in each:
            counters[effect.partner_id, journal.window_no] += 1
            numbered[-1].append(Numbered(effect, counters[effect.partner_id, journal.window_no]))
    return numbered


def _leaf(
    secret: bytes,
    journal: LoggedJournal,
    numbered: Sequence[Numbered],
    names: dict[int, str],
    new_salt: Callable[[], bytes],
) -> JournalLeaf:
    facts = JournalFacts(
        journal=journal_name(secret, journal.account_id, journal.journal_id),
        at=rfc3339(journal.recorded_at),
        programme=names[journal.programme_id],
        window=journal.window_no,
    )
    unit = names[journal.unit_id]
    return journal_leaf(
        facts,
        [
            PartyEffect(
                partner=names[seen.partner_id],
                effect=seen.effect,
                points=seen.points,
                unit=unit,
                version=seen.version,
                counter=counter,
                piece=seen.piece,
            )
            for seen, counter in numbered
        ],
        new_salt,
    )


def _salts(count: int) -> Callable[[], bytes]:
    """Return a source of fresh salts that asks the system for randomness once."""
    source = os.urandom(SALT_BYTES * count)
    places = iter(range(0, len(source), SALT_BYTES))

    def new_salt() -> bytes:
        place = next(places)
        return source[place : place + SALT_BYTES]

    return new_salt


async def _keep_openings(
    connection: Connection,
    journals: Sequence[LoggedJournal],
    numbered: Sequence[Sequence[Numbered]],
    leaves: Sequence[JournalLeaf],
    first: int,
) -> None:
    rows = []
    for place, (journal, each, leaf) in enumerate(zip(journals, numbered, leaves, strict=True), start=first):
        for (seen, counter), opening in zip(each, leaf.effects, strict=True):
            shared = leaf.pieces[seen.piece] if seen.piece is not None else None
            rows.append(
                (
                    seen.partner_id, journal.window_no, counter, journal.programme_id, place, opening.slot,
                    opening.salt, opening.content, seen.effect.value, seen.points, seen.version,
                    seen.counterparty_id, seen.counterparty_version,
                    shared.slot if shared else None, shared.salt if shared else None,
                    shared.content if shared else None,
                )
            )  # fmt: skip
    await connection.execute(statements["add_openings"], *map(list, zip(*rows, strict=True)))
