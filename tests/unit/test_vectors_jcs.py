"""RFC 8785 vectors of cyberphone/json-canonicalization, against the library and against our writers."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from koinon.audit.leaves import canonical
from koinon_verify.canonical import write_canonical

CASES = 6


def folder() -> Path:
    """Return the folder of the vectors, or skip."""
    if "KOINON_VECTORS" not in os.environ:
        pytest.skip("KOINON_VECTORS does not name the folder of third-party vectors")
    return Path(os.environ["KOINON_VECTORS"]) / "jcs"


def is_ours(value: Any) -> bool:
    """Say whether a value keeps to what leaves and bundles hold: text, under ASCII keys, in lists and objects."""
    if isinstance(value, dict):
        return all(key.isascii() and is_ours(item) for key, item in value.items())
    return isinstance(value, str) or (isinstance(value, list) and all(map(is_ours, value)))


def ours_within(value: Any) -> list[Any]:
    """List every part of a value that keeps to our restriction, the whole included."""
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value] * is_ours(value) + [inner for part in parts for inner in ours_within(part)]


def test_the_library_passes_every_vector() -> None:
    """Each input comes out of rfc8785 as its output, byte for byte."""
    inputs = sorted((folder() / "input").glob("*.json"))
    for path in inputs:
        expected = (folder() / "output" / path.name).read_bytes()

        assert rfc8785.dumps(json.loads(path.read_bytes())) == expected.rstrip(b"\n"), path.name

    print(f"jcs: {len(inputs)} vectors through rfc8785")
    assert len(inputs) == CASES


def test_our_writers_pass_what_is_of_their_kind() -> None:
    """Every part of the vectors that is text under ASCII keys comes out of both our writers as rfc8785 writes it."""
    parts = [
        part
        for path in sorted((folder() / "input").glob("*.json"))
        for part in ours_within(json.loads(path.read_bytes()))
    ]
    for part in parts:
        assert canonical(part) == rfc8785.dumps(part)
        assert write_canonical(part) == rfc8785.dumps(part)

    print(f"jcs: {len(parts)} parts of vectors through the platform's and the verifier's writers")
    assert len(parts) > CASES
