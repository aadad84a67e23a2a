"""The installation's own private keys, one file each, in a folder that only it can read."""

import os
import re
import secrets
import time
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

SECRET_BYTES = 32
MASTER_BYTES = 32
SETTLED_NS = 1_000_000_000
MASTER = re.compile(r"master\.([1-9][0-9]{0,8})\.key")


class KeysMissing(Exception):
    """The keys' folder lacks a key; the message says how to make it."""


class MasterKeys:
    """The keys that wrap members' own keys (key-encryption keys), by version: the newest wraps, all unwrap.

    They are read from the folder when it changes, so that a process that runs meets a new version without a restart.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_at: int | None = None
        self._keys: dict[int, bytes] = {}

    def newest(self) -> tuple[int, bytes]:
        """Return (version, key of 32 bytes) of the newest; raises KeysMissing."""
        changed_at = self._folder.stat().st_mtime_ns
        if changed_at != self._read_at:
            self._read(changed_at)
        if not self._keys:
            message = f"{self._folder} holds no master key: run `koinon keys init`, once for all processes"
            raise KeysMissing(message)
        version = max(self._keys)
        return version, self._keys[version]

    def key(self, version: int) -> bytes:
        """Return the key of a version; raises KeysMissing."""
        if version not in self._keys:
            self._read(self._folder.stat().st_mtime_ns)
        if version not in self._keys:
            message = f"{self._folder / _master_name(version)} is missing: bring it back from your copy of the keys"
            raise KeysMissing(message)
        return self._keys[version]

    def _read(self, changed_at: int) -> None:
        keys: dict[int, bytes] = {}
        for version in _master_versions(self._folder):
            path = self._folder / _master_name(version)
            keys[version] = path.read_bytes()
            if len(keys[version]) != MASTER_BYTES:
                message = f"{path} does not hold {MASTER_BYTES} bytes"
                raise KeysMissing(message)
        # A folder's own time changes with every file that is made in it, but by ticks of a clock: one that has just
        # changed may change again within the tick, and is looked at again.
        settled = time.time_ns() - changed_at > SETTLED_NS
        self._keys, self._read_at = keys, changed_at if settled else None


class Keyring(msgspec.Struct, frozen=True):
    """The log's and the tokens' signing keys (Ed25519), the secret of codes and of journals' names, the master keys."""

    log: Ed25519PrivateKey
    token: Ed25519PrivateKey
    secret: bytes
    masters: MasterKeys


def create(folder: Path) -> None:
    """Make the keys that are missing; an existing key is never replaced."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("log", "token"):
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_once(folder / f"{name}.pem", pem)
    _write_once(folder / "secret", os.urandom(SECRET_BYTES))
    if not _master_versions(folder):
        _write_once(folder / _master_name(1), os.urandom(MASTER_BYTES))


def add_master(folder: Path) -> int:
    """Make the next master key and return its version; from now on it wraps. Older ones stay."""
    version = max(_master_versions(folder), default=0) + 1
    while not _write_once(folder / _master_name(version), os.urandom(MASTER_BYTES)):
        version += 1
    return version


def load(folder: Path) -> Keyring:
    """Read the keys; raises KeysMissing."""
    try:
        keyring = Keyring(
            log=_ed25519(folder / "log.pem"),
            token=_ed25519(folder / "token.pem"),
            secret=(folder / "secret").read_bytes(),
            masters=MasterKeys(folder),
        )
    except FileNotFoundError as error:
        message = f"{error.filename} is missing: run `koinon keys init`, once for all processes of an installation"
        raise KeysMissing(message) from None
    keyring.masters.newest()
    return keyring


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return the installation's key of 32 bytes for one purpose; what is known of it says nothing of another's."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"koinon " + purpose).derive(secret)


def _ed25519(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        message = f"{path} is not an Ed25519 key"
        raise KeysMissing(message)
    return key


def _master_name(version: int) -> str:
    return f"master.{version}.key"


def _master_versions(folder: Path) -> list[int]:
    return [int(found[1]) for path in folder.iterdir() if (found := MASTER.fullmatch(path.name))]


def _write_once(path: Path, data: bytes) -> bool:
    """Write a file that is not there yet, whole and durably; tells whether it was not there."""
    written = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            # What is sealed under a key outlives a power cut; so must the key.
            os.fsync(file.fileno())
        # Of two processes that start together, one makes the key and the other reads it; none reads a half of it.
        path.hardlink_to(written)
    except FileExistsError:
        return False
    finally:
        written.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
