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

# What no module names, and who calls it all the same.
CALLED_FROM_OUTSIDE = {
    "platform/koinon/money.py: parse_amount": "the simulator reads a processor's decimal amounts by it",
    "platform/koinon/database/engine.py: Engine.check_version": "Piccolo calls it",
    "platform/koinon/database/mapped.py: RecordedAt.column_type": "Piccolo asks for it",
    "platform/koinon/http/description.py: StructTexts.is_plugin_supported_field": "Litestar asks it",
    "platform/koinon/identity/plugin.py: Identity.receive_route": "Litestar calls it",
    "platform/koinon/web/interface.py: InterfacePage.receive_router": "Litestar calls it",
    "settlement/states.py: RUN_TRANSITIONS": "the database lets nothing else follow; a test holds the two equal",
}
PICCOLOS = "APP_CONFIG"
"""What every piccolo_app.py is asked for."""

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


def commands(node: Definition) -> bool:
    """Tell whether a decorator takes the function as a command, under a name of its own."""
    return any(re.search(r"\.(?:command|group)\b", ast.unparse(each)) for each in node.decorator_list)


def public(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, str]]:
    """Yield (where it stands, name) of each public function, class, method and constant."""
    for node in body:
        names = []
        if isinstance(node, Definition) and not commands(node):
            names = [node.name]
        elif not within and isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [each.id for each in targets if isinstance(each, ast.Name)]
        yield from ((f"{within}{name}", name) for name in names if not name.startswith("_"))
        if isinstance(node, ast.ClassDef):
            yield from public(node.body, f"{node.name}.")


def test_everything_that_is_made_is_used() -> None:
    """Each public function, class, method and constant is named once more than where it is made and imported.

    A word that is written elsewhere by chance hides what is dead; one that is written nowhere else is dead for certain.
    """
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files(".py")}
    made = [(path, where, name) for path, module in modules.items() for where, name in public(module.body)]
    definitions = Counter(name for _, _, name in made)
    imports = Counter(
        alias.name
        for module in modules.values()
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
    dead = {
        f"{path.relative_to(ROOT).as_posix()}: {where}"
        for path, where, name in made
        if words()[name] <= definitions[name] + imports[name] and name != PICCOLOS
    }

    assert len(made) > 1_500
    assert dead == CALLED_FROM_OUTSIDE.keys()


def test_every_database_function_and_view_is_used() -> None:
    """Each function and view of a schema is named once more than where it is made."""
    texts = [path.read_text(encoding="utf-8") for path in files(*READ) if path.parent.name != "migrations"]
    made = [name for text in texts for name in re.findall(r"CREATE OR REPLACE (?:FUNCTION|VIEW)\s+([a-z_.]+)", text)]
    named = Counter(word for text in texts for word in re.findall(r"\b[a-z_]+\.[a-z_]+\b", text))

    assert len(made) > 40
    assert [name for name in made if named[name] < 2] == []


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
