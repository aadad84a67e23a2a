"""What a verification found, for people and for machines."""

import json
from collections import Counter
from dataclasses import dataclass, field

from koinon_verify.amounts import money
from koinon_verify.printing import printable
from koinon_verify.problems import Problem
from koinon_verify.receipts import Matched
from koinon_verify.records import EFFECTS, Bundle, Contract

PROBLEMS_SHOWN = 20

CAUSES = {
    "expired": "by date",
    "honoured": "at any till",
    "issued": "cards and other tills issue too",
    "released": "holds run out too",
}
"""What makes entries of an effect beside the partner's own calls; what is not here has a receipt."""


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome: `ok` when there is no problem; figures are those of a bundle as far as it could be read.

    `more` counts the lines beyond `problems` that do not hold or were not read; `pinned_contracts` are the versions
    that are those given.
    """

    bundle: Bundle
    problems: list[Problem]
    pinned: bool
    receipts: Matched | None = None
    previous: str | None = None
    notes: list[str] = field(default_factory=list)
    more: int = 0
    pinned_contracts: frozenset[int] = frozenset()

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
            "matched_previous": report.receipts.before,
            "other_windows": report.receipts.elsewhere,
            "other_windows_first": report.receipts.first,
            "other_windows_last": report.receipts.last,
            "entries_without": report.receipts.without,
        }
    if bundle.checkpoint:
        value |= {"origin": bundle.checkpoint.origin, "log_size": bundle.checkpoint.size}
    if head:
        value |= {"key": head.key.text, "key_fingerprint": head.key.fingerprint, "key_pinned": report.pinned}
    value["contracts"] = [
        {
            "version": each.version,
            **each.terms,
            "sha256": each.digest,
            "pinned": each.version in report.pinned_contracts,
        }
        for each in bundle.contracts
        if each
    ]
    value["effects"] = report.effects
    value["previous"] = report.previous
    value["notes"] = report.notes
    value["problems"] = [
        {"file": item.file, "line": item.line, "code": item.code, "detail": item.detail} for item in report.problems
    ]
    value["more_problems"] = report.more
    return json.dumps(value)


def as_text(report: Report) -> str:
    """Write a report's figures for people; the problems are written apart, by `problems_text`."""
    bundle, statement, head = report.bundle, report.bundle.statement, report.bundle.head
    rows: list[tuple[str, str]] = []
    if bundle.entries or not report.problems:
        counts = ", ".join(f"{effect} {count:,}" for effect, count in report.effects.items())
        rows.append(("entries", f"{len(bundle.entries):,}" + (f"   {counts}" if counts else "")))
    if report.receipts:
        rows += _receipt_rows(report)
    if report.previous and report.ok:
        rows.append(("follows", report.previous))
    if bundle.checkpoint:
        rows.append(("checkpoint", f"{bundle.checkpoint.origin}, {bundle.checkpoint.size:,} leaves"))
    if head:
        trust = "pinned by --key" if report.pinned else "trusted from this bundle; --key pins it"
        rows += [("key", f"{head.key.fingerprint} ({trust})")]
    for contract in bundle.contracts if report.ok else ():
        rows += _contract_rows(contract, report) if contract else []
    if statement and report.ok:  # no figure of a bundle that does not hold, lest somebody book it
        for name, minor in (("pays", statement.pays), ("receives", statement.receives), ("net", statement.net)):
            rows.append((name, f"{money(minor, statement.exponent, statement.currency):>20}"))
    title = str(bundle.identity or bundle.file) + (f", {statement.business_date}" if statement else "")
    lines = [title, *(f"  {name:<11} {value}" for name, value in rows), *(f"  note: {note}" for note in report.notes)]
    return "\n".join([*map(printable, lines), "verified" if report.ok else "NOT VERIFIED"])


def problems_text(report: Report) -> str:
    """Write the problems for people, one a line: file, line, code, what is wrong."""
    lines = [str(problem) for problem in report.problems[:PROBLEMS_SHOWN]]
    more = len(report.problems) - len(lines) + report.more
    return "\n".join(lines + [f"and {more:,} more"] * (more > 0))


def _receipt_rows(report: Report) -> list[tuple[str, str]]:
    receipts = report.receipts
    if receipts is None:
        return []
    here = receipts.receipts - receipts.elsewhere
    text = f"{receipts.matched + receipts.before:,} of {here:,} matched"
    if receipts.before:
        text += f", {receipts.before:,} of them in the previous bundle"
    if receipts.elsewhere:
        windows = f"window {receipts.first}"
        if receipts.first != receipts.last:
            windows = f"windows {receipts.first} to {receipts.last}"
        text += f"; {receipts.elsewhere:,} of {windows}, which no bundle given here is of"
    rows = [("receipts", text)]
    if receipts.without:
        counts = ", ".join(
            f"{effect} {count:,}" + (f" ({CAUSES[effect]})" if effect in CAUSES else "")
            for effect, count in sorted(receipts.without.items())
        )
        rows.append(("", f"entries without a receipt: {counts}"))
    return rows


def _contract_rows(contract: Contract, report: Report) -> list[tuple[str, str]]:
    trust = (
        "as given by --contract"
        if contract.version in report.pinned_contracts
        else "trusted from this bundle; --contract pins it"
    )
    rates = (
        f"price {contract.price}, fee {contract.fee}, issue share {contract.issue_share}, honour {contract.honour}"
        f" (minor units of {contract.currency} a point), from {contract.effective_from}"
    )
    return [(f"contract {contract.version}", rates), ("", f"SHA-256 {contract.digest} ({trust})")]
