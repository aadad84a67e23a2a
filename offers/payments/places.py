"""Where payments happened: the registered places that their merchants' names point at."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from koinon.database import Connection, beside
from koinon.places.model import Candidate, Resolution, resolve
from offers.payments.fold import Payment, sightings

statements = beside(__file__)


class KnownPlaces(msgspec.Struct, frozen=True):
    """The places that some payments may have happened at, by programme and identity key."""

    by_key: Mapping[int, Mapping[str, list[Candidate]]]

    def resolve(self, programme_id: int, payment: Payment, at: datetime | None = None) -> Resolution:
        """Return the one place of a payment as known at `at` (its own time when not given), or why there is none."""
        seen = sightings(payment)
        known = self.by_key.get(programme_id, {})
        candidates = [each for keys in seen for key in keys for each in known.get(key, ())]
        return resolve(seen, candidates, at or payment.occurred_at)


async def known_places(connection: Connection, asked: Iterable[tuple[int, Payment]]) -> KnownPlaces:
    """Look up every place that the merchants of (programme, payment) may be: one look a programme."""
    keys: dict[int, set[str]] = {}
    for programme, payment in asked:
        keys.setdefault(programme, set()).update(key for own in sightings(payment) for key in own)
    by_key: dict[int, dict[str, list[Candidate]]] = {}
    for programme, own in keys.items():
        known = by_key.setdefault(programme, {})
        for row in await connection.fetch(statements["candidates"], programme, sorted(own)):
            known.setdefault(row["identity_key"], []).append(
                Candidate(row["place_id"], row["identity_key"], row["valid_from"], row["valid_until"])
            )
    return KnownPlaces(by_key)
