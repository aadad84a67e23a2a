"""Puts the checks of a bundle together."""

from collections.abc import Sequence
from pathlib import Path

from koinon_verify.figures import check_figures
from koinon_verify.notes import Key, read_key
from koinon_verify.pins import check_pins
from koinon_verify.previous import check_previous, is_directly_before
from koinon_verify.problems import Problems, Refused
from koinon_verify.reading import Reader
from koinon_verify.receipts import match_receipts
from koinon_verify.records import Bundle
from koinon_verify.report import Report


def verify_bundle(
    path: str | Path,
    receipts: str | Path | None = None,
    previous: str | Path | None = None,
    key: str | None = None,
    contracts: Sequence[str | Path] = (),
) -> Report:
    """Verify a partner's bundle, with no network and no database.

    `receipts` names a file of the receipts that the partner's own calls returned; `previous` the bundle of the window
    before, which this one must follow on from; `key` is the log's key as the operator publishes it; `contracts` name
    files of the contract versions that the partner keeps. Nothing is raised: what is wrong stands in the report, the
    first problem of each line.
    """
    problems = Problems()
    pinned = _read_pinned(key, problems)
    bundle = _check_alone(str(path), pinned, problems)
    notes: list[str] = []
    before = matched = None
    held = frozenset[int]()
    if bundle.whole:
        held = check_pins([str(file) for file in contracts], bundle, problems)
    if previous is not None:
        before = _check_alone(str(previous), pinned, problems)
        if bundle.whole and before.whole:
            notes += check_previous(bundle, before, problems)
    if receipts is not None and bundle.identity is not None and bundle.whole:
        joined = before if before and before.whole and is_directly_before(before, bundle) else None
        matched = match_receipts(str(receipts), bundle, bundle.identity, joined, problems)
    return Report(
        bundle=bundle,
        problems=problems.sorted(),
        more=problems.more,
        pinned=pinned is not None,
        pinned_contracts=held,
        receipts=matched,
        previous=None if previous is None else str(previous),
        notes=notes,
    )


def _read_pinned(key: str | None, problems: Problems) -> Key | None:
    try:
        return None if key is None else read_key(key)
    except Refused as refused:
        problems.add("--key", None, refused)
        return None


def _check_alone(file: str, pinned: Key | None, problems: Problems) -> Bundle:
    bundle = Reader(file, problems, pinned).read()
    if bundle.whole:
        check_figures(bundle, problems)
    return bundle
