"""What can be wrong with a bundle: stable codes, and the first problem of each line."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from koinon_verify.printing import printable

PROBLEMS_KEPT = 100
"""How many problems of one file are kept; of the others it is only known how many lines they are on."""

CODES = {
    "unreadable": "the file cannot be read",
    "not-canonical": "the line is not the one canonical spelling of its content",
    "line-unfinished": "the line does not end in a newline, or is too long",
    "line-out-of-order": "the line stands where no line of its type may stand",
    "line-missing": "the file ends before all its lines have come",
    "field-wrong": "a field is missing, unknown or malformed",
    "end-wrong": "the file is not the one that its last line describes",
    "key-malformed": "a key is not what its own text says",
    "key-not-pinned": "the bundle's key is not the one given by --key",
    "checkpoint-malformed": "the checkpoint is no signed note of three lines",
    "checkpoint-unsigned": "the log's key did not sign this checkpoint",
    "origin-mismatch": "bundle, checkpoint and key name different logs",
    "leaf-malformed": "the leaf is not of the shape that its line needs",
    "time-mismatch": "the content is of another time than the leaf",
    "not-included": "the proof does not lead from the leaf to the checkpoint",
    "commitment-mismatch": "the content does not open the commitment in the leaf",
    "shared-mismatch": "the shared piece does not agree with the party's own content",
    "currency-wrong": "the currency is none of ISO 4217, or has another number of decimals",
    "identity-mismatch": "the line is about another partner, programme or window",
    "contract-mismatch": "the contract is not the one that the statement was made under",
    "contract-unknown": "an entry was made under a contract version that the bundle lacks",
    "contract-not-pinned": "the contract is not the one given by --contract",
    "counter-gap": "the partner's counters are not dense from 1",
    "entry-duplicated": "a journal's effect is counted twice",
    "entry-wrong": "an entry's points are none that its effect can have, or its journal does two things at once",
    "entry-after-seal": "an entry's leaf comes after the seal that should cover it",
    "unit-mixed": "entries that are billed are not all of one unit",
    "seal-mismatch": "the seal's figures are not those of the entries and the statement",
    "run-before-seal": "the run's leaf stands before the seal that it rests on",
    "points-mismatch": "the statement's points are not the sums of the entries",
    "line-wrong": "a statement line is not what contract and entries make it",
    "statement-line-missing": "a statement line that the entries call for is not there",
    "total-mismatch": "pays, receives and net are not the sums of the lines",
    "receipt-malformed": "the receipt is not of the shape that calls return",
    "receipt-foreign": "the receipt is another partner's or programme's",
    "receipt-unmatched": "the bundle does not hold what the receipt says",
    "entry-without-receipt": "an entry that only the partner's own calls make has no receipt",
    "previous-mismatch": "the bundle does not follow on from the previous one",
}
"""Every code with what it means; codes never change their meaning."""


class Refused(Exception):
    """A check that did not hold: a code of `CODES` and one sentence of what was found."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


Found = Iterator[tuple[int, Refused]]
"""What a check finds: lines, and what is wrong with each."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: a file, a line (from 1; None for the file as a whole), a code, a sentence."""

    file: str
    line: int | None
    code: str
    detail: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return printable(f"{place}: {self.code}: {self.detail}")


class Problems:
    """Collects the first problem of each line, up to a bound a file; `more` counts the lines beyond it."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, int | None], Problem] = {}
        self._by_file: dict[str, list[Problem]] = defaultdict(list)
        self._beyond: set[tuple[str, int | None]] = set()
        self._unread = 0

    @property
    def more(self) -> int:
        """Return how many lines have a problem, or were not read, that is not kept."""
        return len(self._beyond) + self._unread

    def add(self, file: str, line: int | None, refused: Refused) -> None:
        """Note a refusal of a line, unless the line has one already."""
        if (file, line) in self._first:
            return
        if len(self._by_file[file]) >= PROBLEMS_KEPT:
            self._beyond.add((file, line))
            return
        problem = self._first[file, line] = Problem(file, line, refused.code, refused.detail)
        self._by_file[file].append(problem)

    def add_unread(self, lines: int) -> None:
        """Note lines that were not read, after too many that did not hold."""
        self._unread += lines

    def sorted(self) -> list[Problem]:
        """Return the problems by file, in the order of first trouble, and line."""
        return [
            problem for found in self._by_file.values() for problem in sorted(found, key=lambda each: each.line or 0)
        ]
