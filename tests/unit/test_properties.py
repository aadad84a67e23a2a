"""How properties look for their exception: the same everywhere by default, and by a seed elsewhere."""

import importlib.util
import sys
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.conftest import look_from

Drawn = list[tuple[int, str]]


def drawn(profile: str, seed: int | None = None) -> Drawn:
    """Return what a property tries under a profile, from a seed or from anywhere."""
    look_from(seed)
    tried: Drawn = []

    @hypothesis.settings(hypothesis.settings.get_profile(profile), max_examples=200)
    @given(st.integers(), st.text())
    def property_(number: int, text: str) -> None:
        tried.append((number, text))

    property_()
    return tried


def test_what_is_loaded_changes_no_draw(tmp_path: Path, seed: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A property tries the same examples alone and after others, whose modules hold constants of their own."""
    if seed is not None:
        pytest.skip("at random, constants of the modules that are loaded are tried too")
    before = drawn("repeatable")
    path = tmp_path / "loaded.py"
    path.write_text(f"NUMBERS = {[10**20 + number for number in range(500)]}\nWORDS = {list(map(str, range(500)))}\n")
    spec = importlib.util.spec_from_file_location("loaded", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setitem(sys.modules, "loaded", loaded)

    assert drawn("repeatable") == before
    assert len(before) == 200


def test_a_seed_is_looked_from_again() -> None:
    """At random, the same seed tries the same examples and another one others; without one, every time others."""
    assert drawn("random", 1) == drawn("random", 1)
    assert drawn("random", 1) != drawn("random", 2)
    assert drawn("random") != drawn("random")


def test_what_fails_is_kept(tmp_path: Path) -> None:
    """At random, from a seed too, what failed is written down and tried first the next time."""
    tried: list[int] = []

    @hypothesis.settings(
        hypothesis.settings.get_profile("random"), database=DirectoryBasedExampleDatabase(tmp_path / "kept")
    )
    @given(st.integers())
    def property_(number: int) -> None:
        tried.append(number)
        assert number < 1000

    look_from(1)
    with pytest.raises(AssertionError):
        property_()
    assert list((tmp_path / "kept").rglob("*"))
    tried.clear()
    look_from(2)
    with pytest.raises(AssertionError):
        property_()
    assert tried[0] >= 1000


def test_no_clock_judges_a_property() -> None:
    """Neither profile has a deadline or minds slow draws; the one that looks at random keeps what it finds."""
    for name in ("repeatable", "random"):
        profile = hypothesis.settings.get_profile(name)
        assert profile.deadline is None
        assert hypothesis.HealthCheck.too_slow in profile.suppress_health_check
        assert profile.print_blob
    repeatable, random = map(hypothesis.settings.get_profile, ("repeatable", "random"))
    assert (repeatable.derandomize, repeatable.database) == (True, None)
    assert not random.derandomize
    assert isinstance(random.database, DirectoryBasedExampleDatabase)
    assert random.database.path == Path(__file__).resolve().parents[2] / "var" / "examples"
