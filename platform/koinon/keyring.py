"""The installation's own private keys, one file each, in a folder that only it can read."""

import os
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


class KeysMissing(Exception):
    """The keys' folder lacks a key; the message says how to make it."""


class Keyring(msgspec.Struct, frozen=True):
    """The log's and the tokens' signing keys (Ed25519), and the secret of codes and of journals' names."""

    log: Ed25519PrivateKey
    token: Ed25519PrivateKey
    secret: bytes


def create(folder: Path) -> None:
    """Make the keys that are missing; an existing key is never replaced."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("log", "token"):
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_once(folder / f"{name}.pem", pem)
    _write_once(folder / "secret", os.urandom(SECRET_BYTES))


def load(folder: Path) -> Keyring:
    """Read the keys; raises KeysMissing."""
    try:
        return Keyring(
            log=_ed25519(folder / "log.pem"),
            token=_ed25519(folder / "token.pem"),
            secret=(folder / "secret").read_bytes(),
        )
    except FileNotFoundError as error:
        message = f"{error.filename} is missing: run `koinon keys init`, once for all processes of an installation"
        raise KeysMissing(message) from None


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return the installation's key of 32 bytes for one purpose; what is known of it says nothing of another's."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"koinon " + purpose).derive(secret)


def _ed25519(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        message = f"{path} is not an Ed25519 key"
        raise KeysMissing(message)
    return key


def _write_once(path: Path, data: bytes) -> None:
    # O_EXCL: of two processes that start together, one makes the key and the other reads it.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
