"""Mail that waits says to nobody who reads the database to whom it is, nor what."""

import mailbox
from pathlib import Path

import asyncpg
import pytest

from koinon import keyring
from koinon.database import transaction
from koinon.delivery.jobs import send_due_mail
from koinon.delivery.operations import open_letter, queue_mail
from koinon.ledger.operations import Ledger
from koinon.runtime import Runtime
from koinon.sealing import Unreadable
from koinon.settings import Settings


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Give a process's runtime that lays its mail into a folder."""
    keyring.create(tmp_path / "keys")
    return Runtime(Settings(folder=tmp_path), keyring.load(tmp_path / "keys"), [Ledger()])


async def queue(secret: bytes, body: str) -> int:
    """Queue a mail in a transaction of its own."""
    async with transaction() as connection:
        return await queue_mail(connection, secret, recipient="anna@example.org", subject="Hello", body=body)


async def test_waiting_mail_is_sealed(database: asyncpg.Pool, runtime: Runtime) -> None:
    """A letter opens for its own mail alone, as it was, and for our own secret alone."""
    secret = runtime.keys.secret
    first, second = await queue(secret, "the first"), await queue(secret, "the second")
    rows = await database.fetch("SELECT mail_id, sealed_letter, mail::text AS row FROM delivery.mail")
    sealed = {row["mail_id"]: row["sealed_letter"] for row in rows}

    for row in rows:
        for text in ("anna", "the first", "the second"):
            assert text not in row["row"]
            assert text.encode().hex() not in row["row"]
    assert open_letter(secret, first, sealed[first]).body == "the first"
    changed = bytes([*sealed[first][:-1], sealed[first][-1] ^ 1])
    for other, mail_id, given in (
        (secret, second, sealed[first]),
        (secret, first, changed),
        (secret, first, b""),
        (bytes(32), first, sealed[first]),
    ):
        with pytest.raises(Unreadable):
            open_letter(other, mail_id, given)


async def test_mail_that_does_not_open(database: asyncpg.Pool, runtime: Runtime) -> None:
    """Mail that was sealed under another installation's secret is given up and says so; the others leave."""
    lost = await queue(bytes(32), "the lost one")
    assert await send_due_mail(runtime) is True
    row = await database.fetchrow("SELECT * FROM delivery.mail WHERE mail_id = $1", lost)
    assert row["given_up_at"] is not None
    assert row["sealed_letter"] is None
    assert row["last_error"] == "it was sealed under another installation's secret"
    await queue(bytes(32), "another lost one")
    await queue(runtime.keys.secret, "the one that arrives")

    assert await send_due_mail(runtime) is True
    assert await send_due_mail(runtime) is False

    (message,) = mailbox.Maildir(runtime.settings.folder / "mail", create=False)
    assert message.get_payload() == "the one that arrives\n"
