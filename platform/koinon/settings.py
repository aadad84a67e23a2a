"""Settings: one frozen struct from the environment, built once where a process starts and passed down."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

PREFIX = "KOINON_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one installation runs; every field is the environment variable KOINON_ + its name in capitals."""

    database_url: str | None = None
    """A PostgreSQL server's URL; without it an embedded server runs in `folder`."""
    migration_url: str | None = None
    """The schema owner's URL, when it is not `database_url`."""
    folder: Path = Path("var")
    """Where the embedded database, the keys, the log's last checkpoint and undelivered mail live."""
    host: str = "127.0.0.1"
    """The address that `serve` listens on."""
    port: int = 8700
    """The port that `serve` listens on."""
    public_url: str | None = None
    """The address that people and partners see, without a slash at the end; the audience of client assertions."""
    processes: int = 1
    """How many web processes `serve` and `up` start."""
    pool_size: int = 12
    """How many database connections one process holds at most."""
    log_origin: str = "koinon.example/log"
    """The log's name in every checkpoint: a URL without a scheme (C2SP tlog-checkpoint)."""
    smtp_url: str | None = None
    """smtp://user:password@host:port or smtps://…; without it mail is written into `folder`/mail."""
    mail_sender: str = "koinon@localhost"
    """The From address of mail."""
    secure_cookies: bool = False
    """Whether cookies are sent over HTTPS alone; set it wherever the public address is https."""
    log_level: str = "info"
    """The least severe level that is logged: debug, info, warning or error."""

    @property
    def keys_folder(self) -> Path:
        """Where the installation's private keys live."""
        return self.folder / "keys"

    @property
    def base_url(self) -> str:
        """The address that people and partners see."""
        return self.public_url or f"http://{self.host}:{self.port}"


class SettingsInvalid(Exception):
    """An environment variable is unknown or has a wrong value; the message names it and says what is wanted."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables.

    Raises SettingsInvalid for an unknown KOINON_ variable, so that a misspelt one does not pass silently;
    KOINON_VECTORS and KOINON_DATA belong to the tests.
    """
    names = set(Settings.__struct_fields__)
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name not in {"KOINON_VECTORS", "KOINON_DATA"}
    }
    if unknown := sorted(set(given) - names):
        message = f"unknown settings: {', '.join(PREFIX + name.upper() for name in unknown)}"
        raise SettingsInvalid(message)
    try:
        return msgspec.convert(
            {name: value for name, value in given.items() if value != ""},
            Settings,
            strict=False,
            dec_hook=lambda wanted, value: wanted(value),
        )
    except msgspec.ValidationError as error:
        message = f"a {PREFIX} variable is wrong: {error}"
        raise SettingsInvalid(message) from None
