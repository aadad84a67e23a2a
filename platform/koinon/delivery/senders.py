"""The ways out: a mail server, or a folder of mail where none is set up."""

import asyncio
import mailbox
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from koinon.settings import Settings

TIMEOUT_SECONDS = 20
PORTS = {"smtp": 25, "smtps": 465}


class MailUrlInvalid(Exception):
    """KOINON_SMTP_URL is not smtp://user:password@host:port or smtps://…."""


class NotSent(Exception):
    """A message did not leave; `final` when the mail server will never take it. The message names nobody."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Sender(Protocol):
    """An open way out."""

    async def send(self, message: EmailMessage) -> None:
        """Hand a message over, durably; raises NotSent."""


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[Sender]:
    """Open the way out that the settings name: a mail server, else the folder's Maildir; raises NotSent."""
    if settings.smtp_url is None:
        yield MaildirSender(settings.folder / "mail")
        return
    async with connected(settings.smtp_url) as client:
        yield SmtpSender(client)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[aiosmtplib.SMTP]:
    """Connect to a mail server; smtps speaks TLS from the start, smtp as soon as the server offers it.

    Raises NotSent, MailUrlInvalid.
    """
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise MailUrlInvalid("KOINON_SMTP_URL must be smtp://user:password@host:port or smtps://…")
    client = aiosmtplib.SMTP(
        hostname=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        use_tls=parts.scheme == "smtps",
        timeout=TIMEOUT_SECONDS,
    )
    try:
        await client.connect()
    except (aiosmtplib.SMTPException, OSError) as error:
        raise NotSent(f"no connection to the mail server: {type(error).__name__}") from None
    try:
        yield client
    finally:
        try:
            await client.quit()
        except (aiosmtplib.SMTPException, OSError):
            client.close()


class SmtpSender:
    """Hands messages to a mail server, one connection for all of them."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client

    async def send(self, message: EmailMessage) -> None:
        """Send a message; the server has it when this returns. Raises NotSent."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted({refused.code for refused in error.recipients})
            raise NotSent(f"the recipient was refused: {codes}", final=min(codes) >= 500) from None
        except aiosmtplib.SMTPDataError as error:
            raise NotSent(f"the message was refused: {error.code}", final=error.code >= 500) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            # Servers put addresses into their words: only the kind of the error and its code are kept.
            code = f" {error.code}" if isinstance(error, aiosmtplib.SMTPResponseException) else ""
            raise NotSent(f"{type(error).__name__}{code}") from None


class MaildirSender:
    """Writes messages into a Maildir, where a person or a test reads them; the folder is its owner's alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        """Write a message; it is on the disk when this returns. Raises NotSent."""
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise NotSent(f"{type(error).__name__}") from None

    def _write(self, message: EmailMessage) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        mailbox.Maildir(self._folder, create=True).add(message)
