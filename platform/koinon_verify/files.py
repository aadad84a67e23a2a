"""Reads files of lines with bounded work, whatever the file is."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from koinon_verify.problems import Refused

LINE_BYTES_MAX = 4 * 1024 * 1024
"""No line is longer: a statement of thousands of contract versions fits."""

REFUSED_LINES_MAX = 100
"""After so many lines that do not hold, the rest of a file is counted and no longer read."""

_CHUNK_BYTES = 1024 * 1024


def open_file(file: str) -> BinaryIO:
    """Open a file for reading; refuse one that cannot be read."""
    try:
        return Path(file).open("rb")
    except (OSError, ValueError) as error:
        raise unreadable(error) from error


def unreadable(error: OSError | ValueError) -> Refused:
    """Return the refusal of a file that the system does not let be read."""
    return Refused("unreadable", getattr(error, "strerror", None) or "the file cannot be read")


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines with their newlines; one that is too long is yielded in part, as the last."""
    while raw := stream.readline(LINE_BYTES_MAX + 1):
        yield raw
        if is_too_long(raw):
            return


def is_too_long(raw: bytes) -> bool:
    """Say whether a line is longer than any may be."""
    return len(raw) > LINE_BYTES_MAX


def count_lines(stream: BinaryIO) -> int:
    """Count the lines that are left, without looking at them."""
    count, last = 0, b"\n"
    while chunk := stream.read(_CHUNK_BYTES):
        count += chunk.count(b"\n")
        last = chunk[-1:]
    return count + (last != b"\n")
