"""Mail: codes are read out of letters by address, from a server on loopback and from a folder."""

import asyncio
import mailbox
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import aiosmtplib

from load_tests.driver.mail import MailFolder, Mailroom


def letter(recipient: str, body: str) -> EmailMessage:
    """Return a letter."""
    message = EmailMessage()
    message["From"] = "koinon@localhost"
    message["To"] = recipient
    message["Subject"] = "Your sign-in code"
    message.set_content(body)
    return message


async def send(room: Mailroom, *letters: EmailMessage) -> None:
    """Send letters to a mail server."""
    port = urlsplit(room.url).port
    for each in letters:
        await aiosmtplib.send(each, hostname="127.0.0.1", port=port, start_tls=False)


async def test_a_letter_brings_its_code() -> None:
    """Each address gets its own codes, in their order, whether it waits already or asks later."""
    room = Mailroom()
    async with room.open():
        waiting = asyncio.create_task(room.code_for("ada@example.org"))
        await send(
            room,
            letter("ada@example.org", "Welcome, no code here: 12345 1234567"),
            letter("bob@example.org", "Your sign-in code is 222222\n"),
            letter("ada@example.org", "Your sign-in code is 111111\n"),
            letter("ada@example.org", "Your sign-in code is 333333\n"),
        )
        codes = [await waiting, await room.code_for("ada@example.org"), await room.code_for("bob@example.org")]

    assert codes == ["111111", "333333", "222222"]


async def test_a_watcher_sees_every_letter() -> None:
    """Once somebody watches, letters are shown and not kept."""
    room = Mailroom()
    seen: list[tuple[str, str, str]] = []
    room.watcher = lambda recipient, subject, body: seen.append((recipient, subject, body.strip()))
    async with room.open():
        await send(room, letter("ada@example.org", "Your sign-in code is 111111"))

    assert seen == [("ada@example.org", "Your sign-in code", "Your sign-in code is 111111")]


async def test_a_folder_brings_codes_too(tmp_path: Path) -> None:
    """What lay in the folder before is old; what comes is read once."""
    old = mailbox.Maildir(tmp_path / "mail", create=True)
    old.add(letter("ada@example.org", "Your sign-in code is 000000"))
    folder = MailFolder(tmp_path / "mail")
    waiting = asyncio.create_task(folder.code_for("ada@example.org"))
    old.add(letter("bob@example.org", "Your sign-in code is 222222"))
    old.add(letter("ada@example.org", "Your sign-in code is 111111"))

    assert [await waiting, await folder.code_for("bob@example.org")] == ["111111", "222222"]
    old.close()


async def test_a_folder_may_come_later(tmp_path: Path) -> None:
    """An installation makes the folder with its first mail."""
    folder = MailFolder(tmp_path / "mail")
    waiting = asyncio.create_task(folder.code_for("ada@example.org"))
    await asyncio.sleep(0)
    mailbox.Maildir(tmp_path / "mail", create=True).add(letter("ada@example.org", "Your sign-in code is 111111"))

    assert await waiting == "111111"
