"""Where a source can be changed so that it does something else: one small change a point, in Python by its tree.

Left alone is what decides nothing while all is well, and what the type checker holds: docstrings, comments, examples,
annotations, log lines, assertions, `strict=True`, the keywords of a class; and grants.
"""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
SAID_ONLY = {"examples", "description", "strict"}
# What is handed on first everywhere; the type checker knows where it belongs.
CARRIED = {"connection", "request", "runtime"}

# What is replaced by what in SQL; the text of a match is replaced whole. Operators of JSON and arrays, and the
# equality that an UPDATE's SET is written with, are no comparisons and stay.
CLAUSES = "AND|OR|THEN|LOOP|FOR UPDATE|GROUP BY|ORDER BY|LIMIT|RETURNING"
SQL = (
    ("lock dropped", re.compile(r"\s+FOR UPDATE(?: SKIP LOCKED)?\b"), ""),
    ("lock waited for", re.compile(r"(?<=FOR UPDATE) SKIP LOCKED\b"), ""),
    ("boundary", re.compile(r"(?<= )<=(?= )"), "<"),
    ("boundary", re.compile(r"(?<= )<(?= )"), "<="),
    ("boundary", re.compile(r"(?<= )>=(?= )"), ">"),
    ("boundary", re.compile(r"(?<= )>(?= )"), ">="),
    ("comparison turned", re.compile(r"(?<= )<>(?= )"), "="),
    ("sign turned", re.compile(r"(?<= )\+(?= )"), "-"),
    ("sign turned", re.compile(r"(?<= )-(?= )"), "+"),
    ("test turned", re.compile(r"\bNOT EXISTS\b"), "EXISTS"),
    ("test turned", re.compile(r"(?<!NOT )\bEXISTS\b"), "NOT EXISTS"),
    ("test turned", re.compile(r"\bIS NOT NULL\b"), "IS NULL"),
    ("test turned", re.compile(r"\bIS NULL\b"), "IS NOT NULL"),
    ("test turned", re.compile(r"\bIS DISTINCT FROM\b"), "IS NOT DISTINCT FROM"),
    ("order turned", re.compile(r"(?<=ORDER BY )([\w.\"]+) DESC\b"), r"\1"),
    ("order turned", re.compile(r"(?<=ORDER BY )([\w.\"]+)(?=[,;) ]|$)(?! DESC)"), r"\1 DESC"),
    (
        "condition dropped",
        re.compile(rf"\s*\bAND (?:[^()]|\([^()]*\))+?(?= (?:{CLAUSES})\b|;|\)|$)"),
        "",
    ),
    ("constant", re.compile(r"(?<![\w$'.])\d+(?![\w'.])"), None),
    ("statement dropped", re.compile(r"^\s*PERFORM .*;$"), "    NULL;"),
)

Change = tuple[str, ast.expr | ast.stmt, str]
"""(what the change is, which part of the tree goes, what stands there instead)"""


class Mutation(NamedTuple):
    """One change of a source: what it is, where, in characters from its beginning, and what stands there instead."""

    what: str
    start: int
    end: int
    replacement: str

    def applied(self, source: str) -> str:
        """Return the source with this change and no other."""
        return source[: self.start] + self.replacement + source[self.end :]

    def line(self, source: str) -> int:
        """Return the number of the line, from 1, on which the change begins."""
        # A dropped clause begins with the blanks before it.
        return source.count("\n", 0, self.end - len(source[self.start : self.end].lstrip())) + 1


def mutations(name: str, source: str) -> list[Mutation]:
    """Return every change that can be made to a source, by the kind of file that `name` ends in, in its order."""
    found = _of_python(source) if name.endswith(".py") else _of_sql(source)
    return sorted({each for each in found if each.applied(source) != source}, key=lambda each: (each.start, each))


def _of_python(source: str) -> Iterator[Mutation]:
    tree = ast.parse(source)
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    lines = [line.encode() for line in source.splitlines()]

    def place(line: int, column: int) -> int:
        # The tree counts bytes; a source is cut by characters.
        return starts[line - 1] + len(lines[line - 1][:column].decode())

    for node in _executed(tree):
        for what, changed, new in (*_operators(node), *_statements(node)):
            assert changed.end_lineno is not None
            assert changed.end_col_offset is not None
            start = place(changed.lineno, changed.col_offset)
            yield Mutation(what, start, place(changed.end_lineno, changed.end_col_offset), new)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a tree that decide what a program does."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or _is_said_only(child):
            continue
        if isinstance(node, ast.AnnAssign | ast.arg) and child is node.annotation:
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and child is node.returns:
            continue
        if isinstance(child, ast.keyword) and (isinstance(node, ast.ClassDef) or child.arg in SAID_ONLY):
            continue
        yield child
        yield from _executed(child)


def _is_said_only(node: ast.AST) -> bool:
    """Tell a docstring, a log line or an assertion of what cannot be otherwise from what does something."""
    if not isinstance(node, ast.Expr):
        return isinstance(node, ast.Assert)
    if isinstance(node.value, ast.Call):
        return ast.unparse(node.value.func).startswith("log.")
    return isinstance(node.value, ast.Constant)


def _operators(node: ast.AST) -> Iterator[Change]:
    """Yield the changes of what an expression compares, joins or calculates."""
    text = ast.unparse
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=comparators):
            other = ast.Compare(left=left, ops=[COMPARISONS[type(operator)]()], comparators=comparators)
            yield "comparison turned", node, text(other)
        case ast.BoolOp(op=ast.And(), values=values):
            yield "and → or", node, f"({text(ast.BoolOp(op=ast.Or(), values=values))})"
        case ast.BoolOp(values=values):
            yield "or → and", node, f"({text(ast.BoolOp(op=ast.And(), values=values))})"
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in ARITHMETIC:
            yield "sign turned", node, f"({text(ast.BinOp(left=left, op=ARITHMETIC[type(sign)](), right=right))})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", node, f"bool({text(operand)})"


def _statements(node: ast.AST) -> Iterator[Change]:
    """Yield the changes of values, of the order of arguments, of conditions, and of what is done at all."""
    text = ast.unparse
    match node:
        case ast.Constant(value=bool(value)):
            yield "constant", node, str(not value)
        case ast.Constant(value=int(value)):
            yield "constant", node, str(value + 1)
        case ast.Call(func=function, args=[first, second, *more], keywords=keywords):
            # Of two different shapes the type checker would know.
            if type(first) is type(second) and not isinstance(first, ast.Starred) and text(first) not in CARRIED:
                swapped = ast.Call(func=function, args=[second, first, *more], keywords=keywords)
                yield "arguments swapped", node, text(swapped)
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue():
            yield "statement dropped", node, "pass"
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield from _negated(test)
        case ast.comprehension(ifs=tests):
            for test in tests:
                yield from _negated(test)


def _negated(test: ast.expr) -> Iterator[Change]:
    """Yield the negation of a condition, where that is no comparison or negation, which are turned by themselves."""
    if not isinstance(test, ast.Compare | ast.UnaryOp):
        yield "condition negated", test, f"(not ({ast.unparse(test)}))"


def _of_sql(source: str) -> Iterator[Mutation]:
    start = 0
    for line in source.splitlines(keepends=True):
        code = line.partition("--")[0].rstrip()
        if code and not code.startswith("GRANT "):
            for what, pattern, replacement in SQL:
                for found in pattern.finditer(code):
                    text = str(int(found[0]) + 1) if replacement is None else found.expand(replacement)
                    yield Mutation(what, start + found.start(), start + found.end(), text)
        start += len(line)
