"""The script that changes lines: what it finds in a source, what it does to a copy, and how it counts."""

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import mutate
from tests.mutate import (
    ROOT,
    TESTS,
    Drawn,
    FailsAnyway,
    Trial,
    Verdict,
    applied,
    changed_text,
    copied,
    draw,
    enough,
    equivalents,
    run_tests,
    sources,
    touching,
)
from tests.mutation.points import mutations

PYTHON = '''"""A module, 1 < 2."""
LIMIT = 10  # 3 < 4

class Kept(Struct, frozen=True):
    """Nothing here is run."""

    points: Annotated[int, Meta(ge=1)] = 0

async def settle(rows, *, whole: bool = True) -> str | None:
    """Say what 5 < 6 does."""
    log.info("begun", rows=7)
    if not rows or whole and rows[0] <= "Σ" < LIMIT:
        raise Nothing
    assert rows == 8
    await connection.execute(statements["put"], rows, [row for row in rows if row.due])
    left -= price(rows, whole)
    return f"{left - 9}"
'''
FOUND = [
    (2, "constant", "10", "11"),
    (7, "constant", "0", "1"),
    (9, "constant", "True", "False"),
    (12, "or → and", 'not rows or whole and rows[0] <= "Σ" < LIMIT',
     "(not rows and (whole and rows[0] <= 'Σ' < LIMIT))"),
    (12, "condition negated", 'not rows or whole and rows[0] <= "Σ" < LIMIT',
     "(not (not rows or (whole and rows[0] <= 'Σ' < LIMIT)))"),
    (12, "not dropped", "not rows", "bool(rows)"),
    (12, "and → or", 'whole and rows[0] <= "Σ" < LIMIT', "(whole or rows[0] <= 'Σ' < LIMIT)"),
    (12, "constant", "0", "1"),
    (13, "statement dropped", "raise Nothing", "pass"),
    (15, "statement dropped",
     'await connection.execute(statements["put"], rows, [row for row in rows if row.due])', "pass"),
    (15, "condition negated", "row.due", "(not (row.due))"),
    (16, "statement dropped", "left -= price(rows, whole)", "pass"),
    (16, "arguments swapped", "price(rows, whole)", "price(whole, rows)"),
]  # fmt: skip

SQL = """-- take: rows that are due, 1 < 2, each taken by one worker
SELECT r.points + 5 AS points, r.body ->> 'a' FROM offers.row r -- 3 < 4
WHERE r.due_at <= $1 AND r.state = 'new' AND NOT EXISTS (
    SELECT FROM offers.other o WHERE o.row_id = r.row_id AND o.ended_at IS NULL)
ORDER BY r.row_id, r.due_at DESC LIMIT $2 FOR UPDATE SKIP LOCKED;
    PERFORM offers.wake(r);
GRANT SELECT, INSERT ON offers.row TO koinon_app WHERE 6 < 7;
"""
FOUND_IN_SQL = [
    (2, "sign turned", "+", "-"),
    (2, "constant", "5", "6"),
    (3, "boundary", "<=", "<"),
    (3, "condition dropped", " AND r.state = 'new'", ""),
    (3, "test turned", "NOT EXISTS", "EXISTS"),
    (4, "condition dropped", " AND o.ended_at IS NULL", ""),
    (4, "test turned", "IS NULL", "IS NOT NULL"),
    (5, "order turned", "r.row_id", "r.row_id DESC"),
    (5, "lock dropped", " FOR UPDATE SKIP LOCKED", ""),
    (5, "lock waited for", " SKIP LOCKED", ""),
    (6, "statement dropped", "    PERFORM offers.wake(r);", "    NULL;"),
]


@pytest.mark.parametrize(("name", "source", "found"), [("a.py", PYTHON, FOUND), ("a.sql", SQL, FOUND_IN_SQL)])
def test_what_is_found_in_a_source(name: str, source: str, found: list[tuple[int, str, str, str]]) -> None:
    """Every point that decides something, with its line, and nothing of what is only said; any letters may precede."""
    points = [
        (each.line(source), each.what, source[each.start : each.end], each.replacement)
        for each in mutations(name, source)
    ]

    assert sorted(points) == sorted(found)


def test_a_change_is_one_change() -> None:
    """Applied, a change leaves all before and after it as it was, and Python that can be read."""
    for path, source in sources(ROOT).items():
        for each in mutations(path, source):
            changed = each.applied(source)
            assert changed != source
            assert changed[: each.start] == source[: each.start]
            assert changed[each.start + len(each.replacement) :] == source[each.end :]
    for path in ("offers/rewarding/operations.py", "offers/rewarding/decisions.py", "settlement/calculation.py"):
        source = (ROOT / path).read_text(encoding="utf-8")
        for each in mutations(path, source):
            ast.parse(each.applied(source))


def test_a_seed_draws_the_same_lines_whatever_stands_around_them() -> None:
    """The draw follows from the seed and the lines' text; each line is drawn once, with one change."""
    found = {"offers/a.py": PYTHON, "offers/a.sql": SQL}
    drawn = [(each.path, each.before, each.after) for each in draw(found, 1)]
    moved = {"offers/a.py": "import os\n\n\n" + PYTHON, "offers/a.sql": SQL}

    assert [(each.path, each.before, each.after) for each in draw(moved, 1)] == drawn
    assert [(each.path, each.before, each.after) for each in draw(found, 2)] != drawn
    assert sorted({(path, before) for path, before, _ in drawn}) == sorted((path, before) for path, before, _ in drawn)
    assert len(drawn) == len({line for line, *_ in FOUND}) + len({line for line, *_ in FOUND_IN_SQL})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests of a small tree run without the plugins that take seconds to load and that it has no use for."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(mutate, "OPTIONS", tuple(each for each in mutate.OPTIONS if "hypothesis" not in each))


def project(folder: Path, test: str) -> Path:
    """Write a small tree with one line to change and a test of it."""
    for tests in {tests for every in TESTS.values() for tests in every}:
        (folder / tests).mkdir(parents=True)
    (folder / "platform").mkdir()
    (folder / "offers").mkdir()
    (folder / "offers" / "__init__.py").touch()
    (folder / "offers" / "limits.py").write_text("def fits(points):\n    return points < 10\n", encoding="utf-8")
    (folder / "tests" / "conftest.py").touch()
    named = folder / "tests" / "concurrency" / "test_limits.py"
    named.write_text(f"from offers.limits import fits\n\n\ndef test_limits():\n    {test}\n", encoding="utf-8")
    return folder


def turned(tree: Path) -> Drawn:
    """Return the change of the tree's comparison."""
    (found,) = [each for each in draw(sources(tree), 1) if each.mutation.what in {"comparison turned", "constant"}]
    return found


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        ("assert fits(9) and not fits(10)", ("noticed", "tests/concurrency/test_limits.py::test_limits")),
        ("assert fits(5)", ("survived", "")),
    ],
)
def test_a_change_is_tried_on_a_copy(bare: None, tmp_path: Path, test: str, verdict: tuple[str, str]) -> None:
    """A test at the boundary notices, one beside it does not; the tree and the copy are what they were."""
    tree = project(tmp_path / "tree", test)
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    copy = copied(tree, tmp_path)

    tried = Trial(copy, seconds=60).of(turned(tree))

    assert (tried.state, tried.test) == verdict
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before
    for path, content in before.items():
        assert (copy / path.relative_to(tree)).read_bytes() == content


def test_a_test_that_fails_anyway_notices_nothing(bare: None, tmp_path: Path) -> None:
    """What fails without a change too ends the run instead of being counted."""
    tree = project(tmp_path / "tree", "assert fits(10)")
    trial = Trial(copied(tree, tmp_path), seconds=60)
    kept = Drawn("offers/limits.py", 2, "", "", mutations("a.py", "def fits(points):\n    return points < 10\n")[-1])

    with pytest.raises(FailsAnyway, match="test_limits fails without any change too"):
        trial.of(kept._replace(mutation=kept.mutation._replace(replacement="(10)")))


def test_what_cannot_be_imported_is_no_verdict(bare: None, tmp_path: Path) -> None:
    """A broken conftest is not a test that notices."""
    tree = project(tmp_path / "tree", "assert fits(5)")
    (tree / "tests" / "conftest.py").write_text("import nothing_of_this_name\n", encoding="utf-8")

    assert run_tests(tree, ["tests/concurrency"], 60).state == "not importable"
    with pytest.raises(FailsAnyway, match="nothing_of_this_name"):
        Trial(tree, seconds=60)


def test_a_run_that_hangs_is_ended(bare: None, tmp_path: Path) -> None:
    """What would run for ever is stopped when its time is over, and said so."""
    tree = project(tmp_path / "tree", "import threading; threading.Event().wait()")

    assert run_tests(tree, ["tests/concurrency"], 5).state == "out of time"


def test_the_file_is_put_back_whatever_happens(tmp_path: Path) -> None:
    """In the block one file is changed; after it, failed or not, none is."""
    tree = project(tmp_path / "tree", "assert fits(5)")
    path, change = tree / "offers" / "limits.py", turned(tree)
    before = path.read_text(encoding="utf-8")
    seen: list[str] = []

    def go_wrong() -> None:
        with applied(tree, change):
            seen.append(path.read_text(encoding="utf-8"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        go_wrong()

    assert seen == [change.mutation.applied(before)] != [before]
    assert path.read_text(encoding="utf-8") == before


def test_every_folder_of_tests_is_there() -> None:
    """Each file that is changed has tests that touch it, and what answers over HTTP is asked there first."""
    for path in sources(ROOT):
        tests = touching(path)
        assert tests
        assert [each for each in tests if not (ROOT / each).exists()] == []
    assert touching("offers/web.py")[0].startswith("tests/web/")
    assert touching("offers/rewarding/decisions.py")[:2] == ["tests/unit/offers/test_decisions.py", "tests/unit/offers"]


def test_what_is_called_equivalent_still_stands_there() -> None:
    """Each listed change is one that can be drawn, and has a reason; what the code no longer says must go."""
    for each in equivalents():
        source = (ROOT / each.path).read_text(encoding="utf-8")
        lines = source.splitlines()
        possible = {
            (lines[change.line(source) - 1].strip(), changed_text(source, change))
            for change in mutations(each.path, source)
        }
        assert (each.before, each.after) in possible, each
        assert len(each.reason) > 20


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["noticed"] * 27 + ["survived"] * 3, 0),
        (["noticed"] * 26 + ["survived"] * 4, 1),
        (["noticed"] * 26 + ["out of time"] + ["survived"] * 3, 1),
    ],
)
def test_nine_in_ten_are_enough(monkeypatch: pytest.MonkeyPatch, states: Sequence[str], code: int) -> None:
    """27 of 30 pass and 26 do not; what is drawn is printed with what became of it."""
    verdicts = [Verdict(state, "", 1) for state in states]  # type: ignore[arg-type]  # the states of a verdict
    assert enough(verdicts) is (code == 0)
    answers = iter([Verdict("not importable", "", 1), *verdicts])

    class Told:
        """A trial whose outcome is known."""

        def __init__(self, copy: Path) -> None:
            assert (copy / "tests" / "mutate.py").is_file()

        def of(self, drawn: Drawn) -> Verdict:
            """Return the next answer."""
            return next(answers)

    monkeypatch.setattr(mutate, "Trial", Told)

    result = CliRunner().invoke(mutate.main, ["--seed", "1", "--count", "30"])

    assert result.exit_code == code
    assert f"seed 1: {states.count('noticed')} of 30 changes were noticed" in result.output
    assert result.output.count("cannot be imported, not counted") == 1
    assert result.output.count("     survived ") == states.count("survived")


def test_a_draw_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--show` prints what would be tried and runs nothing, from wherever a run was ended."""

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(mutate, "run_tests", never)

    result = CliRunner().invoke(mutate.main, ["--seed", "1", "--count", "3", "--only", "settlement", "--show"])

    assert result.exit_code == 0
    assert result.output.count("     - ") == result.output.count("     + ") == 3
    later = ["--seed", "1", "--count", "2", "--skip", "1", "--only", "settlement", "--show"]
    assert CliRunner().invoke(mutate.main, later).output == result.output[result.output.index("  2  ") :]
