"""Holds a bundle to the one of the window before: contracts, journals, cumulative figures, outstanding points."""

from collections.abc import Sequence
from dataclasses import replace

from koinon_verify.merkle import verify_consistency
from koinon_verify.notes import Checkpoint
from koinon_verify.problems import Found, Problems, Refused
from koinon_verify.records import Bundle, Contract, Entry, Head, Seal, Statement

NO_CONSISTENCY_PROOF = (
    "the bundle, of version 1, holds no consistency proof: that the log only grew between the two is not shown here"
)


def check_previous(bundle: Bundle, previous: Bundle, problems: Problems) -> list[str]:
    """Check that a bundle follows on from that of the same partner's window before; both have held by themselves.

    Returns notes of what could not be checked.
    """
    found: list[tuple[int, Refused]] = []
    if bundle.head and previous.head:
        found += _check_heads(bundle.head, previous.head)
    if not found:
        if bundle.checkpoint and previous.checkpoint:
            found += _check_checkpoints(bundle.checkpoint, previous.checkpoint)
            found += _check_consistency(bundle, bundle.checkpoint, previous, previous.checkpoint)
        found += _check_contracts(bundle.contracts, previous.contracts)
        found += _check_journals(bundle.entries, previous.entries)
        if bundle.seal and previous.seal:
            found += _check_outstanding(bundle.seal, previous.seal)
        if bundle.statement and previous.statement:
            found += _check_cells(bundle.statement, previous.statement)
    for line, refused in found:
        problems.add(bundle.file, line, refused)
    unproven = bundle.consistency is None and _is_of_first_version(bundle, previous)
    return [NO_CONSISTENCY_PROOF] if unproven else []


def is_directly_before(previous: Bundle, bundle: Bundle) -> bool:
    """Say whether a bundle is of the same partner and of the window before."""
    then, now = previous.identity, bundle.identity
    return then is not None and now is not None and replace(then, window=then.window + 1) == now


def _check_heads(head: Head, before: Head) -> Found:
    now, then = head.identity, before.identity
    if (now.partner, now.programme) != (then.partner, then.programme):
        yield 1, Refused("previous-mismatch", f"the previous bundle is of {then}")
    elif now.window <= then.window:
        detail = f"the previous bundle's window {then.window} is not before {now.window}"
        yield 1, Refused("previous-mismatch", detail)
    elif now.window != then.window + 1:
        detail = (
            f"the bundle of window {now.window - 1} is needed: what was billed since window {then.window} is not shown"
        )
        yield 1, Refused("previous-mismatch", detail)
    elif head.key != before.key:
        yield 1, Refused("previous-mismatch", f"the previous bundle's log has another key, {before.key.text}")


def _check_checkpoints(now: Checkpoint, then: Checkpoint) -> Found:
    if now.size < then.size:
        yield 2, Refused("previous-mismatch", f"the log has shrunk from {then.size} to {now.size} leaves")
    elif now.size == then.size and now.root != then.root:
        yield 2, Refused("previous-mismatch", f"two checkpoints of {now.size} leaves have different roots")


def _check_contracts(now: Sequence[Contract | None], then: Sequence[Contract | None]) -> Found:
    before = {contract.version: contract.digest for contract in then if contract}
    for contract in now:
        if contract and before.get(contract.version, contract.digest) != contract.digest:
            detail = f"contract version {contract.version} had the SHA-256 {before[contract.version]} before"
            yield contract.line, Refused("previous-mismatch", detail)


def _check_journals(now: Sequence[Entry | None], then: Sequence[Entry | None]) -> Found:
    before = {entry.journal: entry.line for entry in then if entry}
    for entry in now:
        if entry and entry.journal in before:
            detail = f"journal {entry.journal} stands in the previous bundle too, on line {before[entry.journal]}"
            yield entry.line, Refused("entry-duplicated", detail)


def _check_consistency(bundle: Bundle, now: Checkpoint, previous: Bundle, then: Checkpoint) -> Found:
    """Check that the log only grew from the one checkpoint to the other, by the proof in the later bundle."""
    proven, window = bundle.consistency, previous.identity.window if previous.identity else 0
    if proven is None:
        if not _is_of_first_version(bundle, previous):
            detail = f"no line of consistency proves that the log extends the one of window {window}"
            yield 2, Refused("previous-mismatch", detail)
    elif proven.window != window:
        detail = f"the log is proven to extend the one of window {proven.window}, and not of {window}"
        yield proven.line, Refused("previous-mismatch", detail)
    elif proven.size != then.size or not verify_consistency(then.size, now.size, then.root, now.root, proven.proof):
        detail = f"the log of {now.size} leaves does not extend the {then.size} of window {window}: it was rewritten"
        yield proven.line, Refused("previous-mismatch", detail)


def _is_of_first_version(bundle: Bundle, previous: Bundle) -> bool:
    """Say whether a bundle was written before bundles held a consistency proof: then the one before it was, too."""
    return [each.head.version for each in (bundle, previous) if each.head] == ["1", "1"]


def _check_outstanding(now: Seal, then: Seal) -> Found:
    points = now.points
    expected = then.outstanding + points["issued"] - points["honoured"] - points["expired"]
    if now.outstanding != expected:
        moved = f"{then.outstanding} + {points['issued']} - {points['honoured']} - {points['expired']}"
        yield now.line, Refused("previous-mismatch", f"outstanding is {now.outstanding}, and {moved} is {expected}")


def _check_cells(now: Statement, then: Statement) -> Found:
    if now.currency != then.currency:
        yield now.line, Refused("previous-mismatch", f"the previous statement is in {then.currency}")
    rates = {line.cell: line.rate for line in then.lines}
    for line in now.lines:
        if rates.get(line.cell, line.rate) != line.rate:
            detail = f"{line.leg}, version {line.version}: the rate is {line.rate}, and was {rates[line.cell]} before"
            yield now.line, Refused("previous-mismatch", detail)
    before = {line.cell: (line.points_before + line.points, line.billed_before + line.amount) for line in then.lines}
    here = {line.cell: (line.points_before, line.billed_before) for line in now.lines}
    for cell in sorted(before.keys() | here.keys()):
        stated, expected = here.get(cell, (0, 0)), before.get(cell, (0, 0))
        if stated != expected:
            detail = (
                f"{cell[0]}, version {cell[1]}: starts from {stated} points and minor units, "
                f"the previous ended at {expected}"
            )
            yield now.line, Refused("previous-mismatch", detail)
