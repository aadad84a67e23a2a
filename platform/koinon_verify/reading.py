"""Reads a bundle's file: the order and count of its lines, their canonical bytes, and the hash over all."""

from hashlib import sha256

from koinon_verify.canonical import Fields, check_fields, read_canonical, text_of, whole_of
from koinon_verify.files import (
    LINE_BYTES_MAX,
    REFUSED_LINES_MAX,
    count_lines,
    is_too_long,
    lines_of,
    open_file,
    unreadable,
)
from koinon_verify.lines import (
    read_checkpoint,
    read_consistency,
    read_contract,
    read_entry,
    read_head,
    read_seal,
    read_statement,
)
from koinon_verify.notes import Key
from koinon_verify.problems import Problems, Refused
from koinon_verify.records import Bundle

_ANYTHING = "anything"  # after a line whose type could not be read
_TYPES = ("bundle", "checkpoint", "consistency", "contract", "entry", "seal", "statement", "end")
_FOLLOWS: dict[str | None, tuple[str, ...]] = {
    None: ("bundle",),
    "bundle": ("checkpoint",),
    "checkpoint": ("consistency", "contract", "entry", "seal"),
    "consistency": ("contract", "entry", "seal"),
    "contract": ("contract", "entry", "seal"),
    "entry": ("entry", "seal"),
    "seal": ("statement",),
    "statement": ("end",),
    "end": (),
    _ANYTHING: _TYPES,
}


class Reader:
    """Reads one file into a `Bundle`, noting the first problem of each line."""

    def __init__(self, file: str, problems: Problems, pinned: Key | None) -> None:
        self.bundle = Bundle(file)
        self._problems = problems
        self._pinned = pinned
        self._last: str | None = None
        self._line = 0
        self._refused = 0
        self._digest = sha256()

    def read(self) -> Bundle:
        """Read the file to its end, whatever is wrong with single lines, unless too many of them do not hold."""
        try:
            with open_file(self.bundle.file) as stream:
                for raw in lines_of(stream):
                    self._line += 1
                    self._read_line(raw)
                    self._digest.update(raw)
                    if is_too_long(raw):
                        self.bundle.whole = False
                    elif self._refused >= REFUSED_LINES_MAX and (rest := count_lines(stream)):
                        self.bundle.whole = False
                        self._problems.add_unread(rest)
        except OSError as error:
            self._refuse(unreadable(error), line=None)
        except Refused as refused:
            self._refuse(refused, line=None)
        else:
            self._check_ended()
        return self.bundle

    def _check_ended(self) -> None:
        if self.bundle.whole and self._last not in ("end", _ANYTHING):
            wanted = " or ".join(_FOLLOWS[self._last])
            self._refuse(Refused("line-missing", f"the file ends where a line of type {wanted} should follow"))

    def _read_line(self, raw: bytes) -> None:
        follows, self._last = _FOLLOWS[self._last], _ANYTHING
        try:
            kind, fields = _parse(raw)
        except Refused as refused:
            self._refused += 1
            self._hold_place(raw)
            self._refuse(refused)
            return
        self._last = kind
        if kind not in follows:
            wanted = " or ".join(follows) or "nothing"
            self._refuse(Refused("line-out-of-order", f"a line of type {kind} stands where {wanted} should"))
        try:
            self._take(kind, fields, raw)
        except Refused as refused:
            self._refused += 1
            self._hold_place(raw)
            self._refuse(refused)

    def _take(self, kind: str, fields: Fields, raw: bytes) -> None:
        bundle, line = self.bundle, self._line
        if kind == "bundle":
            bundle.head = bundle.head or read_head(fields)
            if self._pinned is not None and self._pinned != bundle.head.key:
                raise Refused("key-not-pinned", f"the key is {bundle.head.key.text}")
        elif kind == "checkpoint":
            key = self._pinned or (bundle.head and bundle.head.key)
            bundle.checkpoint = bundle.checkpoint or (read_checkpoint(fields, key) if key else None)
        elif kind == "consistency":
            bundle.consistency = bundle.consistency or read_consistency(fields, bundle.checkpoint, line)
        elif kind == "contract":
            bundle.contracts.append(read_contract(fields, raw[:-1], line))
        elif kind == "entry":
            bundle.entries.append(read_entry(fields, bundle.checkpoint, line))
        elif kind == "seal":
            bundle.seal = bundle.seal or read_seal(fields, bundle.checkpoint, line)
        elif kind == "statement":
            bundle.statement = bundle.statement or read_statement(fields, bundle.checkpoint, line)
        else:
            self._check_end(fields)

    def _hold_place(self, raw: bytes) -> None:
        """Let a line that was refused keep its place, so that the lines after it are not blamed for the gap."""
        if b'"type":"contract"' in raw:
            self.bundle.contracts.append(None)
        elif b'"type":"entry"' in raw:
            self.bundle.entries.append(None)

    def _check_end(self, fields: Fields) -> None:
        check_fields(fields, {"type", "lines", "sha256"})
        before = self._line - 1
        if whole_of(fields, "lines", 0) != before:
            raise Refused("end-wrong", f"{before} lines stand before the last, which counts {fields['lines']}")
        if text_of(fields, "sha256") != self._digest.hexdigest():
            raise Refused("end-wrong", "the bytes before the last line do not have the hash that it names")

    def _refuse(self, refused: Refused, line: int | None = 0) -> None:
        self._problems.add(self.bundle.file, max(self._line, 1) if line == 0 else line, refused)


def _parse(raw: bytes) -> tuple[str, Fields]:
    if is_too_long(raw):
        raise Refused("line-unfinished", f"the line is longer than {LINE_BYTES_MAX} bytes; the rest is not read")
    if not raw.endswith(b"\n"):
        raise Refused("line-unfinished", "the line does not end in a newline")
    fields = read_canonical(raw[:-1])
    kind = fields.get("type")
    if kind not in _TYPES:
        raise Refused("field-wrong", "the line's type is none of a bundle's")
    return str(kind), fields
