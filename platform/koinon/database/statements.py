"""Named SQL: statements that stand beside the code that runs them, in a `statements.sql`.

A statement starts at a line `-- name: what it does` and ends where the next one starts.
"""

import re
from pathlib import Path
from typing import NamedTuple

HEADING = re.compile(r"^-- (?P<name>[a-z][a-z0-9_]*): (?P<summary>.+)$", re.MULTILINE)


class Statement(NamedTuple):
    """One named SQL statement with `$1` parameters."""

    name: str
    summary: str
    sql: str


class Statements(dict[str, str]):
    """The statements of one file: `statements["name"]` is its SQL."""

    def __init__(self, path: Path) -> None:
        """Read the statements beside a module.

        Raises ValueError when two carry one name, or text stands before the first heading.
        """
        super().__init__()
        for statement in read(path):
            if statement.name in self:
                message = f"{path}: {statement.name} stands twice"
                raise ValueError(message)
            self[statement.name] = statement.sql


def beside(module_file: str, name: str = "statements.sql") -> Statements:
    """Return the statements of the file that stands beside a module (`beside(__file__)`)."""
    return Statements(Path(module_file).with_name(name))


def read(path: Path) -> list[Statement]:
    """Return the statements of a file in their order."""
    text = path.read_text(encoding="utf-8")
    headings = list(HEADING.finditer(text))
    if not headings:
        return []
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return [
        Statement(heading["name"], heading["summary"], text[heading.end() : end].strip().rstrip(";"))
        for heading, end in zip(headings, ends, strict=True)
    ]
