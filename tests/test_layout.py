"""The walls of the house: `platform/` is a source root beside the standard library's module of that name."""

import ast
import platform
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()


def test_platform_is_no_package() -> None:
    """`platform/__init__.py` does not exist: with it, nothing that asks the standard library's module would import."""
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert sorted(path.name for path in (ROOT / "platform").iterdir() if path.name != "__pycache__") == [
        "koinon",
        "koinon_verify",
    ]


def test_platform_is_the_standard_library_here() -> None:
    """Inside the tests, `import platform` gives the standard library's module."""
    assert Path(str(platform.__file__)).resolve() == STANDARD_LIBRARY / "platform.py"


def test_platform_is_the_standard_library_from_the_root() -> None:
    """From the root of the checkout, where `platform/` lies first on the path, `import platform` does too."""
    answer = subprocess.run(
        [sys.executable, "-c", "import platform; print(platform.__file__, platform.python_version())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    file, version = answer.stdout.split()
    assert Path(file).resolve() == STANDARD_LIBRARY / "platform.py"
    assert version == platform.python_version()


def imported_parts(*folders: str) -> set[str]:
    """Return the names, as they are installed, of the parts that folders import and that are not of this house."""
    distributions = packages_distributions()
    parts = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            parts |= {part for name in names for part in distributions.get(name.partition(".")[0], ())}
    return {part.lower().replace("_", "-") for part in parts} - {"koinon"}


def test_what_runs_imports_what_is_declared() -> None:
    """The packages import exactly the dependencies of pyproject.toml: none by luck, none installed for nothing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[\[<>=~! ;]", part)[0] for part in project["dependencies"]}

    assert imported_parts("platform", "partners", "offers", "settlement") == declared


def test_no_module_is_called_by_what_it_is_not() -> None:
    """No module is named utils, helpers, common or misc: a package splits by capability."""
    nameless = {"utils", "util", "helpers", "helper", "common", "misc"}
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in ("platform", "partners", "settlement", "offers", "load_tests", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if path.stem in nameless
    ]

    assert found == []


def test_the_wheel_holds_the_packages_of_the_house() -> None:
    """The wheel is built from the four roots of the design, and the editable install from the same two folders."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]

    assert build["dev-mode-dirs"] == ["platform", "."]
    assert build["targets"]["wheel"]["packages"] == [
        "platform/koinon",
        "platform/koinon_verify",
        "partners",
        "settlement",
        "offers",
    ]


def test_the_wheel_carries_what_is_not_python(tmp_path: Path) -> None:
    """Statements, database functions, migrations and templates travel in the wheel beside their modules."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("koinon-*.whl"))) as wheel:
        packed = set(wheel.namelist())

    for source_root in (ROOT / "platform", ROOT):
        for package in ("koinon", "koinon_verify", "partners", "settlement", "offers"):
            for path in (source_root / package).rglob("*"):
                if path.is_file() and path.suffix != ".pyc":
                    assert path.relative_to(source_root).as_posix() in packed
