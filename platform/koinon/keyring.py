"""The installation's own keys, one file each, in a folder that only it can read.

The logs' signing keys are read by whoever signs, the worker, and by nobody else: every other process knows them by
their public halves, so that the folder of a web process needs neither `log.pem` nor `sandbox-log.pem`.
"""

import os
import re
import time
from pathlib import Path
from tempfile import mkstemp

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

SECRET_BYTES = 32
MASTER_BYTES = 32
SETTLED_NS = 1_000_000_000
MASTER = re.compile(r"master\.([1-9][0-9]{0,8})\.key")
LOG = "log"
SANDBOX_LOG = "sandbox-log"


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
    """What every process holds: the logs' public keys, the tokens' key, the secret of codes and names, master keys.

    All keys are Ed25519. `log` is the live log's, `sandbox_log` that of all sandbox programmes' logs.
    """

    log: Ed25519PublicKey
    sandbox_log: Ed25519PublicKey
    token: Ed25519PrivateKey
    secret: bytes
    masters: MasterKeys


def create(folder: Path) -> None:
    """Make the keys that are missing; an existing key is never replaced."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (LOG, SANDBOX_LOG, "token"):
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_once(folder / f"{name}.pem", pem)
    for name in (LOG, SANDBOX_LOG):
        public = signing_key(folder, name).public_key()
        _write_once(folder / f"{name}.pub.pem", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
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
    """Read the keys that every process holds; raises KeysMissing."""
    try:
        keyring = Keyring(
            log=_public(folder / f"{LOG}.pub.pem"),
            sandbox_log=_public(folder / f"{SANDBOX_LOG}.pub.pem"),
            token=_private(folder / "token.pem"),
            secret=(folder / "secret").read_bytes(),
            masters=MasterKeys(folder),
        )
    except FileNotFoundError as error:
        raise _missing(error) from None
    keyring.masters.newest()
    return keyring


def signing_key(folder: Path, name: str) -> Ed25519PrivateKey:
    """Read the key that signs the live log (`LOG`) or all sandbox programmes' (`SANDBOX_LOG`); raises KeysMissing."""
    try:
        return _private(folder / f"{name}.pem")
    except FileNotFoundError as error:
        raise _missing(error) from None


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return the installation's key of 32 bytes for one purpose; what is known of it says nothing of another's."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"koinon " + purpose).derive(secret)


def _missing(error: FileNotFoundError) -> KeysMissing:
    return KeysMissing(
        f"{error.filename} is missing: run `koinon keys init`, once for all processes of an installation"
    )


def _private(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        message = f"{path} is not an Ed25519 key"
        raise KeysMissing(message)
    return key


def _public(path: Path) -> Ed25519PublicKey:
    key = load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        message = f"{path} is not an Ed25519 key"
        raise KeysMissing(message)
    return key


def _master_name(version: int) -> str:
    return f"master.{version}.key"


def _master_versions(folder: Path) -> list[int]:
    return [int(found[1]) for path in folder.iterdir() if (found := MASTER.fullmatch(path.name))]


def _write_once(path: Path, data: bytes) -> bool:
    """Write a file that is not there yet, whole and durably; tells whether it was not."""
    # A link is made whole or not at all: of two processes that start together, one makes the key and both read it.
    descriptor, temporary = mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            # What is sealed under a key outlives a power cut; so must the key.
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        Path(temporary).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
