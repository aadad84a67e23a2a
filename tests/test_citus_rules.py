"""Statements that a distributed database takes, and answers rightly, hold their rules on one machine already.

The rules are held over the parsed text of the named statements. What the text does not show is not held here: which
rows a transaction has locked before, what a statement does inside a database function, and joins by a CTE's name.
"""

import re
from collections.abc import Callable, Iterator

import pytest
import sqlglot
from sqlglot import exp

from koinon.database.statements import read
from tests.test_tidy_sql import HOT_TABLES, ROOT, SOURCE_FOLDERS, STATEMENT_FILES

# Beside the hot tables of points and purchases, these are spread over shards too.
SHARDED = HOT_TABLES | {
    "koinon.request": "caller",
    "members.contact": "contact_hash",
    "members.member": "member_id",
    "members.member_key": "member_id",
}
VIEW = re.compile(r"CREATE OR REPLACE VIEW (\S+) AS\s+SELECT [^;]*?\sFROM (\S+?)(?=[\s;])")
VIEWS = {
    view: table
    for folder in SOURCE_FOLDERS
    for path in (ROOT / folder).rglob("views.sql")
    for view, table in VIEW.findall(path.read_text(encoding="utf-8"))
}
FUNCTION = re.compile(r"CREATE OR REPLACE FUNCTION (\S+?)\((.*?)\$\$", re.DOTALL)
OWN_VOLATILE = [
    name
    for folder in SOURCE_FOLDERS
    for path in (ROOT / folder).rglob("functions.sql")
    for name, declared in FUNCTION.findall(path.read_text(encoding="utf-8"))
    if not re.search(r"\b(STABLE|IMMUTABLE)\b", declared)
]
VOLATILE = re.compile(
    rf"\b(clock_timestamp|gen_random_uuid|nextval|pg_current_xact_id|random|timeofday|uuidv7|{'|'.join(OWN_VOLATILE)})\(",
    re.IGNORECASE,
)

Finding = Iterator[str]
Rule = Callable[[exp.Expr], Finding]

# What breaks a rule and may, by the folder and name of the statement, and why.
BY_KEY = (
    "each row is looked up by its key: = ANY beside that took two to four times as long for a hundred rows, for the"
    " index sorts the array again with each; to be written otherwise where tables are distributed"
)
EXCEPTIONS: dict[str, dict[str, str]] = {
    "travelling_tables": dict.fromkeys(
        (
            "idempotency.empty_bodies",
            "purchases.till_facts",
            "purchases.known_requests",
            "purchases.unreversed_tenders",
            "purchases.known_keys",
            "purchases.messages_of",
            "purchases.purchases_of",
            "rewarding.held_shares",
            "rewarding.purchase_facts",
            "rewarding.payments_at",
            "rewarding.carried_to",
        ),
        BY_KEY,
    ),
    "torn_unions": {"offers.set_aside": "two lists, one under the other: nothing is true of both together"},
}


def statements() -> list[tuple[str, exp.Expr]]:
    """Return the named statements with their folder's name, parsed."""
    return [
        (f"{path.parent.name}.{statement.name}", sqlglot.parse_one(statement.sql, read="postgres"))
        for path in STATEMENT_FILES
        for statement in read(path)
    ]


def own(query: exp.Expr) -> Iterator[exp.Expr]:
    """Yield what stands in a query itself, and not in one of its subqueries."""
    for node in query.walk(prune=lambda node: node is not query and isinstance(node, exp.Select | exp.SetOperation)):
        if node is query or not isinstance(node, exp.Select | exp.SetOperation):
            yield node


def sharded(query: exp.Expr) -> dict[str, str]:
    """Return the sharded tables that a query itself names: the alias of each, and the column it is sharded by."""
    found = {}
    for table in own(query):
        if isinstance(table, exp.Table):
            name = f"{table.db}.{table.name}"
            if column := SHARDED.get(VIEWS.get(name, name)):
                found[table.alias_or_name] = column
    return found


def equals(query: exp.Expr, alias: str, column: str) -> list[exp.Expr]:
    """Return what a query itself says that a column of one of its tables is equal to."""
    found = []
    only = len(list(_tables(query))) == 1
    for node in own(query):
        if isinstance(node, exp.EQ):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                if not isinstance(side, exp.Column) or side.name != column:
                    continue
                if side.table == alias or (only and not side.table):
                    found.append(other)
    return found


def _tables(query: exp.Expr) -> Iterator[exp.Expr]:
    return (node for node in own(query) if isinstance(node, exp.Table | exp.Unnest))


def queries(tree: exp.Expr) -> Iterator[exp.Expr]:
    """Yield a statement's queries: itself, its subqueries, and what its CTEs change."""
    return tree.find_all(exp.Select, exp.Update, exp.Delete)


def many_locks(tree: exp.Expr) -> Finding:
    """Rule 1: rows are locked one by one, by their key: many at once only inside a function."""
    for query in queries(tree):
        if query.args.get("locks"):
            for alias, column in sharded(query).items():
                if not any(
                    other.find(exp.Parameter)
                    for other in equals(query, alias, column)
                    if not isinstance(other, exp.Any)
                ):
                    yield f"{alias} is locked by more than its {column}"


def travelling_tables(tree: exp.Expr) -> Finding:
    """Rule 2: a join from given arrays names the key of what it joins as one of them, too."""
    for query in queries(tree):
        if any(isinstance(node, exp.Unnest) for node in _tables(query)):
            for alias, column in sharded(query).items():
                if not any(isinstance(other, exp.Any) for other in equals(query, alias, column)):
                    yield f"{alias}.{column} is no = ANY of what is given"


def torn_unions(tree: exp.Expr) -> Finding:
    """Rule 3: the arms of a union of sharded tables each name the key, so that a shard unites its own."""
    for union in tree.find_all(exp.SetOperation):
        for arm in (union.left, union.right):
            select = arm.unnest()
            if isinstance(select, exp.Select):
                for alias, column in sharded(select).items():
                    if column not in {each.output_name for each in select.expressions}:
                        yield f"an arm over {alias} has no {column}"


def foreign_subqueries(tree: exp.Expr) -> Finding:
    """Rule 4: a subquery that depends on its row looks on the row's own shard, or where it is told to."""
    for query in tree.find_all(exp.Select):
        around = query.find_ancestor(exp.Select, exp.Update, exp.Delete)
        if around is None or _is_source(query):
            continue
        outer = {node.alias_or_name for node in _tables(around)}
        if not any(isinstance(node, exp.Column) and node.table in outer for node in own(query)):
            continue
        keys = sharded(around)
        for alias, column in sharded(query).items():
            same = [
                other
                for other in equals(query, alias, column)
                if isinstance(other, exp.Parameter | exp.Cast)
                or (isinstance(other, exp.Column) and keys.get(other.table) == other.name)
            ]
            if not same:
                yield f"{alias} is asked for by another shard's row"


def _is_source(query: exp.Expr) -> bool:
    """Tell whether a query stands in FROM or WITH, so that it knows of no row: LATERAL it does, as in an expression."""
    parent = query.parent
    while isinstance(parent, exp.SetOperation | exp.Subquery):
        if isinstance(parent, exp.Subquery) and isinstance(parent.parent, exp.From | exp.Join):
            return True
        parent = parent.parent
    return isinstance(parent, exp.CTE | exp.From | exp.Join | exp.Insert)


def volatile_choices(tree: exp.Expr) -> Finding:
    """Rule 4: what gives something else each time stands in no CASE, no COALESCE and no WHERE of a change."""
    for node in tree.find_all(exp.Case, exp.Coalesce):
        if VOLATILE.search(node.sql(dialect="postgres")):
            yield f"{node.key} calls what is volatile"
    for change in tree.find_all(exp.Update, exp.Delete):
        where = change.args.get("where")
        if where is not None and VOLATILE.search(where.sql(dialect="postgres")):
            yield "WHERE calls what is volatile"


def asking_having(tree: exp.Expr) -> Finding:
    """Rule 4: HAVING asks nothing of its own."""
    for having in tree.find_all(exp.Having):
        if having.find(exp.Select):
            yield "HAVING holds a query"


RULES: list[Rule] = [many_locks, travelling_tables, torn_unions, foreign_subqueries, volatile_choices, asking_having]

# Of each rule: what breaks it, and what says the same and does not.
EXAMPLES: dict[Rule, tuple[str, str]] = {
    many_locks: (
        "SELECT FROM offers.lane WHERE account_id = ANY ($1::bigint[]) FOR UPDATE",
        "SELECT FROM offers.lane WHERE account_id = $1 FOR UPDATE",
    ),
    travelling_tables: (
        "SELECT FROM unnest($1::int[]) AS g (id) JOIN ledger.lots l ON l.account_id = g.id",
        "SELECT FROM unnest($1::int[]) AS g (id) JOIN ledger.lots l ON l.account_id = g.id AND l.account_id = ANY ($1)",
    ),
    torn_unions: (
        "SELECT amount FROM ledger.hold UNION ALL SELECT amount FROM parties.partner",
        "SELECT account_id, amount FROM ledger.hold UNION ALL SELECT account_id, amount FROM ledger.movement",
    ),
    foreign_subqueries: (
        "SELECT FROM offers.purchase u WHERE EXISTS (SELECT FROM ledger.lots l WHERE l.purchase_id = u.purchase_id)",
        "SELECT FROM offers.purchase u WHERE EXISTS (SELECT FROM ledger.lots l WHERE l.account_id = u.account_id)",
    ),
    volatile_choices: (
        "UPDATE identity.session SET ended_at = coalesce(ended_at, clock_timestamp()) WHERE member_id = $1",
        "UPDATE identity.session SET ended_at = coalesce(ended_at, $2) WHERE member_id = $1",
    ),
    asking_having: (
        "SELECT a FROM t GROUP BY a HAVING count(*) > (SELECT count(*) FROM s)",
        "SELECT a FROM t GROUP BY a HAVING count(*) > 1",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_held(rule: Rule) -> None:
    """No statement breaks a rule, but for those that say why, and each of those does."""
    broken = {name: found for name, tree in statements() if (found := list(rule(tree)))}

    assert broken.keys() == EXCEPTIONS.get(rule.__name__, {}).keys(), broken


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_sees_what_breaks_it(rule: Rule) -> None:
    """A rule finds the statement that breaks it, and nothing in the one that says the same otherwise."""
    wrong, right = EXAMPLES[rule]

    assert len(list(rule(sqlglot.parse_one(wrong, read="postgres")))) == 1
    assert list(rule(sqlglot.parse_one(right, read="postgres"))) == []


def test_views_are_known() -> None:
    """A view stands for its table here, too, where a statement reads what is sharded through it."""
    assert VIEWS["ledger.lots"] == "ledger.lot"
    assert set(VIEWS.values()) >= {"members.member", "members.member_key", "ledger.outbox"}


def test_nothing_is_decided_by_a_constraint_or_locked_by_a_number() -> None:
    """Rules 7 and 8: errors are told apart by SQLSTATE, for shards name constraints otherwise; no lock is advisory.

    A log line may say what an error says, and migrations are made from one node.
    """
    found = {
        f"{path.relative_to(ROOT).as_posix()}: {word}"
        for folder in SOURCE_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql"}
        for word in ("constraint_name", "pg_advisory_lock", "pg_try_advisory", "pg_advisory_xact")
        if word in path.read_text(encoding="utf-8")
    }

    assert found == {
        "platform/koinon/logging.py: constraint_name",
        "platform/koinon/database/migrate.py: pg_advisory_lock",
    }
