"""Nothing lies in the product that nothing in the product uses: what tests alone call is a test's, and stands there."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from koinon.database.statements import read

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("platform", "partners", "settlement", "offers")
READ = {".py", ".sql", ".html", ".svg", ".js"}
"""What names things of the product: modules, statements, templates and what they show."""

# What nothing names by its own name, and why it is there all the same.
CALLED_FROM_OUTSIDE: dict[str, str] = {}

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def files(*suffixes: str) -> list[Path]:
    """Return the product's files with these endings."""
    found = [path for folder in PRODUCT for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    return sorted(found)


def words_of(path: Path) -> Counter[str]:
    """Return how often each word stands in a file; of a module, docstrings and comments name nothing."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return Counter(WORD.findall(text))
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | Definition) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return Counter(WORD.findall(ast.unparse(tree)))


@cache
def words() -> Counter[str]:
    """Return how often each word stands in the product, and in what pyproject.toml starts."""
    total: Counter[str] = Counter()
    for path in files(*READ):
        total += words_of(path)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return total + Counter(WORD.findall(str(project["scripts"])))


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """Yield each public function and class of a module that no decorator hands to somebody else."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def test_every_function_and_class_is_used() -> None:
    """Each public function and class is named by the product once more than where it is made.

    A word that stands twice by chance hides what is dead; a word that stands once is dead for certain.
    """
    made = [(path, node) for path in files(".py") for node in public(ast.parse(path.read_text(encoding="utf-8")).body)]
    definitions = Counter(node.name for _, node in made)
    # An import names a thing without using it.
    imports = Counter(
        alias.name
        for path in files(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
    dead = {
        f"{path.relative_to(ROOT).as_posix()}: {node.name}"
        for path, node in made
        if words()[node.name] <= definitions[node.name] + imports[node.name]
    }

    assert len(made) > 500
    assert dead == CALLED_FROM_OUTSIDE.keys()


def test_every_statement_is_run() -> None:
    """Each named statement is named by a module; `invariants.sql` is looked through whole."""
    texts = {
        str(node.value)
        for path in files(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    named = [
        (path, statement.name)
        for path in files(".sql")
        if path.parent.name != "migrations" and path.name not in {"functions.sql", "views.sql", "invariants.sql"}
        for statement in read(path)
    ]

    assert len(named) > 200
    assert [f"{path.relative_to(ROOT).as_posix()}: {name}" for path, name in named if name not in texts] == []
