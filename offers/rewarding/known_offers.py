"""What this process knows of offers: versions never change, so each is read and decoded once, and only new ones again.

A catalogue's revisions become visible in their order, because whoever publishes holds the catalogue's row until the
commit: to know what is new is one look beyond the last revision that is known. It finds nothing nearly every time.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import asyncpg
import msgspec

from koinon.database import Connection, beside
from offers.model import OfferVersion
from offers.rewarding.candidates import Index, Listing

statements = beside(__file__)
decode_version = msgspec.json.Decoder(OfferVersion).decode

VERSIONS_KEPT = 10_000
"""How many decoded versions a process keeps, those that were used last."""
LISTED_AT_ONCE = 1_000
"""How many listings one statement reads, so that a large catalogue does not hold up the others at the first look."""


class Known(NamedTuple):
    """A version, and the partner that funds it."""

    version: OfferVersion
    partner_id: int


class Catalogue(msgspec.Struct):
    """A programme's offers up to a revision."""

    index: Index
    revision: int = 0


class KnownOffers:
    """The offers that one process has read."""

    def __init__(self, kept: int = VERSIONS_KEPT) -> None:
        """Keep so many decoded versions; the index, which is small, is kept whole."""
        self._kept = kept
        self._versions: OrderedDict[int, Known] = OrderedDict()
        self._catalogues: dict[int, Catalogue] = {}

    async def indexes(self, connection: Connection, programmes: Iterable[int]) -> Mapping[int, Index]:
        """Return the indexes of programmes with all that was published by now."""
        known = {each: self._catalogues.setdefault(each, Catalogue(Index())) for each in programmes}
        behind = sorted(known)
        while behind:
            rows = await connection.fetch(
                statements["versions_since"], behind, [known[each].revision for each in behind], LISTED_AT_ONCE
            )
            for row in rows:
                _take(known[row["programme_id"]], row)
            read = Counter(row["programme_id"] for row in rows)
            behind = [each for each in behind if read[each] == LISTED_AT_ONCE]
        return {each: catalogue.index for each, catalogue in known.items()}

    async def versions(self, connection: Connection, version_ids: Iterable[int]) -> Mapping[int, Known]:
        """Return versions by their ids, reading those that are not known yet."""
        wanted = set(version_ids)
        found = {each: self._versions[each] for each in wanted & self._versions.keys()}
        if missing := sorted(wanted - found.keys()):
            for row in await connection.fetch(statements["versions"], missing):
                found[row["version_id"]] = Known(decode_version(row["body"]), row["partner_id"])
        for version_id, each in found.items():
            self._versions[version_id] = each
            self._versions.move_to_end(version_id)
        while len(self._versions) > self._kept:
            self._versions.popitem(last=False)
        return found


def _take(catalogue: Catalogue, row: asyncpg.Record) -> None:
    """Take a version into a catalogue, unless a neighbour that read at the same time was faster."""
    if row["revision"] <= catalogue.revision:
        return
    catalogue.index.add(
        Listing(
            offer_id=row["offer_id"],
            version_id=row["version_id"],
            partner=row["partner"],
            places=tuple(row["places"]),
            activation_required=row["activation_required"],
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            published_at=row["published_at"],
        )
    )
    catalogue.revision = row["revision"]


KNOWN = KnownOffers()
"""This process's; versions are told apart by ids that no two databases share."""
