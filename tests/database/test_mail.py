"""Mail leaves when its transaction is committed, once as far as anyone can know, and is never lost."""

import asyncio
import mailbox
import ssl
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import time_machine
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from koinon import keyring
from koinon.clock import machine_now
from koinon.database import transaction
from koinon.delivery import jobs
from koinon.delivery.jobs import SLICE, send_due_mail
from koinon.delivery.model import TRIED_FOR
from koinon.delivery.operations import LEASE, open_letter, queue_mail
from koinon.delivery.senders import MailUrlInvalid
from koinon.ledger.operations import Ledger
from koinon.runtime import Runtime
from koinon.settings import Settings

ANNA = "anna@example.org"
SECRET = bytes(range(32))


class Server:
    """A mail server that keeps what it takes, and answers as it is told to."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.encrypted: list[bool] = []
        self.answers: dict[str, str] = {}
        self.url = ""

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _: SMTP, __: object, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        """Take a recipient, or answer otherwise."""
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 fine")

    async def handle_DATA(self, server: SMTP, __: object, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """Take a message, or answer otherwise."""
        if "DATA" in self.answers:
            return self.answers["DATA"]
        assert isinstance(envelope.content, bytes)
        self.taken.append(envelope.content)
        assert isinstance(server.transport, asyncio.Transport)
        self.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 taken"

    @property
    def messages(self) -> list[Message]:
        """The messages that were taken."""
        return [message_from_bytes(content, policy=default) for content in self.taken]


@asynccontextmanager
async def serving(server: Server, *, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Server]:
    """Run a mail server on a free port of this machine, in the test's own loop."""
    made: list[SMTP] = []

    def protocol() -> SMTP:
        made.append(SMTP(server, hostname="mail.test", **options))
        return made[-1]

    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"{'smtp' if tls is None else 'smtps'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        for connection in made:
            if isinstance(connection.transport, asyncio.Transport):
                connection.transport.abort()
        await listening.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Give a mail server."""
    async with serving(Server()) as made:
        yield made


@pytest.fixture
def runtime_with(tmp_path: Path) -> Callable[[str | None], Runtime]:
    """Give what makes a process's runtime with a mail server's URL, or none."""
    keyring.create(tmp_path / "keys")

    def made(url: str | None) -> Runtime:
        settings = Settings(folder=tmp_path, smtp_url=url, mail_sender="Koinon <koinon@coalition.example>")
        keys = msgspec.structs.replace(keyring.load(settings.keys_folder), secret=SECRET)
        return Runtime(settings, keys, [Ledger()])

    return made


RuntimeWith = Callable[[str | None], Runtime]


async def queue(recipient: str = ANNA, expires_at: datetime | None = None) -> int:
    """Queue a mail in a transaction of its own."""
    letter = {"recipient": recipient, "subject": "Hëllo", "body": "Hello Änna"}
    async with transaction() as connection:
        return await queue_mail(connection, SECRET, **letter, expires_at=expires_at)


async def only(database: asyncpg.Pool) -> dict[str, Any]:
    """Return the only mail's row, with its recipient and body, which are None when they are forgotten."""
    (row,) = await database.fetch("SELECT * FROM delivery.mail")
    letter = None if row["sealed_letter"] is None else open_letter(SECRET, row["mail_id"], row["sealed_letter"])
    return dict(row) | {"recipient": letter and letter.recipient, "body": letter and letter.body}


async def test_mail_arrives(database: asyncpg.Pool, server: Server, runtime_with: RuntimeWith) -> None:
    """A queued mail arrives once, readable, from our address; what stays is that it was sent."""
    await queue()

    assert await send_due_mail(runtime_with(server.url)) is True
    assert await send_due_mail(runtime_with(server.url)) is False

    (message,) = server.messages
    assert message["To"] == ANNA
    assert message["From"] == "Koinon <koinon@coalition.example>"
    assert message["Subject"] == "Hëllo"
    assert message["Message-ID"].endswith("@coalition.example>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().strip() == "Hello Änna"  # type: ignore[attr-defined]  # the default policy's message
    row = await only(database)
    assert (row["recipient"], row["body"], row["attempts"], row["last_error"]) == (None, None, 1, None)
    assert row["sent_at"] is not None


async def test_what_was_rolled_back_is_not_sent(
    database: asyncpg.Pool, server: Server, runtime_with: RuntimeWith
) -> None:
    """Mail belongs to its transaction: without it there is none."""

    async def fails() -> None:
        async with transaction() as connection:
            await queue_mail(connection, SECRET, recipient=ANNA, subject="x", body="x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()

    assert await send_due_mail(runtime_with(server.url)) is False
    assert server.taken == []


async def test_a_server_that_is_away(database: asyncpg.Pool, server: Server, runtime_with: RuntimeWith) -> None:
    """While the server is away mail waits, longer each time; when it is back the mail arrives, once."""
    await queue()
    async with serving(Server()) as gone:
        nowhere = runtime_with(gone.url)

    assert await send_due_mail(nowhere) is True
    row = await only(database)
    waits = (row["next_attempt_at"] - machine_now()).total_seconds()
    assert 1 < waits <= 7.5
    assert row["attempts"] == 1
    assert row["recipient"] == ANNA
    assert "no connection" in row["last_error"]
    assert await send_due_mail(nowhere) is False
    with time_machine.travel(machine_now() + timedelta(seconds=10), tick=True):
        assert await send_due_mail(runtime_with(server.url)) is True
    assert len(server.taken) == 1
    assert (await only(database))["sent_at"] is not None


ANSWERS = (
    ({"RCPT": "451 greylisted, come back"}, False, "451"),
    ({"RCPT": "550 <anna@example.org>: no such mailbox"}, True, "550"),
    ({"DATA": "452 full"}, False, "452"),
    ({"DATA": "554 no thanks, anna@example.org"}, True, "554"),
)


async def test_a_server_that_refuses(
    database: asyncpg.Pool, server: Server, runtime_with: RuntimeWith, subtests: pytest.Subtests
) -> None:
    """A refusal for now is tried again, one for good is not; the note of it names nobody."""
    for answers, final, code in ANSWERS:
        with subtests.test(answers=answers):
            mail_id = await queue()
            server.answers = answers

            await send_due_mail(runtime_with(server.url))

            row = await database.fetchrow("SELECT * FROM delivery.mail WHERE mail_id = $1", mail_id)
            assert (row["given_up_at"] is not None) is final
            assert (row["sealed_letter"] is None) is final
            assert row["sent_at"] is None
            assert code in row["last_error"]
            assert "anna" not in row["last_error"]
    assert server.taken == []


async def test_one_refusal_does_not_hold_up_others(
    database: asyncpg.Pool, server: Server, runtime_with: RuntimeWith
) -> None:
    """Mail that cannot be written down as mail is given up, and the others leave."""
    await queue(recipient="anna@example.org\r\nBcc: eve@evil.example")
    await queue()

    await send_due_mail(runtime_with(server.url))

    assert [message["To"] for message in server.messages] == [ANNA]
    assert await database.fetchval("SELECT count(*) FROM delivery.mail WHERE given_up_at IS NOT NULL") == 1


async def test_mail_that_nobody_wants_any_more(
    database: asyncpg.Pool, server: Server, runtime_with: RuntimeWith
) -> None:
    """A code that ran out is not mailed, and mail without an end is tried for five days."""
    now = machine_now()
    await queue(expires_at=now + timedelta(minutes=10))
    await queue()
    with time_machine.travel(now + timedelta(minutes=11), tick=True):
        await send_due_mail(runtime_with(server.url))
    assert len(server.taken) == 1
    await queue()
    with time_machine.travel(now + TRIED_FOR + timedelta(minutes=12), tick=True):
        await send_due_mail(runtime_with(server.url))

    assert len(server.taken) == 1
    assert await database.fetchval("SELECT count(*) FROM delivery.mail WHERE given_up_at IS NOT NULL") == 2
    assert await database.fetchval("SELECT count(*) FROM delivery.mail WHERE sealed_letter IS NOT NULL") == 0


async def test_workers_share_the_mail(database: asyncpg.Pool, server: Server, runtime_with: RuntimeWith) -> None:
    """Four workers at once send each mail once, a bounded slice at a time."""
    recipients = [f"member{number}@example.org" for number in range(SLICE * 5)]
    for recipient in recipients:
        await queue(recipient=recipient)

    async def work() -> None:
        while await send_due_mail(runtime_with(server.url)):
            pass

    await asyncio.gather(*(work() for _ in range(4)))

    assert sorted(message["To"] for message in server.messages) == sorted(recipients)
    assert await database.fetchval("SELECT count(*) FROM delivery.mail WHERE attempts <> 1") == 0


async def test_a_worker_that_dies_after_sending(
    database: asyncpg.Pool, server: Server, runtime_with: RuntimeWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mail that left but was not noted is sent again after its lease, with the same Message-ID; none is lost."""
    await queue()

    async def dies(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "settle_sent", dies)
        with pytest.raises(ConnectionResetError):
            await send_due_mail(runtime_with(server.url))
    assert await send_due_mail(runtime_with(server.url)) is False
    with time_machine.travel(machine_now() + LEASE + timedelta(seconds=1), tick=True):
        assert await send_due_mail(runtime_with(server.url)) is True

    first, second = server.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]
    assert (await only(database))["sent_at"] is not None


async def test_a_folder_of_mail(database: asyncpg.Pool, runtime_with: RuntimeWith, tmp_path: Path) -> None:
    """Without a mail server, mail is written into a Maildir that its owner alone can read."""
    await queue()

    assert await send_due_mail(runtime_with(None)) is True

    folder = tmp_path / "mail"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (message,) = mailbox.Maildir(folder, create=False)
    assert message["To"] == ANNA
    assert (await only(database))["sent_at"] is not None


async def test_a_folder_that_cannot_be_written(
    database: asyncpg.Pool, runtime_with: RuntimeWith, tmp_path: Path
) -> None:
    """Mail that could not be written down waits."""
    (tmp_path / "mail").write_text("a file where the folder should be")
    await queue()

    assert await send_due_mail(runtime_with(None)) is True

    row = await only(database)
    assert (row["sent_at"], row["attempts"], row["recipient"]) == (None, 1, ANNA)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """Give a mail server's TLS for 127.0.0.1, and the file of its certificate."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path / "certificate.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path


async def test_tls_from_the_start_and_when_offered(
    database: asyncpg.Pool,
    runtime_with: RuntimeWith,
    certificate: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Smtps speaks TLS from the start, smtp as soon as the server offers it; a server nobody vouches for gets none."""
    context, path = certificate
    async with serving(Server(), tls=context) as strict, serving(Server(), tls_context=context) as offering:
        await queue()
        assert await send_due_mail(runtime_with(strict.url)) is True
        assert strict.taken == []
        assert "no connection" in (await only(database))["last_error"]
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        for server in (strict, offering):
            await queue()
            assert await send_due_mail(runtime_with(server.url)) is True
            assert server.encrypted == [True]


async def test_signing_in_at_the_mail_server(
    database: asyncpg.Pool,
    runtime_with: RuntimeWith,
    certificate: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The URL's user and password, percent-encoded, sign in; a wrong password keeps the mail waiting."""
    context, path = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    def authenticator(_: object, __: object, ___: object, ____: str, given: Any) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"koinon", b"p@ss/word"), handled=False)

    async with serving(Server(), tls_context=context, auth_required=True, authenticator=authenticator) as server:
        await queue()
        wrong = server.url.replace("//", "//koinon:wrong@")
        right = server.url.replace("//", "//koinon:p%40ss%2Fword@")
        assert await send_due_mail(runtime_with(wrong)) is True
        row = await only(database)
        assert (row["given_up_at"], row["recipient"]) == (None, ANNA)
        with time_machine.travel(machine_now() + timedelta(seconds=10), tick=True):
            assert await send_due_mail(runtime_with(right)) is True

    assert len(server.taken) == 1


async def test_a_wrong_url_is_said(database: asyncpg.Pool, runtime_with: RuntimeWith) -> None:
    """A URL that is no mail server's says what is wanted, and the mail waits."""
    await queue()
    with pytest.raises(MailUrlInvalid, match="smtp://user:password@host:port"):
        await send_due_mail(runtime_with("mail.example.org:25"))

    assert (await only(database))["recipient"] == ANNA
