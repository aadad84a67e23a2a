"""What a verification found, for people and for machines."""

import json
from collections import Counter
from dataclasses import dataclass, field

from koinon_verify.amounts import money
from koinon_verify.problems import Problem
from koinon_verify.receipts import Matched
from koinon_verify.records import EFFECTS, Bundle

PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome: `ok` when there is no problem; figures are those of a bundle as far as it could be read."""

    bundle: Bundle
    problems: list[Problem]
    pinned: bool
    receipts: Matched | None = None
    previous: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Say whether everything held."""
        return not self.problems

    @property
    def effects(self) -> dict[str, int]:
        """Count the entries by effect."""
        counted = Counter(entry.effect for entry in self.bundle.entries if entry)
        return {effect: counted[effect] for effect in sorted(EFFECTS) if counted[effect]}


def as_json(report: Report) -> str:
    """Write a report as one line of JSON."""
    bundle, statement, head = report.bundle, report.bundle.statement, report.bundle.head
    value: dict[str, object] = {"ok": report.ok, "bundle": bundle.file, "entries": len(bundle.entries)}
    if bundle.identity:
        value |= {
            "partner": bundle.identity.partner,
            "programme": bundle.identity.programme,
            "window": bundle.identity.window,
        }
    if statement:
        value |= {
            "business_date": statement.business_date,
            "currency": statement.currency,
            "exponent": statement.exponent,
            "pays": statement.pays,
            "receives": statement.receives,
            "net": statement.net,
        }
    if report.receipts:
        value["receipts"] = {
            "given": report.receipts.receipts,
            "matched": report.receipts.matched,
            "other_windows": report.receipts.elsewhere,
            "entries_without": report.receipts.without,
        }
    if bundle.checkpoint:
        value |= {"origin": bundle.checkpoint.origin, "log_size": bundle.checkpoint.size}
    if head:
        value |= {"key": head.key.text, "key_fingerprint": head.key.fingerprint, "key_pinned": report.pinned}
    value["effects"] = report.effects
    value["previous"] = report.previous
    value["notes"] = report.notes
    value["problems"] = [
        {"file": item.file, "line": item.line, "code": item.code, "detail": item.detail} for item in report.problems
    ]
    return json.dumps(value, ensure_ascii=False)


def as_text(report: Report) -> str:
    """Write a report's figures for people; the problems are written apart, by `problems_text`."""
    bundle, statement, head = report.bundle, report.bundle.statement, report.bundle.head
    rows: list[tuple[str, str]] = []
    if bundle.entries or not report.problems:
        counts = " · ".join(f"{effect} {count:,}" for effect, count in report.effects.items())
        rows.append(("entries", f"{len(bundle.entries):,}" + (f"   {counts}" if counts else "")))
    if report.receipts:
        rows += _receipt_rows(report.receipts)
    if report.previous:
        rows.append(("follows", report.previous))
    if bundle.checkpoint:
        rows.append(("checkpoint", f"{bundle.checkpoint.origin}, {bundle.checkpoint.size:,} leaves"))
    if head:
        trust = "pinned by --key" if report.pinned else "trusted from this bundle; --key pins it"
        rows += [("key", f"{head.key.fingerprint} ({trust})")]
    if statement and report.ok:  # no figure of a bundle that does not hold, lest somebody book it
        for name, minor in (("pays", statement.pays), ("receives", statement.receives), ("net", statement.net)):
            rows.append((name, f"{money(minor, statement.exponent, statement.currency):>20}"))
    title = str(bundle.identity or bundle.file) + (f", {statement.business_date}" if statement else "")
    lines = [title, *(f"  {name:<11} {value}" for name, value in rows), *(f"  note: {note}" for note in report.notes)]
    return "\n".join([*lines, "verified" if report.ok else "NOT VERIFIED"])


def problems_text(report: Report) -> str:
    """Write the problems for people, one a line: file, line, code, what is wrong."""
    lines = [str(problem) for problem in report.problems[:PROBLEMS_SHOWN]]
    more = len(report.problems) - len(lines)
    return "\n".join(lines + [f"and {more} more problems"] * (more > 0))


def _receipt_rows(receipts: Matched) -> list[tuple[str, str]]:
    here = receipts.receipts - receipts.elsewhere
    others = f"; {receipts.elsewhere:,} of other windows" if receipts.elsewhere else ""
    rows = [("receipts", f"{receipts.matched:,} of {here:,} matched{others}")]
    if receipts.without:
        counts = " · ".join(f"{effect} {count:,}" for effect, count in sorted(receipts.without.items()))
        rows.append(("", f"entries without a receipt: {counts} (cards, expiries, other brands' tills)"))
    return rows
