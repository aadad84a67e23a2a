"""Appending to a log that the transaction has locked: leaves with their tiles, and journals with what opens them.

Leaves, tiles, openings, running totals and marks are one transaction.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import asyncpg
import structlog
from msgspec import Struct

from koinon.audit.alerts import NO_LEAF, UNEXPECTED, Pauses, SetAsideJournal, Still, clear_journals, set_aside
from koinon.audit.effects import EffectOn, LoggedJournal, NoLeaf, Part, effects
from koinon.audit.leaves import SALT_BYTES, journal_leaf, slots_for
from koinon.audit.model import JournalFacts, JournalLeaf, PartyEffect
from koinon.audit.stored import statements, stored_tiles
from koinon.audit.tiles import ENTRY_BYTES_MAX, append, resume
from koinon.audit.tree import leaf_hash
from koinon.clock import rfc3339
from koinon.database import Connection
from koinon.ledger.names import journal_name

BATCH_JOURNALS = 2_000
SET_ASIDE_MOST = 1_000
"""A programme of which so many journals stand aside waits as a whole."""

log = structlog.get_logger(__name__)


class LogBroken(Exception):
    """What is stored of the log contradicts itself; nothing is appended or signed until a person has looked."""


class Programme(Struct, frozen=True, kw_only=True):
    """A programme, and the log that its leaves go to."""

    programme_id: int
    code: str
    log_id: int


class Numbered(NamedTuple):
    """An effect with its partner's counter."""

    seen: EffectOn
    counter: int


class Made(NamedTuple):
    """A journal with its numbered effects and its leaf."""

    journal: LoggedJournal
    effects: list[Numbered]
    leaf: JournalLeaf


async def append_leaves(connection: Connection, locked: asyncpg.Record, leaves: Sequence[bytes]) -> int:
    """Append leaves to the log that this transaction has locked, and return the first one's index.

    Raises LogBroken when the stored tiles do not give the stored root, or when the size moved under the lock.
    """
    log_id, size = locked["log_id"], locked["size"]
    frontier = resume(size, await stored_tiles(connection, log_id, (), size))
    if frontier.root() != locked["root"]:
        raise LogBroken(f"the tiles of {size} leaves do not give the stored root")
    growth = append(frontier, [leaf_hash(leaf) for leaf in leaves])
    tiles = (*growth.full, *growth.partial)
    await connection.execute(statements["add_entries"], log_id, size, list(leaves))
    await connection.execute(
        statements["put_tiles"],
        log_id,
        [tile.level for tile in tiles],
        [tile.index for tile in tiles],
        [tile.hashes for tile in tiles],
    )
    grown = await connection.fetchval(
        statements["grow_log"], log_id, size, growth.frontier.size, growth.frontier.root()
    )
    if grown != size + len(leaves):
        raise LogBroken(f"the log no longer has {size} leaves")
    first: int = size
    return first


async def append_journals(
    connection: Connection, secret: bytes, locked: asyncpg.Record, programme: Programme, pauses: Pauses
) -> bool:
    """Append a leaf per journal of a batch, number each party's effects, and keep what opens them.

    `secret` names the journals. A journal that cannot become a leaf is set aside alone, with an alert; its window is
    not sealed until it has one. Tells whether any was appended.
    """
    aside, waiting = pauses.journals(programme.programme_id)
    if len(waiting) >= SET_ASIDE_MOST:
        return False
    rows = await connection.fetch(statements["unmarked_journals"], programme.programme_id, BATCH_JOURNALS, waiting)
    batch = _Batch(secret, programme, _grouped(rows))
    made = await batch.make(connection)
    if batch.refused:
        still = Still(log_id=programme.log_id, code=NO_LEAF, programme_id=programme.programme_id)
        await set_aside(connection, still, batch.refused)
    if not made:
        return False
    first = await append_leaves(connection, locked, [each.leaf.text for each in made])
    await _keep_openings(connection, programme, made, first)
    await _keep_totals(connection, programme, made)
    marked = await connection.fetchval(
        statements["mark_journals"],
        [each.journal.account_id for each in made],
        [each.journal.journal_id for each in made],
        list(range(first, first + len(made))),
    )
    if marked != len(made):
        raise LogBroken(f"{len(made)} journals were appended and {marked} marked")
    if went_on := {each.journal.journal_id for each in made}.intersection(aside):
        await clear_journals(connection, programme.log_id, went_on)
    return True


class _Batch:
    """Makes the leaves of a programme's journals; what cannot become one is in `refused`."""

    def __init__(self, secret: bytes, programme: Programme, journals: Sequence[LoggedJournal]) -> None:
        self.refused: list[SetAsideJournal] = []
        self._secret = secret
        self._programme = programme
        self._journals = journals
        self._names: dict[int, str] = {}

    async def make(self, connection: Connection) -> list[Made]:
        """Return the leaves, each party's effects numbered densely in their order."""
        seen = [(journal, found) for journal in self._journals if (found := self._effects(journal))]
        self._names = await _names(connection, self._journals)
        counters = await _counters(connection, seen)
        new_salt = _salts(sum(slots_for(len(each) * 2) for _, each in seen))  # an effect and, at most, a piece each
        made: list[Made] = []
        for journal, each in seen:
            numbers = {effect.partner_id: counters.get((effect.partner_id, journal.window_no), 0) for effect in each}
            numbered: list[Numbered] = []
            for effect in each:
                numbers[effect.partner_id] += 1
                numbered.append(Numbered(effect, numbers[effect.partner_id]))
            leaf = self._leaf(journal, numbered, new_salt)
            if leaf is not None:  # a number that was not used is given to the next
                counters |= {(partner, journal.window_no): number for partner, number in numbers.items()}
                made.append(Made(journal, numbered, leaf))
        return made

    def _effects(self, journal: LoggedJournal) -> list[EffectOn]:
        try:
            found = effects(journal)
            if not found:
                raise NoLeaf("nobody is seen in it")  # noqa: TRY301  # refused like whatever else is wrong with it
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one journal stops that one alone
            self._refuse(journal, error)
            return []
        return found

    def _leaf(
        self, journal: LoggedJournal, numbered: Sequence[Numbered], new_salt: Callable[[], bytes]
    ) -> JournalLeaf | None:
        try:
            leaf = journal_leaf(self._facts(journal), self._parties(journal, numbered), new_salt)
            if len(leaf.text) > ENTRY_BYTES_MAX:
                raise NoLeaf(f"its leaf has {len(leaf.text)} bytes, and an entry of a log at most {ENTRY_BYTES_MAX}")  # noqa: TRY301  # as above
        except Exception as error:  # noqa: BLE001  # as above
            self._refuse(journal, error)
            return None
        return leaf

    def _facts(self, journal: LoggedJournal) -> JournalFacts:
        return JournalFacts(
            journal=journal_name(self._secret, journal.account_id, journal.journal_id),
            at=rfc3339(journal.recorded_at),
            programme=self._programme.code,
            window=journal.window_no,
        )

    def _parties(self, journal: LoggedJournal, numbered: Sequence[Numbered]) -> list[PartyEffect]:
        unit = self._names[journal.unit_id]
        return [
            PartyEffect(
                partner=self._names[seen.partner_id],
                effect=seen.effect,
                points=seen.points,
                unit=unit,
                version=seen.version,
                counter=counter,
                piece=seen.piece,
            )
            for seen, counter in numbered
        ]

    def _refuse(self, journal: LoggedJournal, error: Exception) -> None:
        why = str(error) if isinstance(error, NoLeaf) else UNEXPECTED
        name = journal_name(self._secret, journal.account_id, journal.journal_id)
        if not isinstance(error, NoLeaf):
            log.error("a journal has no leaf", journal=name, exc_info=error)
        self.refused.append(
            SetAsideJournal(
                account_id=journal.account_id,
                journal_id=journal.journal_id,
                window_no=journal.window_no,
                explanation=f"The log cannot take the journal {name}: {why}. Window {journal.window_no} is not sealed"
                " before it has its leaf. It is tried again by itself: install a release that can take it.",
            )
        )


def _grouped(rows: Sequence[asyncpg.Record]) -> list[LoggedJournal]:
    parts: dict[tuple[int, object], list[Part]] = {}
    heads: dict[tuple[int, object], asyncpg.Record] = {}
    for row in rows:
        key = (row["account_id"], row["journal_id"])
        heads.setdefault(key, row)
        if row["issuer_id"] is not None:
            names = ("issuer_id", "issuer_version", "acceptor_id", "acceptor_version", "points")
            parts.setdefault(key, []).append(Part(*(row[name] for name in names)))
    return [
        LoggedJournal(
            account_id=head["account_id"],
            journal_id=head["journal_id"],
            kind=head["kind"],
            recorded_at=head["recorded_at"],
            programme_id=head["programme_id"],
            window_no=head["window_no"],
            unit_id=head["unit_id"],
            parts=tuple(parts.get(key, ())),
        )
        for key, head in heads.items()
    ]


async def _names(connection: Connection, journals: Sequence[LoggedJournal]) -> dict[int, str]:
    partners = {part.issuer_id for journal in journals for part in journal.parts}
    partners |= {part.acceptor_id for journal in journals for part in journal.parts if part.acceptor_id is not None}
    rows = await connection.fetch(
        statements["names"], sorted(partners), sorted({journal.unit_id for journal in journals})
    )
    return {row["id"]: row["code"] for row in rows}


async def _counters(
    connection: Connection, seen: Sequence[tuple[LoggedJournal, Sequence[EffectOn]]]
) -> dict[tuple[int, int], int]:
    """Return the last counters of the partners and windows that effects are seen of, as far as they have one."""
    keys = sorted({(effect.partner_id, journal.window_no) for journal, each in seen for effect in each})
    rows = await connection.fetch(
        statements["last_counters"], [partner for partner, _ in keys], [window for _, window in keys]
    )
    return {(row["partner_id"], row["window_no"]): row["counter"] for row in rows}


def _salts(count: int) -> Callable[[], bytes]:
    """Return a source of fresh salts that asks the system for randomness once."""
    source = os.urandom(SALT_BYTES * count)
    offsets = iter(range(0, len(source), SALT_BYTES))

    def new_salt() -> bytes:
        offset = next(offsets)
        return source[offset : offset + SALT_BYTES]

    return new_salt


async def _keep_openings(connection: Connection, programme: Programme, made: Sequence[Made], first: int) -> None:
    rows = []
    for leaf_index, (journal, each, leaf) in enumerate(made, start=first):
        for (seen, counter), opening in zip(each, leaf.effects, strict=True):
            shared = leaf.pieces[seen.piece] if seen.piece is not None else None
            rows.append(
                (
                    seen.partner_id, journal.window_no, counter, leaf_index, opening.slot, opening.salt,
                    opening.content, journal.unit_id, seen.effect.value, seen.points, seen.version,
                    seen.counterparty_id, seen.counterparty_version, shared.slot if shared else None,
                    shared.salt if shared else None, shared.content if shared else None,
                )
            )  # fmt: skip
    await connection.execute(
        statements["add_openings"], programme.programme_id, programme.log_id, *map(list, zip(*rows, strict=True))
    )


async def _keep_totals(connection: Connection, programme: Programme, made: Sequence[Made]) -> None:
    """Add to the running totals what was opened, a cell once."""
    counters: dict[tuple[int, int], int] = {}
    points: Counter[tuple[object, ...]] = Counter()
    entries: Counter[tuple[object, ...]] = Counter()
    for journal, each, _ in made:
        for seen, counter in each:
            counters[seen.partner_id, journal.window_no] = counter
            cell = (
                seen.partner_id, journal.window_no, journal.unit_id, seen.effect.value, seen.version,
                seen.counterparty_id, seen.counterparty_version,
            )  # fmt: skip
            points[cell] += seen.points
            entries[cell] += 1
    partners, windows = zip(*counters, strict=True)
    await connection.execute(
        statements["set_counters"], programme.programme_id, list(partners), list(windows), list(counters.values())
    )
    await connection.execute(
        statements["add_totals"],
        programme.programme_id,
        *map(list, zip(*points, strict=True)),
        list(points.values()),
        [entries[cell] for cell in points],
    )
