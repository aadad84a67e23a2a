"""RFC 6962 vectors of transparency-dev/merkle, against the platform's checks and the verifier's own."""

import json
import os
from base64 import b64decode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from koinon.audit import tree
from koinon_verify import merkle

InclusionCheck = Callable[[int, int, bytes, Sequence[bytes], bytes], bool]
ConsistencyCheck = Callable[[int, int, bytes, bytes, Sequence[bytes]], bool]


def cases(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the vectors of a kind with their names, or skip."""
    if "KOINON_VECTORS" not in os.environ:
        pytest.skip("KOINON_VECTORS does not name the folder of third-party vectors")
    folder = Path(os.environ["KOINON_VECTORS"]) / "merkle" / "testdata" / kind
    found = [(str(path.relative_to(folder)), json.loads(path.read_bytes())) for path in folder.rglob("*.json")]
    assert found, f"no vectors in {folder}"
    return sorted(found, key=lambda case: case[0])


def hashes(proof: list[str] | None) -> list[bytes]:
    """Return the hashes of a vector's proof; no proof is an empty one."""
    return [b64decode(item) for item in proof or []]


@pytest.mark.parametrize("check", [tree.verify_inclusion, merkle.verify_inclusion], ids=["platform", "verifier"])
def test_inclusion_vectors(check: InclusionCheck) -> None:
    """Each inclusion proof is accepted or refused as the vector says."""
    found = cases("inclusion")
    for name, case in found:
        root, leaf = b64decode(case["root"] or ""), b64decode(case["leafHash"] or "")
        holds = check(case["leafIdx"], case["treeSize"], leaf, hashes(case["proof"]), root)

        assert holds is not case["wantErr"], name

    print(f"merkle: {len(found)} inclusion vectors, {sum(not case['wantErr'] for _, case in found)} of them good")
    assert len(found) == 98


@pytest.mark.parametrize("check", [tree.verify_consistency, merkle.verify_consistency], ids=["platform", "verifier"])
def test_consistency_vectors(check: ConsistencyCheck) -> None:
    """Each consistency proof is accepted or refused as the vector says."""
    found = cases("consistency")
    for name, case in found:
        old, new = b64decode(case["root1"] or ""), b64decode(case["root2"] or "")
        holds = check(case["size1"], case["size2"], old, new, hashes(case["proof"]))

        assert holds is not case["wantErr"], name

    print(f"merkle: {len(found)} consistency vectors, {sum(not case['wantErr'] for _, case in found)} of them good")
    assert len(found) == 98


def test_subtree_vectors() -> None:
    """A leaf in a subtree, and a subtree in a tree: each proof is accepted or refused as the vector says.

    But that nothing is in a tree is refused here, for a subtree as for a whole tree: it shows nothing.
    """
    found = cases("subtreeinclusion")
    for name, case in found:
        start, end = case["start"], case["end"]
        root, leaf = b64decode(case["root"] or ""), b64decode(case["leafHash"] or "")
        holds = tree.is_subtree(start, end) and tree.verify_inclusion(
            case["leafIdx"] - start, end - start, leaf, hashes(case["proof"]), root
        )

        assert holds is not case["wantErr"], name
    extended = cases("subtreeconsistency")
    for name, case in extended:
        old, new = b64decode(case["root1"] or ""), b64decode(case["root2"] or "")
        holds = tree.verify_consistency(case["end"], case["size"], old, new, hashes(case["proof"]), start=case["start"])

        assert holds is (case["start"] < case["end"] and not case["wantErr"]), name

    print(f"merkle: {len(found)} subtree inclusion and {len(extended)} subtree consistency vectors")
    assert (len(found), len(extended)) == (204, 118)
    assert sum(case["start"] == case["end"] and not case["wantErr"] for _, case in extended) == 6
