"""Holds a bundle to the one before it: cumulative figures, outstanding points, the log's size."""

from collections.abc import Iterator

from koinon_verify.notes import Checkpoint
from koinon_verify.problems import Problems, Refused
from koinon_verify.records import Bundle, Head, Seal, Statement

NO_CONSISTENCY_PROOF = (
    "a bundle holds no consistency proof: that the log only grew between the two checkpoints is not shown here"
)

Found = Iterator[tuple[int, str]]


def check_previous(bundle: Bundle, previous: Bundle, problems: Problems) -> None:
    """Check that a bundle follows on from an earlier one of the same partner; both have held by themselves."""
    found: list[tuple[int, str]] = []
    if bundle.head and previous.head:
        found += _check_heads(bundle.head, previous.head)
    if not found:
        if bundle.checkpoint and previous.checkpoint:
            found += _check_checkpoints(bundle.checkpoint, previous.checkpoint)
        if bundle.seal and previous.seal:
            found += _check_outstanding(bundle.seal, previous.seal)
        if bundle.statement and previous.statement:
            found += _check_cells(bundle.statement, previous.statement)
    for line, detail in found:
        problems.add(bundle.file, line, Refused("previous-mismatch", detail))


def _check_heads(head: Head, before: Head) -> Found:
    now, then = head.identity, before.identity
    if (now.partner, now.programme) != (then.partner, then.programme):
        yield 1, f"the previous bundle is of {then}"
    elif now.window <= then.window:
        yield 1, f"the previous bundle's window {then.window} is not before {now.window}"
    elif head.key != before.key:
        yield 1, f"the previous bundle's log has another key, {before.key.text}"


def _check_checkpoints(now: Checkpoint, then: Checkpoint) -> Found:
    if now.size < then.size:
        yield 2, f"the log has shrunk from {then.size} to {now.size} leaves"
    elif now.size == then.size and now.root != then.root:
        yield 2, f"two checkpoints of {now.size} leaves have different roots"


def _check_outstanding(now: Seal, then: Seal) -> Found:
    points = now.points
    expected = then.outstanding + points["issued"] - points["honoured"] - points["expired"]
    if now.outstanding != expected:
        moved = f"{then.outstanding} + {points['issued']} - {points['honoured']} - {points['expired']}"
        yield now.line, f"outstanding is {now.outstanding}, and {moved} is {expected}"


def _check_cells(now: Statement, then: Statement) -> Found:
    if (now.currency, now.exponent) != (then.currency, then.exponent):
        yield now.line, f"the previous statement is in {then.currency}"
    before = {line.cell: (line.points_before + line.points, line.billed_before + line.amount) for line in then.lines}
    here = {line.cell: (line.points_before, line.billed_before) for line in now.lines}
    for cell in sorted(before.keys() | here.keys()):
        stated, expected = here.get(cell, (0, 0)), before.get(cell, (0, 0))
        if stated != expected:
            place = f"{cell[0]}, version {cell[1]}"
            yield now.line, f"{place}: starts from {stated} points and minor units, the previous ended at {expected}"
