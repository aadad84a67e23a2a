"""Sources: processors that send card messages, and the keys that they sign with."""

import hmac
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from koinon.callers.model import SOURCE_SCOPES, Caller
from koinon.clock import machine_now
from koinon.database import Connection, add_unless, beside, on, pool
from koinon.fields import ProgrammeId, SourceId
from koinon.http.cursors import Page, page_of
from koinon.identity import tables
from koinon.identity.webhook_signatures import VerifyingKeys, encode_public_key, verify
from koinon.ids import new_id, public
from koinon.keyring import derived
from koinon.problems import Conflict, NotFound

SECONDS_KNOWN = 2.0
KNOWN_MAXIMUM = 1_000
NONCE_BYTES = 12

statements = beside(__file__)


class SourceKeyTaken(Conflict):
    """Another source signs with this secret or key."""

    code = "source-key-taken"
    title = "Another source signs with this secret or key; every source needs one of its own"


class UnknownSource(NotFound):
    """There is no such source."""

    code = "unknown-source"
    title = "There is no such source"


class SourceNameTaken(Conflict):
    """A programme's sources have different names."""

    code = "source-name-taken"
    title = "Another source of the programme has this name"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A processor of a programme, and what its signatures are checked with."""

    source_id: int
    programme_id: int
    name: str
    keys: VerifyingKeys

    @property
    def caller(self) -> Caller:
        """Who calls when this source signed."""
        return Caller(
            kind="source", name=public("src", self.source_id), scopes=SOURCE_SCOPES, programme_id=self.programme_id
        )


class ListedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A processor as the operator sees it; `secrets` is how many count: two while it changes from one to the next."""

    source: SourceId
    programme: ProgrammeId
    name: Annotated[str, msgspec.Meta(examples=["Nordic Acquiring"])]
    secrets: Annotated[int, msgspec.Meta(examples=[1])]
    public_key: str | None
    created_at: datetime


class Sources:
    """The sources as one process knows them: read from the database and kept for two seconds."""

    def __init__(self, secret: bytes, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._box = AESGCM(derived(secret, b"source secrets"))
        self._drawing = derived(secret, b"new source secrets")
        self._known: dict[int, tuple[float, Source]] = {}

    async def load(self, source_id: int) -> Source:
        """Return a source; raises UnknownSource. A secret that was taken away counts for two seconds more."""
        known = self._known.get(source_id)
        if known is not None and known[0] > self._now():
            return known[1]
        read_at = self._now()
        row = await pool().fetchrow(statements["source"], source_id)
        if row is None:
            raise UnknownSource
        source = Source(
            source_id=source_id,
            programme_id=row["programme_id"],
            name=row["name"],
            keys=VerifyingKeys(tuple(self._open(source_id, sealed) for sealed in row["secrets"]), row["public_key"]),
        )
        if len(self._known) >= KNOWN_MAXIMUM:
            self._known.clear()
        self._known[source_id] = (read_at + SECONDS_KNOWN, source)
        return source

    def forget(self, source_id: int) -> None:
        """Read a source anew when it is asked for next."""
        self._known.pop(source_id, None)

    async def create(
        self,
        connection: Connection,
        *,
        programme_id: int,
        name: str,
        secret: bytes | None,
        public_key: bytes | None = None,
    ) -> int:
        """Make a source in the caller's transaction and return its id; raises SourceNameTaken, SourceKeyTaken."""
        source_id = new_id()
        await self._require_own(connection, source_id, secret, public_key)
        row = tables.Source(
            source_id=source_id,
            programme_id=programme_id,
            name=name,
            secrets=[] if secret is None else [self._seal(source_id, secret)],
            public_key=public_key,
        )
        if await add_unless(connection, row, tables.Source.programme_id, tables.Source.name) is None:
            raise SourceNameTaken
        return source_id

    async def rotate(self, connection: Connection, source_id: int, secret: bytes, *, keep_previous: bool) -> None:
        """Give a source a new secret in the caller's transaction; the one before may stay good beside it.

        Raises UnknownSource, SourceKeyTaken.
        """
        await self._require_own(connection, source_id, secret, None)
        sealed = self._seal(source_id, secret)
        if await connection.fetchval(statements["rotate_source"], source_id, sealed, keep_previous) is None:
            raise UnknownSource
        self.forget(source_id)

    def secret_for(self, write: str) -> bytes:
        """Return the secret that a write gets when it brings none: the same for the same write.

        It is derived and not drawn, so that a retry is answered with the same secret and the stored answer needs none.
        """
        return hmac.digest(self._drawing, write.encode(), "sha256")

    async def _require_own(
        self, connection: Connection, source_id: int, secret: bytes | None, public_key: bytes | None
    ) -> None:
        # A signature does not say for whom it was made: under one key, what one source sent could be sent to another.
        for row in await on(connection, tables.Source.objects().where(tables.Source.source_id != source_id)):
            try:
                secrets = [self._open(row.source_id, sealed) for sealed in row.secrets]
            except SecretsUnreadable:
                continue  # it cannot sign either
            if secret in secrets or (public_key is not None and row.public_key == public_key):
                raise SourceKeyTaken

    def _seal(self, source_id: int, secret: bytes) -> bytes:
        # Random nonces: a source has a handful of secrets in its life. The id keeps a row's secret from another's.
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._box.encrypt(nonce, secret, public("src", source_id).encode())

    def _open(self, source_id: int, sealed: bytes) -> bytes:
        name = public("src", source_id)
        try:
            return self._box.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode())
        except InvalidTag:
            raise SecretsUnreadable(f"{name} was sealed with another installation's secret") from None


class SecretsUnreadable(Exception):
    """A source's secrets cannot be read: the keys' folder is not the one that they were sealed with."""


async def sources(connection: Connection, programme_id: int | None, after: int, limit: int) -> Page[ListedSource]:
    """Return a page of sources, of a programme or of all; the cursor is the last one's id."""
    query = tables.Source.objects().where(tables.Source.source_id > after)
    if programme_id is not None:
        query = query.where(tables.Source.programme_id == programme_id)
    rows = await on(connection, query.order_by(tables.Source.source_id).limit(limit + 1))
    return page_of(rows, limit, _listed, lambda row: public("src", row.source_id))


def verify_source(headers: Mapping[str, str], body: bytes, source: Source) -> str:
    """Return the webhook-id of a request that a source signed, by machine time.

    `body` is the raw bytes. Raises SignatureInvalid, TimestampStale.
    """
    return verify(headers, body, source.keys, machine_now().timestamp())


def _listed(row: tables.Source) -> ListedSource:
    return ListedSource(
        source=public("src", row.source_id),
        programme=public("pro", row.programme_id),
        name=row.name,
        secrets=len(row.secrets),
        public_key=encode_public_key(row.public_key) if row.public_key else None,
        created_at=row.created_at,
    )
