"""Does a test notice? Draws lines by seed, changes each in a copy of the tree, and runs the tests that touch it.

    python -m tests.mutate --seed 1 --count 30

One change at a time, in a copy in a temporary folder; the tree itself is only read. The tests stop at the first that
fails, which must pass on the copy without the change, or the run ends: a test that fails anyway notices nothing. What
changes no behaviour is listed with its reason in tests/mutation/equivalent.toml, by its text, and not counted; nor is
what cannot be imported any more, which nobody overlooks. Exits 1 when fewer than nine in ten are noticed.
"""

import hashlib
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import click

from tests.mutation.points import Mutation, mutations

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = ROOT / "tests" / "mutation" / "equivalent.toml"
NOTICED_LEAST = 9, 10
SECONDS_MAXIMUM = 900
OPTIONS = ("-q", "-x", "--tb=no", "-p", "no:cacheprovider", "--hypothesis-profile=unshrunk")
COPIED_NOT = (".*", "__pycache__", "var", "dist", "build", "node_modules")

# By the beginning of a path: the folders of tests that touch it, those named after it first, so that most changes are
# noticed within seconds; only what survives them meets the broad ones.
TESTS = {
    "platform/koinon/ledger": (
        "tests/database/ledger", "tests/concurrency", "tests/web/till", "tests/database/offers", "tests/web/members",
        "tests/simulation/ledger", "tests/database/settlement", "tests/web/pages",
    ),
    "platform/koinon/audit": (
        "tests/unit/audit", "tests/database/audit", "tests/concurrency", "tests/web/audit", "tests/unit/verify",
        "tests/database/settlement", "tests/web/settlement", "tests/web/till", "tests/web/pages",
    ),
    "offers": (
        "tests/unit/offers", "tests/database/offers", "tests/concurrency", "tests/web/offers", "tests/web/feed",
        "tests/web/till", "tests/web/members", "tests/web/pages",
    ),
    "settlement": (
        "tests/unit/settlement", "tests/database/settlement", "tests/concurrency", "tests/web/settlement",
        "tests/web/pages", "tests/unit/verify",
    ),
}  # fmt: skip
# What handlers and pages do is asked over HTTP first.
OVER_HTTP = re.compile(
    r"(?:^|[/_])(?:web|pages|plugin|runs)\.py$"
    r"|/(?:activations|cards|catalogue|earnings|proofs|redemptions|reversals|tenders|publishing|feed)\w*\.(?:py|sql)$"
)


class Drawn(NamedTuple):
    """A line of a file by its number and text, what it says after the change that was drawn, and the change."""

    path: str
    line: int
    before: str
    after: str
    mutation: Mutation


class Verdict(NamedTuple):
    """What the tests said of a change: by which one it was noticed, after how many seconds."""

    state: Literal["noticed", "survived", "out of time", "not importable"]
    test: str
    seconds: float


class Equivalent(NamedTuple):
    """A change that changes no behaviour, by the text of its line before and after, and why it does not."""

    path: str
    before: str
    after: str
    reason: str


class FailsAnyway(Exception):
    """A test fails on the tree as it is, so that its failing says nothing about a change."""


def sources(root: Path) -> dict[str, str]:
    """Return the text of every source that may be changed, by its path from the root; migrations stay as they are."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for folder in TESTS
        for path in sorted((root / folder).rglob("*"))
        if path.suffix in {".py", ".sql"} and "migrations" not in path.parts
    }


def draw(found: dict[str, str], seed: int) -> Iterator[Drawn]:
    """Yield every line that can be changed with one change of it, in an order that follows from the seed.

    The order depends on what lines say and not on where they stand, so that an edit elsewhere leaves the draw alone.
    """
    lots: list[tuple[bytes, Drawn]] = []
    for path, source in found.items():
        lines = source.splitlines()
        seen: dict[str, int] = {}
        for number, on_line in itertools.groupby(mutations(path, source), key=lambda each: each.line(source)):
            text = lines[number - 1].strip()
            seen[text] = seen.get(text, 0) + 1
            lot = hashlib.sha256(f"{seed}\n{path}\n{text}\n{seen[text]}".encode()).digest()
            chosen = random.Random(lot).choice(list(on_line))  # noqa: S311  # a draw that anybody can repeat
            lots.append((lot, Drawn(path, number, text, changed_text(source, chosen), chosen)))
    yield from (drawn for _, drawn in sorted(lots))


def changed_text(source: str, mutation: Mutation) -> str:
    """Return what stands on a change's lines after it, blanks drawn together."""
    start = source.rfind("\n", 0, mutation.end - len(source[mutation.start : mutation.end].lstrip())) + 1
    end = source.find("\n", mutation.end)
    kept = source[start : mutation.start] if start < mutation.start else ""
    return " ".join((kept + mutation.replacement + source[mutation.end : end if end >= 0 else None]).split())


def equivalents(path: Path = EQUIVALENT) -> list[Equivalent]:
    """Return the listed changes that change no behaviour."""
    return [Equivalent(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["change"]]


def touching(path: str, root: Path = ROOT) -> list[str]:
    """Return the tests that touch a file: modules of its name first, then folders, the narrow ones first."""
    folders = next(tests for beginning, tests in TESTS.items() if path.startswith(f"{beginning}/"))
    over_http = bool(OVER_HTTP.search(path))
    ordered = sorted(folders, key=lambda folder: over_http and not folder.startswith("tests/web/"))
    name = Path(path).stem.removesuffix("_web")
    modules = [module for folder in ordered for module in sorted((root / folder).rglob(f"test_{name}*.py"))]
    return [*(module.relative_to(root).as_posix() for module in modules), *ordered]


def copied(root: Path, folder: Path) -> Path:
    """Copy a tree without what git and the tools keep beside it, and return the copy."""
    return Path(shutil.copytree(root, folder / "copy", ignore=shutil.ignore_patterns(*COPIED_NOT)))


@contextmanager
def applied(copy: Path, drawn: Drawn) -> Iterator[None]:
    """Let a copy be changed for the block; afterwards the file is what it was."""
    path = copy / drawn.path
    source = path.read_text(encoding="utf-8")
    _write(path, drawn.mutation.applied(source))
    try:
        yield
    finally:
        _write(path, source)


_later = itertools.count(int(time.time()))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # Python takes a compiled file of the same second and size for current.
    stamp = next(_later)
    os.utime(path, (stamp, stamp))


def run_tests(copy: Path, tests: Sequence[str], seconds: float) -> Verdict:
    """Run tests of a copy until the first that fails."""
    environment = os.environ | {"PYTHONPATH": f"{copy / 'platform'}{os.pathsep}{copy}"}
    command = [sys.executable, "-m", "pytest", *OPTIONS, *tests]
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _stop(process)
        return Verdict("out of time", "", time.monotonic() - began)
    finally:
        if process.poll() is None:
            _stop(process)
    passed = time.monotonic() - began
    if process.returncode == 0:
        return Verdict("survived", "", passed)
    named = re.search(r"^(?:FAILED|ERROR) (\S+(?:\[.*?\](?= - |$))?)", output, re.MULTILINE)
    if named is None:
        return Verdict("not importable", output[-2000:], passed)
    return Verdict("noticed", named[1], passed)


def _stop(process: "subprocess.Popen[str]") -> None:
    """End a run as a person would, so that it stops its database; what does not hear is killed with all it started."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class Trial:
    """One copy of a tree, in which changes are tried one after another."""

    def __init__(self, copy: Path, seconds: float = SECONDS_MAXIMUM) -> None:
        """Look once that the tests can be collected; raises FailsAnyway when they cannot."""
        self._copy = copy
        self._seconds = seconds
        self._sound: set[str] = set()
        collected = run_tests(copy, ["--collect-only", "tests/concurrency"], seconds)
        if collected.state != "survived":
            raise FailsAnyway(collected.test)

    def of(self, drawn: Drawn) -> Verdict:
        """Return what the tests say of a change; raises FailsAnyway when they say it without the change too."""
        with applied(self._copy, drawn):
            verdict = run_tests(self._copy, touching(drawn.path, self._copy), self._seconds)
        if verdict.state == "noticed" and verdict.test not in self._sound:
            alone = run_tests(self._copy, [verdict.test], self._seconds)
            if alone.state != "survived":
                raise FailsAnyway(f"{verdict.test} fails without any change too")
            self._sound.add(verdict.test)
        return verdict


def enough(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether at least nine in ten changes were noticed; that time ran out says nothing."""
    noticed = sum(verdict.state == "noticed" for verdict in verdicts)
    least, of = NOTICED_LEAST
    return noticed * of >= len(verdicts) * least


@click.command(help=__doc__)
@click.option("--seed", type=int, required=True, help="Chooses the lines; the same seed draws the same ones.")
@click.option("--count", type=int, default=30, show_default=True, help="How many changes to try.")
@click.option("--skip", default=0, help="How many of the lines to pass over, to go on where a run was ended.")
@click.option("--only", default="", help="Draw from paths that begin so alone.")
@click.option("--show", is_flag=True, help="Print what is drawn and run nothing.")
def main(seed: int, count: int, skip: int, only: str, *, show: bool) -> None:
    """Draw changes, try each, and print what became of it."""
    # What a shell starts in the background ignores it, and so would the tests that are to be ended by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    found = {path: text for path, text in sources(ROOT).items() if path.startswith(only)}
    lots = itertools.islice(enumerate(draw(found, seed), 1), skip, None)
    if show:
        for number, drawn in itertools.islice(lots, count):
            _print(number, drawn)
        return
    listed = {(each.path, each.before, each.after): each.reason for each in equivalents()}
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="koinon-mutate-") as folder:
        trial = Trial(copied(ROOT, Path(folder)))
        for number, drawn in lots:
            if len(verdicts) == count:
                break
            _print(number, drawn)
            if reason := listed.get((drawn.path, drawn.before, drawn.after)):
                print(f"     equivalent, not counted: {reason}")
                continue
            verdict = trial.of(drawn)
            if verdict.state == "not importable":
                print("     cannot be imported, not counted", flush=True)
                continue
            verdicts.append(verdict)
            print(f"     {verdict.state} {verdict.test} ({verdict.seconds:.0f} s)", flush=True)
    noticed = sum(verdict.state == "noticed" for verdict in verdicts)
    print(f"seed {seed}: {noticed} of {len(verdicts)} changes were noticed")
    sys.exit(0 if enough(verdicts) else 1)


def _print(number: int, drawn: Drawn) -> None:
    print(f"{number:>3}  {drawn.path}:{drawn.line}  {drawn.mutation.what}")
    print(f"     - {drawn.before}\n     + {drawn.after}", flush=True)


if __name__ == "__main__":
    main()
