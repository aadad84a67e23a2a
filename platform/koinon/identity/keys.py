"""The installation's own keys, one file each, in a folder that only it can read.

The logs' signing keys are read by whoever signs, the worker, and by nobody else: every other process knows them by
their public halves, so that the folder of a web process needs neither `log.pem` nor `sandbox-log.pem`.
"""

import contextlib
import os
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
LOG = "log"
SANDBOX_LOG = "sandbox-log"


class KeysMissing(Exception):
    """The keys' folder lacks a key; the message says how to make it."""


class Keyring(msgspec.Struct, frozen=True):
    """What every process holds: the logs' public keys, the tokens' signing key, the secret of codes and names.

    All keys are Ed25519. `log` is the live log's, `sandbox_log` that of all sandbox programmes' logs.
    """

    log: Ed25519PublicKey
    sandbox_log: Ed25519PublicKey
    token: Ed25519PrivateKey
    secret: bytes


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


def load(folder: Path) -> Keyring:
    """Read the keys that every process holds; raises KeysMissing."""
    try:
        return Keyring(
            log=_public(folder / f"{LOG}.pub.pem"),
            sandbox_log=_public(folder / f"{SANDBOX_LOG}.pub.pem"),
            token=_private(folder / "token.pem"),
            secret=(folder / "secret").read_bytes(),
        )
    except FileNotFoundError as error:
        raise _missing(error) from None


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


def _write_once(path: Path, data: bytes) -> None:
    # A link is made whole or not at all: of two processes that start together, one makes the key and both read it.
    descriptor, temporary = mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
