"""Bundles of the small coalition, on disk."""

from pathlib import Path

import pytest

from tests.kit.bundles import Coalition


@pytest.fixture(scope="session")
def bundles() -> dict[tuple[int, str], bytes]:
    """Return the bundles of windows 12, 13 and 14 by window and partner."""
    coalition = Coalition()
    return {(window, partner): bundle for window in (12, 13, 14) for partner, bundle in coalition.close(window).items()}


@pytest.fixture
def grocer(bundles: dict[tuple[int, str], bytes], tmp_path: Path) -> Path:
    """Return the path of the grocer's bundle of window 12."""
    path = tmp_path / "grocer.bundle"
    path.write_bytes(bundles[12, "grocer"])
    return path
