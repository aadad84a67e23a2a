"""Signed notes, checkpoints and cosignatures, as the C2SP specifications write them.

signed-note, tlog-checkpoint and tlog-cosignature at c2sp.org. A note is its text, an empty line,
and lines `— <key name> base64(key id ‖ signature)`. Signature types are pluggable by the key's `kind`: 0x01
(Ed25519 over the text) and 0x04 (Ed25519 cosignature with a time) are here.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

ED25519 = 0x01
COSIGNATURE = 0x04
SIGNATURES_MAX = 64
NOTE_BYTES_MAX = 1_000_000


class NoteError(ValueError):
    """A note or a key is malformed, or a signature of a known key does not verify."""


class NoteKey(Struct, frozen=True):
    """A public key that may sign notes: its name, its kind of signature and its 32 bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the 4 bytes that name this key, with its name, on a signature line."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """Return the key as the text `name+hex8+base64` (a "vkey")."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(bytes([self.kind]) + self.public)}"


class Signature(Struct, frozen=True):
    """One signature line: who, which key, and the bytes that follow the key id."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """Return the line as it stands in a note, with its newline."""
        return f"— {self.name} {_base64(self.key_id + self.signature)}\n"


class Verified(Struct, frozen=True):
    """A signature that verified; a cosignature says at which POSIX second it was made."""

    key: NoteKey
    time_seconds: int | None = None


class OpenedNote(Struct, frozen=True):
    """A note's text, and which of the known keys signed it."""

    text: str
    verified: tuple[Verified, ...]


class Checkpoint(Struct, frozen=True):
    """A log's name, its size in leaves and its 32-byte root."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """Return the text that is signed: origin, size and root, a line each."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


def public_key(name: str, key: Ed25519PrivateKey | Ed25519PublicKey, kind: int = ED25519) -> NoteKey:
    """Return the public half of a key under its name; the name of a log's key is its origin."""
    _check_name(name)
    half = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return NoteKey(name, kind, half.public_bytes_raw())


def parse_checkpoint(body: str) -> Checkpoint:
    """Read a checkpoint's body; extension lines are refused, as no log of ours writes them."""
    lines = body.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise NoteError("a checkpoint is three lines: origin, size and root")
    root = _unbase64(lines[2])
    if len(root) != 32:
        raise NoteError("a checkpoint's root has 32 bytes")
    return Checkpoint(lines[0], _decimal(lines[1]), root)


def sign(text: str, name: str, private_key: Ed25519PrivateKey) -> Signature:
    """Sign a note's text, which ends in a newline, by Ed25519 (type 0x01)."""
    _check_text(text)
    return Signature(name, public_key(name, private_key).key_id, private_key.sign(text.encode()))


def write_note(text: str, signatures: Iterable[Signature]) -> str:
    """Write a note of its text and at least one signature."""
    _check_text(text)
    lines = [signature.line for signature in signatures]
    if not lines:
        raise NoteError("a note has at least one signature")
    return "\n".join([text, "".join(lines)])


def parse_note(note: str) -> tuple[str, tuple[Signature, ...]]:
    """Split a note into its text and its signatures, none of them verified."""
    if len(note) > NOTE_BYTES_MAX or any(sign < " " and sign != "\n" for sign in note):
        raise NoteError("a note is short text without control characters")
    text, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteError("a note is a text, an empty line and lines of signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteError(f"a note has at most {SIGNATURES_MAX} signatures")
    return text + "\n", tuple(_parse_signature(line) for line in lines)


def open_note(note: str, keys: Sequence[NoteKey]) -> OpenedNote:
    """Verify a note against known keys.

    Unknown keys are ignored. A known key whose signature fails, or no known key at all, refuses the note.
    """
    text, signatures = parse_note(note)
    known = {(key.name, key.key_id): key for key in keys}
    verified: list[Verified] = []
    for signature in signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            verified.append(_verify(key, text, signature.signature))
    if not verified:
        raise NoteError("no known key signed this note")
    return OpenedNote(text, tuple(verified))


def _verify(key: NoteKey, text: str, signature: bytes) -> Verified:
    message, time_seconds = text.encode(), None
    if key.kind == COSIGNATURE:
        time_seconds = int.from_bytes(signature[:8])
        message, signature = _cosigned(text, time_seconds), signature[8:]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except InvalidSignature as error:
        raise NoteError(f"the signature of {key.name} does not verify") from error
    return Verified(key, time_seconds)


def _cosigned(text: str, time_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {time_seconds}\n{text}".encode()


def _parse_signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":
        raise NoteError("a signature line is an em dash, a name and base64")
    _check_name(parts[1])
    data = _unbase64(parts[2])
    if len(data) < 5:
        raise NoteError("a signature is a key id and at least one byte")
    return Signature(parts[1], data[:4], data[4:])


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(sign < " " and sign != "\n" for sign in text):
        raise NoteError("a note's text ends in a newline and has no other control characters")


def _check_name(name: str) -> None:
    if not name or any(sign.isspace() or sign < " " or sign == "+" for sign in name):
        raise NoteError("a key's name is not empty and has no space and no plus")


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or (text[0] == "0" and text != "0"):
        raise NoteError("not a whole number in plain decimal")
    return int(text)


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise NoteError("not base64") from error
    if _base64(data) != text:  # unused bits that are not zero, or padding that is not canonical
        raise NoteError("not base64 in its one canonical form")
    return data
