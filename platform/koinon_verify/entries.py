"""What a bundle's entries say beside each other: counters, slots, journals, signs and units."""

from koinon_verify.problems import Found, Refused
from koinon_verify.records import MONEY_EFFECTS, SHARED_EFFECTS, Bundle, Entry

_NEVER_TAKEN_BACK = frozenset({"expired", "held", "released"})


def check_entries(bundle: Bundle) -> Found:
    """Find entries that cannot be, or that cannot stand together; one that was refused only keeps its place."""
    next_counter = 1
    journals = _Journals()
    units: set[str] = set()
    for entry in bundle.entries:
        if entry is None:
            next_counter += 1
            continue
        if entry.counter != next_counter:
            yield entry.line, Refused("counter-gap", f"the counter is {entry.counter} where {next_counter} follows")
        next_counter = entry.counter + 1
        yield from journals.take(entry)
        if bundle.seal and entry.index >= bundle.seal.index:
            yield entry.line, Refused("entry-after-seal", f"leaf {entry.index} follows the seal {bundle.seal.index}")
        yield from _check_alone(entry)
        if entry.effect in MONEY_EFFECTS:
            units.add(entry.unit)
            if len(units) > 1:
                yield entry.line, Refused("unit-mixed", f"this is in {entry.unit}, others are not")


class _Journals:
    """The leaves and journals seen so far: each is one business fact, and stands once."""

    def __init__(self) -> None:
        self._slots: set[tuple[int, str]] = set()
        self._pieces: set[tuple[int, str, str]] = set()
        self._leaves: dict[str, int] = {}
        self._facts: dict[int, tuple[str, str, bool]] = {}

    def take(self, entry: Entry) -> Found:
        """Find what an entry has against the ones before."""
        piece = (entry.index, entry.effect, entry.shared_slot or entry.slot)
        if (entry.index, entry.slot) in self._slots or piece in self._pieces:
            yield entry.line, Refused("entry-duplicated", f"slot {entry.slot} of leaf {entry.index} stands twice")
        elif self._leaves.setdefault(entry.journal, entry.index) != entry.index:
            yield entry.line, Refused("entry-duplicated", f"journal {entry.journal} stands in two leaves")
        self._slots.add((entry.index, entry.slot))
        self._pieces.add(piece)
        # Points that are honoured are accepted by the same fact; every other effect is a fact of its own.
        what = "burnt" if entry.effect in SHARED_EFFECTS else entry.effect
        fact = (entry.journal, what, entry.points < 0)
        if self._facts.setdefault(entry.index, fact) != fact:
            detail = f"leaf {entry.index} has effects of more than one fact, or both gives and takes back"
            yield entry.line, Refused("entry-wrong", detail)


def _check_alone(entry: Entry) -> Found:
    if entry.points == 0:
        yield entry.line, Refused("entry-wrong", f"{entry.effect} of {entry.journal} has no points")
    if entry.points < 0 and entry.effect in _NEVER_TAKEN_BACK:
        detail = f"{entry.effect} of {entry.journal} has {entry.points} points, and is never taken back"
        yield entry.line, Refused("entry-wrong", detail)
    if (entry.shared_slot is not None) != (entry.effect in SHARED_EFFECTS):
        needed = "has no shared piece" if entry.shared_slot is None else "has a shared piece, and nobody shares it"
        yield entry.line, Refused("shared-mismatch", f"{entry.effect} of {entry.journal} {needed}")
