"""The log's key and its signed checkpoint (C2SP signed-note and tlog-checkpoint, Ed25519)."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from koinon_verify.problems import Refused

ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class Key:
    """A log's public key as its text `name+hex8+base64` says it."""

    text: str
    name: str
    key_id: bytes
    public: bytes

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the 32 bytes of the key, to compare by eye or by telephone."""
        return "SHA256:" + b64encode(sha256(self.public).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's name, its size in leaves and its 32-byte root, signed by its key."""

    origin: str
    size: int
    root: bytes


def read_key(text: str) -> Key:
    """Read a key from its text; the id in it must be the one that its bytes make."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    data = _unbase64(encoded)
    if not name.isprintable() or name.split() != [name] or data is None or data[:1] != ED25519 or len(data) != 33:
        raise Refused("key-malformed", "the key is not written name+id+base64 of an Ed25519 key")
    computed = sha256(name.encode() + b"\n" + data).digest()[:4]
    if computed.hex() != key_id:
        raise Refused("key-malformed", f"the key's id is {key_id}, and its bytes make {computed.hex()}")
    return Key(text, name, computed, data[1:])


def open_checkpoint(note: str, key: Key) -> Checkpoint:
    """Verify a checkpoint note against the log's key and read it; signatures of other keys are ignored."""
    body, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n") or any(sign < " " and sign != "\n" for sign in note):
        raise Refused("checkpoint-malformed", "not a text, an empty line and lines of signatures")
    text = (body + "\n").encode()
    ours = [_signature(line, key) for line in tail[:-1].split("\n")]
    signatures = [signature for signature in ours if signature is not None]
    if not signatures:
        raise Refused("checkpoint-unsigned", f"no signature by {key.name} with key id {key.key_id.hex()}")
    try:
        for signature in signatures:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)
    except InvalidSignature as error:
        raise Refused("checkpoint-unsigned", f"the signature of {key.name} does not verify") from error
    return _read_body(body)


def _signature(line: str, key: Key) -> bytes | None:
    parts = line.split(" ")
    data = _unbase64(parts[-1])
    if len(parts) != 3 or parts[0] != "—" or not parts[1] or data is None or len(data) < 5:
        raise Refused("checkpoint-malformed", "a signature line is not an em dash, a name and base64")
    return data[4:] if parts[1] == key.name and data[:4] == key.key_id else None


def _read_body(body: str) -> Checkpoint:
    lines = body.split("\n")
    root = _unbase64(lines[2]) if len(lines) == 3 else None
    if root is None or len(root) != 32 or not _is_decimal(lines[1]):
        raise Refused("checkpoint-malformed", "not three lines: origin, size in decimal and 32-byte root")
    return Checkpoint(lines[0], int(lines[1]), root)


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20 and (text == "0" or text[0] != "0")


def _unbase64(text: str) -> bytes | None:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        return None
    return data if b64encode(data).decode() == text else None
