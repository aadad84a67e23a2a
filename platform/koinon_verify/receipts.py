"""Matches the receipts that a partner's own calls returned with the entries of its bundle."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from koinon_verify.canonical import text_of, whole_of
from koinon_verify.problems import Problems, Refused
from koinon_verify.records import Bundle, Identity

_FIELDS = {"effect", "journal", "partner", "points", "programme", "unit", "window"}

Key = tuple[str, str]


@dataclass(slots=True)
class Matched:
    """How many receipts there were, how many are in the bundle, how many are of other windows.

    `without` counts the entries that no receipt stands for, by effect: rewards for card payments, expiries,
    the partner's points honoured elsewhere.
    """

    receipts: int = 0
    matched: int = 0
    elsewhere: int = 0
    without: dict[str, int] = field(default_factory=dict)


def match_receipts(file: str, bundle: Bundle, identity: Identity, problems: Problems) -> Matched:
    """Match a file of receipts, JSON lines, with a bundle; each that is not there is a problem of its own line."""
    result = Matched()
    entries: dict[Key, Counter[str]] = defaultdict(Counter)
    counts = Counter[Key]()
    for entry in bundle.entries:
        if entry:
            entries[entry.journal, entry.effect][entry.unit] += entry.points
            counts[entry.journal, entry.effect] += 1
    seen: set[Key] = set()
    try:
        with Path(file).open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                if not raw.strip():
                    continue
                result.receipts += 1
                try:
                    seen.add(_match(raw, identity, entries, result))
                except Refused as refused:
                    problems.add(file, number, refused)
    except OSError as error:
        problems.add(file, None, Refused("unreadable", error.strerror or "the file cannot be read"))
    for (journal, effect), count in sorted(counts.items()):
        if (journal, effect) not in seen:
            result.without[effect] = result.without.get(effect, 0) + count
    return result


def _match(raw: bytes, identity: Identity, entries: dict[Key, Counter[str]], result: Matched) -> Key:
    receipt = _read(raw)
    partner, programme = text_of(receipt, "partner"), text_of(receipt, "programme")
    if (partner, programme) != (identity.partner, identity.programme):
        raise Refused("receipt-foreign", f"the receipt is of {partner}, {programme}")
    key = (text_of(receipt, "journal"), text_of(receipt, "effect"))
    points, unit = whole_of(receipt, "points"), text_of(receipt, "unit")
    window = whole_of(receipt, "window", 0)
    if window != identity.window:
        if key in entries:
            raise Refused("receipt-unmatched", f"{key[1]} of {key[0]}: the receipt says window {window}")
        result.elsewhere += 1
        return key
    if key not in entries:
        raise Refused("receipt-unmatched", f"the bundle has no entry {key[1]} of journal {key[0]}")
    if dict(entries[key]) != {unit: points}:
        stated = ", ".join(f"{total} {name}" for name, total in sorted(entries[key].items()))
        raise Refused(
            "receipt-unmatched", f"{key[1]} of {key[0]}: the receipt says {points} {unit}, the bundle {stated}"
        )
    result.matched += 1
    return key


def _read(raw: bytes) -> dict[str, Any]:
    try:
        receipt = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refused("receipt-malformed", "the line is not JSON") from error
    if not isinstance(receipt, dict) or _FIELDS - receipt.keys():
        raise Refused("receipt-malformed", f"a receipt has the fields {', '.join(sorted(_FIELDS))}")
    return receipt
