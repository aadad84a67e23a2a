"""Whatever is changed in a bundle's file, the verifier refuses it and names a line."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koinon_verify import Problem, verify_bundle
from tests.kit.bundles import Coalition, ended

GOOD = Coalition().close(12)["grocer"]
LINES = GOOD.splitlines(keepends=True)
UNWITNESSED = Coalition(witnessed=False).close(12)["grocer"].splitlines(keepends=True)

places = st.integers(0, len(LINES) - 1)
many = settings(max_examples=150)


def problems_of(folder: Path, data: bytes) -> list[Problem]:
    """Return what the verifier has against a file of these bytes; there must be something, each with its line."""
    path = folder / "mutated.bundle"
    path.write_bytes(data)
    report = verify_bundle(path)

    assert not report.ok
    assert report.problems
    assert all(problem.line is not None and 1 <= problem.line <= len(LINES) + 1 for problem in report.problems)
    return report.problems


def test_the_unchanged_file_holds(tmp_path: Path) -> None:
    """The file that the mutations start from verifies, with its own last line and with a forger's."""
    for data in (GOOD, ended(LINES[:-1]), b"".join(UNWITNESSED)):
        path = tmp_path / "a.bundle"
        path.write_bytes(data)

        assert verify_bundle(path).problems == []


@settings(many, max_examples=400)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found_on_its_line(tmp_path: Path, place: int, turn: int) -> None:
    """Any one byte turned into any other is refused, and the line it stands on is named.

    But for a stranger's signature under the checkpoint, which readers must ignore: there the last line tells.
    """
    mutated = bytearray(GOOD)
    mutated[place] ^= turn
    line = GOOD.count(b"\n", 0, place) + 1
    found = {problem.line for problem in problems_of(tmp_path, bytes(mutated))}

    assert line in found or (line == 2 and len(LINES) in found)


def test_every_byte_of_the_last_line_counts(tmp_path: Path) -> None:
    """No byte of the last line, which nothing else covers, can change."""
    for place in range(len(GOOD) - len(LINES[-1]), len(GOOD)):
        mutated = bytearray(GOOD)
        mutated[place] ^= 1

        assert problems_of(tmp_path, bytes(mutated))[0].line == len(LINES)


@pytest.mark.long
def test_every_byte_counts(tmp_path: Path) -> None:
    """Every single byte of the file, changed in its lowest and in a middle bit, makes it refused."""
    for place in range(len(GOOD)):
        for turn in (1, 32):
            mutated = bytearray(GOOD)
            mutated[place] ^= turn
            problems_of(tmp_path, bytes(mutated))


@settings(many, max_examples=400)
@given(st.integers(0, len(b"".join(UNWITNESSED[:-1])) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_without_the_last_line(tmp_path: Path, place: int, turn: int) -> None:
    """A forger who also rewrites the last line still cannot change a byte of what is signed and committed.

    A root's size alone is bound by no hash: a larger one that gives the leaf the same path is harmless.
    """
    body = bytearray(b"".join(UNWITNESSED[:-1]))
    line = body.count(b"\n", 0, place)
    size = UNWITNESSED[line].find(b'"root_size":"')
    start = sum(map(len, UNWITNESSED[:line])) + size
    if size >= 0 and start <= place < start + len(b'"root_size":"3"'):
        return
    body[place] ^= turn
    found = {problem.line for problem in problems_of(tmp_path, ended([bytes(body)]))}

    assert line + 1 in found


@many
@given(place=places, forged=st.booleans())
def test_a_dropped_line_is_found(tmp_path: Path, place: int, *, forged: bool) -> None:
    """A bundle that lacks a line is refused, even when the last line is rewritten to fit."""
    kept = LINES[:place] + LINES[place + 1 :]
    if forged and place < len(LINES) - 1:
        kept = [ended(kept[:-1])]

    problems_of(tmp_path, b"".join(kept))


@many
@given(first=places, second=places, forged=st.booleans())
def test_a_swapped_pair_is_found(tmp_path: Path, first: int, second: int, *, forged: bool) -> None:
    """Two lines that change places are refused, even when the last line is rewritten to fit."""
    if first == second:
        second = (first + 1) % len(LINES)
    swapped = list(LINES)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    if forged and len(LINES) - 1 not in (first, second):
        swapped = [ended(swapped[:-1])]
    found = {problem.line for problem in problems_of(tmp_path, b"".join(swapped))}

    assert min(first, second) + 1 in found or max(first, second) + 1 in found


@many
@given(source=places, target=places, forged=st.booleans())
def test_a_doubled_line_is_found(tmp_path: Path, source: int, target: int, *, forged: bool) -> None:
    """A line that stands a second time, anywhere, is refused, even when the last line is rewritten to fit."""
    doubled = [*LINES[:target], LINES[source], *LINES[target:]]
    if forged and source < len(LINES) - 1:
        doubled = [ended(doubled[:-1])]

    problems_of(tmp_path, b"".join(doubled))


def test_a_file_that_was_cut_off_is_found(tmp_path: Path) -> None:
    """Any beginning of a bundle is refused, the empty one included, and so is anything after its end."""
    for length in [*range(0, len(GOOD), 97), len(GOOD) - 1]:
        problems_of(tmp_path, GOOD[:length])
    for more in (b"\n", b"x", LINES[-1], b"\x00"):
        problems_of(tmp_path, GOOD + more)
