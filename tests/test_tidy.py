"""The rules of the house that no linter knows: sizes, docstrings, reasons, directions of imports."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE_FOLDERS = ("platform", "partners", "settlement", "offers", "load_tests", "tests")
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
FOLDER_LINES_MAX = 4_000

SOURCES = sorted(path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*.py"))

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def name_of(path: Path) -> str:
    """Return a path as it is named from the root."""
    return path.relative_to(ROOT).as_posix()


def tracked_files() -> list[Path]:
    """Return every file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("no git repository here: this is an unpacked archive")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """Return a file's text, or nothing when it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def public_definitions(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield each public class, function and method; what stands inside a function or a private class is not public."""
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        name = f"{within}{node.name}"
        overload = any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
        if not overload:
            yield name, node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node.body, f"{name}.")


def test_sources_are_found() -> None:
    """The rules below look at every source folder, so none of them may have gone missing."""
    found = {path.relative_to(ROOT).parts[0] for path in SOURCES}

    assert set(SOURCE_FOLDERS) == found


def test_functions_fit_on_a_screen() -> None:
    """No function is longer than 70 lines, from its `def` to its last line."""
    too_long = [
        f"{name_of(path)}:{node.lineno} {node.name} has {length} lines"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert too_long == []


def test_modules_fit_on_a_few_screens() -> None:
    """No module is longer than 400 lines."""
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}

    assert {name: length for name, length in lengths.items() if length > MODULE_LINES_MAX} == {}


def test_no_folder_outgrows_a_reader() -> None:
    """The modules that lie in one folder come to at most 4,000 lines: what outgrows it splits by capability."""
    sizes: dict[str, int] = {}
    for path in SOURCES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        sizes[name_of(path.parent)] = sizes.get(name_of(path.parent), 0) + lines

    assert {folder: lines for folder, lines in sizes.items() if lines > FOLDER_LINES_MAX} == {}


def test_everything_public_says_what_it_is() -> None:
    """Each public module, class, function and method, tests too, has a docstring whose first line is a sentence."""
    silent = []
    for path in SOURCES:
        module = ast.parse(path.read_text(encoding="utf-8"))
        named: list[tuple[str, Definition | ast.Module]] = [("the module", module), *public_definitions(module.body)]
        for name, node in named:
            first_line = (ast.get_docstring(node) or "").partition("\n")[0]
            if not first_line.endswith((".", "?", "!", ":")):
                silent.append(f"{name_of(path)}:{getattr(node, 'lineno', 1)} {name}")

    assert silent == []


def test_imports_point_one_way() -> None:
    """The core knows no context but in `koinon.app`, contexts stand apart, the verifier stands alone."""
    linted = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "Contracts: 5 kept, 0 broken." in linted.stdout


def test_every_ignored_rule_has_its_reason() -> None:
    """Each rule that ruff does not hold has a reason beside it in pyproject.toml."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    configuration = tomllib.loads("\n".join(lines))["tool"]["ruff"]["lint"]
    ignored = set(configuration["ignore"]).union(*configuration["per-file-ignores"].values())
    explained = {found[1] for line in lines if (found := re.match(r'\s+"([A-Z]+[0-9]*)",\s+# .{10,}', line))}

    assert ignored - explained == set()


def test_every_exception_in_the_code_has_its_reason() -> None:
    """Each `noqa` and `type: ignore` names its rule and is followed by a reason, as in `# noqa: S108  # why`."""
    exception = re.compile(r"#\s*(?:noqa|type:\s*ignore|ruff:\s*noqa|mypy:)(?P<rest>.*)")
    explained = re.compile(
        r"(?:: ?[A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*|\[[a-z-]+(?:, ?[a-z-]+)*\])(?:\s+#|\s+[-\u2013:])?\s*\w.{2,}"
    )
    bare = [
        f"{name_of(path)}:{number} {found[0]}"
        for path in SOURCES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (found := exception.search(line)) and not explained.match(found["rest"])
    ]

    assert bare == []


def test_no_type_hides_from_the_framework() -> None:
    """No module postpones its annotations or hides imports behind TYPE_CHECKING: Litestar and msgspec read them."""
    hidden = [
        name_of(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        or (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
    ]

    assert hidden == []


def test_every_refusal_has_one_home() -> None:
    """No two refusals have the same stable code: what two packages refuse alike, the lower one refuses for both."""
    codes = [
        (str(value.value), f"{name_of(path)}:{node.name}")
        for path in SOURCES
        if path.parts[len(ROOT.parts)] not in {"tests", "load_tests"} and "koinon_verify" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign)
        and ast.unparse(statement.targets[0]) == "code"
        and isinstance(value := statement.value, ast.Constant)
    ]
    homes: dict[str, list[str]] = {}
    for code, home in codes:
        homes.setdefault(code, []).append(home)

    assert codes
    assert {code: found for code, found in homes.items() if len(found) > 1} == {}


def test_models_are_pure() -> None:
    """A `model.py` imports nothing that reaches the world or the clock, and asks no clock for the time."""
    outside = {
        "asyncpg",
        "piccolo",
        "litestar",
        "httpx",
        "os",
        "pathlib",
        "socket",
        "subprocess",
        "time",
        "asyncio",
        "random",
    }
    reaching = []
    for path in SOURCES:
        if path.name != "model.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            reaching += [f"{name_of(path)} imports {name}" for name in imported if name.split(".")[0] in outside]
            if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
                reaching.append(f"{name_of(path)}:{node.lineno} asks for the time")

    assert reaching == []


def test_no_property_looks_in_a_way_of_its_own() -> None:
    """A test says how many examples it wants; draws, deadlines and what is kept are the profile's, the same for all."""
    allowed = {"max_examples", "stateful_step_count", "phases"}
    own = [
        f"{name_of(path)}:{node.lineno} sets {keyword.arg}"
        for path in SOURCES
        if path.is_relative_to(ROOT / "tests") and "hypothesis" in path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"settings", "exploring"}
        for keyword in node.keywords
        if keyword.arg not in allowed
    ]

    assert own == []


def test_no_host_or_machine_is_named() -> None:
    """No tracked file names a package registry's host or a folder of somebody's machine."""
    registries = ("pypi", "npmjs", "yarnpkg", "pythonhosted", "debian", "docker", "ghcr", "quay")
    hosts = r"\b(?:[a-z0-9-]+\.)*(?:" + "|".join(registries) + r")\.(?:org|com|io)\b"
    folders = r"(?<![\w.<$}/-])/(?:work|root|home|Users|opt/pypi[a-z-]*)/"
    named = [
        f"{name_of(path)}:{number} {found[0]}"
        for path in tracked_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if (found := re.search(f"{hosts}|{folders}", line))
    ]

    assert named == []


def test_requirements_are_pinned_and_hashed() -> None:
    """Every requirement is one exact version with its hashes; no line says where packages come from."""
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert [path.name for path in files] == ["build.txt", "dev.txt", "run.txt"]
    for path in files:
        entries = re.sub(r" \\\n\s+", " ", path.read_text(encoding="utf-8")).splitlines()
        shape = re.compile(r"[a-z0-9._-]+==[\w.+!-]+(?: ; [^#]+?)?(?: --hash=sha256:[0-9a-f]{64})+")

        assert [entry for entry in entries if not shape.fullmatch(entry)] == []
        assert entries


def test_requirements_agree() -> None:
    """What runs in production is what was tested: the smaller lists pin the same versions as the whole one."""
    pins = {
        path.name: set(re.findall(r"^([a-z0-9._-]+==\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in (ROOT / "requirements").glob("*.txt")
    }

    assert pins["run.txt"] - pins["dev.txt"] == set()
    assert pins["build.txt"] - pins["dev.txt"] == set()


def test_statements_stand_in_files_of_their_own() -> None:
    """No module of the product holds a statement that reads or writes a schema's table."""
    reading = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:koinon|[a-z]+)\.[a-z_]+\b")
    inline = [
        f"{name_of(path)}:{node.lineno} {found[0]}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] not in {"tests", "load_tests"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := reading.search(node.value))
    ]

    assert inline == []
