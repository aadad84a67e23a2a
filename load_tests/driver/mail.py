"""Codes of sign-ins are read out of the mail, as people do: sent to a server on loopback, or laid into a folder."""

import asyncio
import re
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP

from load_tests.driver.connection import DriveError

CODE = re.compile(r"(?<![0-9])[0-9]{6}(?![0-9])")
CODE_SECONDS = 60
LOOK_SECONDS = 0.1

Watcher = Callable[[str, str, str], None]
"""Called with recipient, subject and body of every letter."""


class CodeNotArrived(DriveError):
    """No mail with a code came within CODE_SECONDS: no worker sends it."""


class Post(Protocol):
    """Where mail arrives."""

    async def code_for(self, address: str) -> str:
        """Return the six digits of the next letter to an address that holds a code; raises CodeNotArrived."""


class Letters:
    """Letters that came, by address, each read once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._bodies: defaultdict[str, asyncio.Queue[str]] = defaultdict(asyncio.Queue)

    def put(self, recipient: str, body: str) -> None:
        """Lay a letter down."""
        self._bodies[recipient].put_nowait(body)

    async def code_for(self, address: str) -> str:
        """Return the code of the next letter to an address that holds one; raises CodeNotArrived."""
        try:
            async with asyncio.timeout(CODE_SECONDS):
                while True:
                    if found := CODE.search(await self._bodies[address].get()):
                        return found[0]
        except TimeoutError:
            raise CodeNotArrived(f"no code came for {address} within {CODE_SECONDS} seconds") from None


class MailFolder:
    """The folder (Maildir) into which an installation without a mail server lays its mail."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which may not be there yet; what lies in it already is old and left alone."""
        self._new = folder / "new"
        self._seen = set(self._names())
        self._letters = Letters()

    async def code_for(self, address: str) -> str:
        """Return the code of the next letter to an address that holds one; raises CodeNotArrived."""
        waiting = asyncio.create_task(self._letters.code_for(address))
        while not waiting.done():
            self._look()
            await asyncio.wait({waiting}, timeout=LOOK_SECONDS)
        return waiting.result()

    def _look(self) -> None:
        for name in self._names() - self._seen:
            self._seen.add(name)
            letter = message_from_bytes((self._new / name).read_bytes(), policy=default)
            self._letters.put(str(letter["To"]), letter.get_content())

    def _names(self) -> set[str]:
        return {path.name for path in self._new.iterdir()} if self._new.is_dir() else set()


class Mailroom:
    """A mail server whose address is known before it runs, so that an installation can be started with it."""

    def __init__(self) -> None:
        """Take a free port of the loopback."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._letters = Letters()
        self.watcher: Watcher | None = None

    @property
    def url(self) -> str:
        """The server's address, for KOINON_SMTP_URL."""
        return f"smtp://127.0.0.1:{self._socket.getsockname()[1]}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take mail as long as the block runs."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(self, loop=loop, hostname="localhost", enable_SMTPUTF8=True), sock=self._socket
        )
        try:
            yield
        finally:
            server.close()

    async def code_for(self, address: str) -> str:
        """Return the code of the next letter to an address that holds one; raises CodeNotArrived."""
        return await self._letters.code_for(address)

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name for it
        """Take a letter."""
        letter = message_from_bytes(envelope.content, policy=default)
        body = letter.get_content()
        for recipient in envelope.rcpt_tos:
            if self.watcher is None:
                self._letters.put(recipient, body)
            else:
                self.watcher(recipient, str(letter["Subject"]), body)
        return "250 OK"
