"""Matches the receipts that a partner's own calls returned with the entries of its bundle."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from koinon_verify.canonical import text_of, whole_of
from koinon_verify.files import (
    LINE_BYTES_MAX,
    REFUSED_LINES_MAX,
    count_lines,
    is_too_long,
    lines_of,
    open_file,
    unreadable,
)
from koinon_verify.problems import Problems, Refused
from koinon_verify.records import TILL_EFFECTS, Bundle, Entry, Identity

_FIELDS = {"effect", "journal", "partner", "points", "programme", "unit", "window"}

Key = tuple[str, str]
"""(journal, effect)"""

Booked = Mapping[Key, list[Entry]]


@dataclass(slots=True)
class Matched:
    """How many receipts there were, how many are in the bundle, in the previous one, or of other windows.

    `first` and `last` are the lowest and the highest of those other windows. `without` counts, by effect, the
    entries that no receipt stands for: rewards for card payments, expiries, the partner's points honoured elsewhere.
    """

    receipts: int = 0
    matched: int = 0
    before: int = 0
    elsewhere: int = 0
    first: int | None = None
    last: int | None = None
    without: dict[str, int] = field(default_factory=dict)

    def add_elsewhere(self, window: int) -> None:
        """Count a receipt of a window that no bundle at hand is of."""
        self.elsewhere += 1
        self.first = window if self.first is None else min(self.first, window)
        self.last = window if self.last is None else max(self.last, window)


def match_receipts(
    file: str, bundle: Bundle, identity: Identity, previous: Bundle | None, problems: Problems
) -> Matched:
    """Match a file of receipts, JSON lines, with a bundle, and those of the window before with the previous bundle.

    A receipt that is not there is a problem of its own line; an entry that only the partner's own calls make and
    that no receipt stands for is one of the entry's.
    """
    matcher = _Matcher(bundle, identity, previous)
    try:
        complete = _read_all(file, matcher, problems)
    except OSError as error:
        problems.add(file, None, unreadable(error))
        complete = False
    except Refused as refused:
        problems.add(file, None, refused)
        complete = False
    if complete:
        matcher.check_entries(bundle.file, problems)
    return matcher.result


def _read_all(file: str, matcher: "_Matcher", problems: Problems) -> bool:
    """Match every line; return whether every receipt could be read, so that one that is missing was not given."""
    malformed = 0
    with open_file(file) as stream:
        for number, raw in enumerate(lines_of(stream), 1):
            if not raw.strip():
                continue
            matcher.result.receipts += 1
            try:
                receipt = _read(raw)
            except Refused as refused:
                malformed += 1
                problems.add(file, number, refused)
                if malformed >= REFUSED_LINES_MAX and not is_too_long(raw):
                    problems.add_unread(count_lines(stream))
                    break
                continue
            try:
                matcher.match(receipt)
            except Refused as refused:
                problems.add(file, number, refused)
    return not malformed


class _Matcher:
    """What has been matched so far."""

    def __init__(self, bundle: Bundle, identity: Identity, previous: Bundle | None) -> None:
        self.result = Matched()
        self._identity = identity
        self._here = _booked(bundle)
        self._by_window = {identity.window: self._here}
        if previous is not None:
            self._by_window[identity.window - 1] = _booked(previous)
        self._seen: set[Key] = set()

    def match(self, receipt: dict[str, Any]) -> None:
        """Find a receipt's entries; refuse it when they are not there or say something else."""
        partner, programme = text_of(receipt, "partner"), text_of(receipt, "programme")
        if (partner, programme) != (self._identity.partner, self._identity.programme):
            raise Refused("receipt-foreign", f"the receipt is of {partner}, {programme}")
        key = (text_of(receipt, "journal"), text_of(receipt, "effect"))
        self._seen.add(key)
        window = whole_of(receipt, "window", 0)
        entries = self._by_window.get(window, {}).get(key)
        if entries is None:
            if any(key in booked for booked in self._by_window.values()):
                raise Refused("receipt-unmatched", f"{key[1]} of {key[0]}: the receipt says window {window}")
            if window in self._by_window:
                raise Refused("receipt-unmatched", f"the bundle has no entry {key[1]} of journal {key[0]}")
            self.result.add_elsewhere(window)
            return
        _compare(receipt, key, entries)
        if window == self._identity.window:
            self.result.matched += 1
        else:
            self.result.before += 1

    def check_entries(self, file: str, problems: Problems) -> None:
        """Count the entries that no receipt stands for; refuse those that nothing but the partner's calls make."""
        for (journal, effect), entries in sorted(self._here.items()):
            if (journal, effect) in self._seen:
                continue
            self.result.without[effect] = self.result.without.get(effect, 0) + len(entries)
            for entry in entries if effect in TILL_EFFECTS else ():
                detail = (
                    f"{effect} of {journal} has no receipt, and only your own calls make these; "
                    "if an answer was lost, the same call under its key returns it again"
                )
                problems.add(file, entry.line, Refused("entry-without-receipt", detail))


def _booked(bundle: Bundle) -> Booked:
    booked: dict[Key, list[Entry]] = defaultdict(list)
    for entry in bundle.entries:
        if entry:
            booked[entry.journal, entry.effect].append(entry)
    return dict(booked)


def _compare(receipt: dict[str, Any], key: Key, entries: list[Entry]) -> None:
    points, unit = whole_of(receipt, "points"), text_of(receipt, "unit")
    totals = Counter[str]()
    for entry in entries:
        totals[entry.unit] += entry.points
    if dict(totals) != {unit: points}:
        stated = ", ".join(f"{total} {name}" for name, total in sorted(totals.items()))
        detail = f"{key[1]} of {key[0]}: the receipt says {points} {unit}, the bundle {stated}"
        raise Refused("receipt-unmatched", detail)
    if receipt.get("version") is None:  # of before receipts had one, or of points of several versions at once
        return
    version, versions = whole_of(receipt, "version", 1), sorted({entry.version for entry in entries})
    if versions != [version]:
        stated = ", ".join(map(str, versions))
        detail = f"{key[1]} of {key[0]}: the receipt says contract version {version}, the bundle {stated}"
        raise Refused("receipt-unmatched", detail)


def _read(raw: bytes) -> dict[str, Any]:
    if is_too_long(raw):
        raise Refused("receipt-malformed", f"the line is longer than {LINE_BYTES_MAX} bytes; the rest is not read")
    try:
        receipt = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refused("receipt-malformed", "the line is not JSON") from error
    if not isinstance(receipt, dict) or _FIELDS - receipt.keys():
        raise Refused("receipt-malformed", f"a receipt has the fields {', '.join(sorted(_FIELDS))}")
    return receipt
