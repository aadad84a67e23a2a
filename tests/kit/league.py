"""A league for tests of the worker: brands with places and contracts, members with linked cards, offers, and a feed."""

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from koinon.database import pool, transaction
from koinon.ids import new_id, new_record_id
from koinon.keyring import Keyring, MasterKeys
from koinon.ledger.model import Capture, Hold, Outcome, ReverseBurn
from koinon.ledger.operations import Ledger, post_now, require_posted
from koinon.places.model import IdentityKind, Network
from koinon.places.operations import NewIdentity
from koinon.runtime import Runtime
from koinon.settings import Settings
from offers.catalogue.operations import statements as catalogue_statements
from offers.feeds.messages import card_key
from offers.feeds.operations import FeedBatch, Verdicts, take_batch
from offers.model import OfferVersion, PointsPerAmount
from offers.purchases.intake import take_in
from offers.rewarding.operations import reopen_short, reward_waiting
from tests.kit.coalition import Built
from tests.kit.terms import S1, TODAY
from tests.unit.offers.samples import body

FOUNDED = datetime(2026, 1, 1, tzinfo=UTC)
ACTIVATED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BOUGHT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
NOW = datetime(2026, 5, 2, 9, 0, tzinfo=UTC)
"""Where the programme's clock stands: after everything that a test's messages tell of."""

MEMBER = """
INSERT INTO members.member (member_id, programme_id, account_id, enrolled_by, enrolled_at) VALUES ($1, $2, $3, $4, $5)
"""
CARD = """
INSERT INTO offers.card (card_key, link_id, programme_id, source_id, token, member_id, linked_at, unlinked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
OFFER = """
INSERT INTO offers.offer (offer_id, programme_id, partner_id, current_version_id, created_at)
VALUES ($1, $2, $3, $4, $5)
"""
VERSION = """
INSERT INTO offers.offer_version (version_id, offer_id, version_no, programme_id, partner_id, activation_required,
    starts_at, ends_at, places, body, published_at, revision)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
BUDGET = "INSERT INTO offers.budget (offer_id, cap_points) VALUES ($1, $2)"
ACTIVATION = """
INSERT INTO offers.activation (account_id, offer_id, version_id, member_id, activated_at, ends_at, terms, terms_sha256)
VALUES ($1, $2, $3, $4, $5, $6, 'terms', sha256('terms'))
"""
TILL = """
INSERT INTO offers.till_sighting (account_id, purchase_id, partner_id, place_id, amount_minor, currency, stated_points,
    card_token, source_id, auth_code, occurred_at)
VALUES ($1, $2, $3, $4, $5, 'EUR', $6, $7, $8, $9, $10)
"""
PURCHASE = """
INSERT INTO offers.purchase (account_id, purchase_id, programme_id, member_id, occurred_at) VALUES ($1, $2, $3, $4, $5)
"""

KEYRING = Keyring(
    log=Ed25519PrivateKey.generate().public_key(),
    sandbox_log=Ed25519PrivateKey.generate().public_key(),
    token=Ed25519PrivateKey.generate(),
    secret=b"a secret",
    masters=MasterKeys(Path("no keys")),
)
RUNTIME = Runtime(Settings(), None, [Ledger()])  # type: ignore[arg-type]  # the jobs use none of it


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A member with an account and a card."""

    member_id: int
    account_id: int
    token: str


class League(Built):
    """One sandbox programme with a grocer and a fuel station, each with one place in Helsinki, and a source."""

    def __init__(self) -> None:
        super().__init__()
        self.source_id = new_id()
        self._numbers = itertools.count(1)

    async def found(self, **renewals: datetime) -> "League":
        """Open the programme on the first of January, add its brands with contracts and places, and go on to NOW.

        `renewals` are instants, by brand, from which a second version of its contract holds.
        """
        async with transaction() as connection:
            await self.open_programme(connection, code=f"p{new_id()}", expiry_months=24, clock_at=FOUNDED)
            await connection.execute(
                "INSERT INTO identity.source (source_id, programme_id, name, secrets) VALUES ($1, $2, 'a', '{x}')",
                self.source_id,
                self.programme_id,
            )
            for code in ("grocer", "fuel"):
                await self.add_brand(connection, code, **S1)
                await self.add_place(connection, code, identity(mid(code)))
            for code, begins_at in renewals.items():
                await self.add_contract(connection, code, **S1, effective_from=begins_at)
            await self.set_clock(connection, NOW)
        return self

    async def holder(self, token: str = "tok_a", linked_at: datetime | None = FOUNDED) -> Holder:
        """Enrol a member, with a linked card unless `linked_at` is None."""
        async with transaction() as connection:
            made = Holder(member_id=new_id(), account_id=await self.add_account(connection, FOUNDED), token=token)
            await connection.execute(
                MEMBER, made.member_id, self.programme_id, made.account_id, self.partners["grocer"], FOUNDED
            )
        if linked_at is not None:
            await self.link(made, token, linked_at)
        return made

    async def link(
        self, holder: Holder, token: str, linked_at: datetime = FOUNDED, unlinked_at: datetime | None = None
    ) -> None:
        """Link a card to a member."""
        await pool().execute(
            CARD, card_key(self.programme_id, self.source_id, token), new_record_id(), self.programme_id,
            self.source_id, token, holder.member_id, linked_at, unlinked_at,
        )  # fmt: skip

    async def offer(self, partner: str = "grocer", published_at: datetime = FOUNDED, **changes: Any) -> OfferVersion:
        """Publish an offer of 10 points for each whole unit of money, all year, at all of a brand's places."""
        made = ten_for_one(partner, **changes)
        async with transaction() as connection:
            await connection.execute(
                OFFER, made.offer_id, self.programme_id, self.partners[partner], made.version_id, published_at
            )
            if made.budget_points is not None:
                await connection.execute(BUDGET, made.offer_id, made.budget_points)
        await self.version(made, 1, published_at)
        return made

    async def version(self, made: OfferVersion, number: int, published_at: datetime) -> None:
        """Publish a version of an offer that exists."""
        async with transaction() as connection:
            revision = await connection.fetchval(catalogue_statements["next_revision"], self.programme_id)
            await connection.execute(VERSION, *self._row(made, number, published_at, revision))

    def _row(self, made: OfferVersion, number: int, published_at: datetime, revision: int) -> tuple[Any, ...]:
        return (
            made.version_id, made.offer_id, number, self.programme_id, self.partners[made.partner],
            made.activation_required, made.starts_at, made.ends_at, made.places,
            msgspec.json.encode(made).decode(), published_at, revision,
        )  # fmt: skip

    async def crowd(self, offers: int, versions: int, partner: str = "grocer", **changes: Any) -> list[OfferVersion]:
        """Publish many offers for everybody in one go, each in so many versions; returns the newest versions."""
        newest = [
            ten_for_one(partner, activation_required=False, **(changes | {"name": f"Offer {number}"}))
            for number in range(offers)
        ]
        made = [
            (number, each if number == versions else msgspec.structs.replace(each, version_id=new_id()))
            for each in newest
            for number in range(1, versions + 1)
        ]
        async with transaction() as connection:
            first = await connection.fetchval(catalogue_statements["next_revision"], self.programme_id)
            await connection.execute(
                "UPDATE offers.catalogue SET revision = revision + $2 WHERE programme_id = $1",
                self.programme_id,
                len(made) - 1,
            )
            await connection.executemany(
                OFFER,
                [
                    (each.offer_id, self.programme_id, self.partners[partner], each.version_id, FOUNDED)
                    for each in newest
                ],
            )
            await connection.executemany(
                VERSION, [self._row(each, number, FOUNDED, first + at) for at, (number, each) in enumerate(made)]
            )
        return newest

    async def activate(self, holder: Holder, offer: OfferVersion, at: datetime = ACTIVATED) -> None:
        """Switch an offer on."""
        await pool().execute(
            ACTIVATION, holder.account_id, offer.offer_id, offer.version_id, holder.member_id, at, offer.ends_at
        )

    async def till(self, holder: Holder, at: datetime = BOUGHT, partner: str = "grocer", **said: Any) -> UUID:
        """Write what a till saw, as a purchase of its own that is to be settled; returns the purchase's id."""
        purchase_id = new_record_id()
        told = {"amount_minor": 5000, "stated_points": None, "auth_code": None} | said
        async with transaction() as connection:
            await connection.execute(PURCHASE, holder.account_id, purchase_id, self.programme_id, holder.member_id, at)
            await connection.execute(
                TILL, holder.account_id, purchase_id, self.partners[partner], self.places[partner],
                told["amount_minor"], told["stated_points"], holder.token if told["auth_code"] else None,
                self.source_id if told["auth_code"] else None, told["auth_code"], at,
            )  # fmt: skip
        return purchase_id

    def message(self, kind: str = "authorisation", amount_minor: int = 5000, **fields: Any) -> dict[str, Any]:
        """Return a card message about a purchase at the grocer's at 10:00 UTC, with an id of its own."""
        merchant = {"mid": mid(fields.pop("at", "grocer")), "acquirer_id": "400012"}
        return body(kind, amount_minor, **({"message_id": f"m{next(self._numbers)}", "merchant": merchant} | fields))

    async def post(self, *messages: dict[str, Any]) -> Verdicts:
        """Post card messages through the feed."""
        batch = FeedBatch([msgspec.Raw(msgspec.json.encode(each)) for each in messages])
        return await take_batch(self.programme_id, self.source_id, batch)

    async def spend(self, holder: Holder, points: int) -> Outcome:
        """Burn points at the fuel station, as its till does, and return the capture."""
        common: dict[str, Any] = {
            "caller": "test",
            "content_hash": "00",
            "account_id": holder.account_id,
            "unit_id": self.unit_id,
            "occurred_at": ACTIVATED,
            "partner_id": self.partners["fuel"],
        }
        hold = Hold(
            key=f"h{next(self._numbers)}", version=1, points=points, today=TODAY, proof_kind="staff",
            hold_expires_at=BOUGHT, **common,
        )  # fmt: skip
        held = require_posted((await post_now(self.programme_id, [hold]))[0])
        capture = Capture(key=f"c{next(self._numbers)}", hold_id=UUID(held.answer["hold_id"]), **common)
        return require_posted((await post_now(self.programme_id, [capture]))[0])

    async def unspend(self, holder: Holder, capture: Outcome) -> None:
        """Undo a burn."""
        undo = ReverseBurn(
            caller="test", key=f"u{next(self._numbers)}", content_hash="00", account_id=holder.account_id,
            unit_id=self.unit_id, occurred_at=ACTIVATED, partner_id=self.partners["fuel"],
            reverses=UUID(capture.answer["journal_id"]),
        )  # fmt: skip
        require_posted((await post_now(self.programme_id, [undo]))[0])

    async def work(self) -> None:
        """Let the worker do all that there is to do."""
        while await take_in(RUNTIME) or await reward_waiting(RUNTIME) or await reopen_short(RUNTIME):
            pass

    async def tell(self, *messages: dict[str, Any]) -> None:
        """Post card messages, each worked through before the next one."""
        for each in messages:
            await self.post(each)
            await self.work()


def identity(value: str) -> NewIdentity:
    """Return what Visa's acquirer calls a place, since the programme was opened."""
    return NewIdentity(
        kind=IdentityKind.ACQUIRER_MERCHANT,
        network=Network.VISA,
        acquirer_id="400012",
        value=value,
        valid_from=FOUNDED,
    )


def ten_for_one(partner: str = "grocer", **changes: Any) -> OfferVersion:
    """Return an offer of 10 points for each whole unit of money, all year, at all of a brand's places."""
    values: dict[str, Any] = {
        "offer_id": new_id(),
        "version_id": new_id(),
        "partner": partner,
        "name": "Ten for one",
        "currency": "EUR",
        "earn": PointsPerAmount(points=10, amount_minor=100),
        "starts_at": datetime(2026, 1, 1),  # noqa: DTZ001  # the place's own time
        "ends_at": datetime(2027, 1, 1),  # noqa: DTZ001  # the place's own time
    }
    return OfferVersion(**(values | changes))


def mid(partner: str) -> str:
    """Return the merchant id of a brand's place at its acquirer."""
    return {"grocer": "000123", "fuel": "000456"}[partner]


async def balance(holder: Holder) -> int:
    """Return a member's spendable points."""
    found: int = await pool().fetchval("SELECT available FROM ledger.wallet WHERE account_id = $1", holder.account_id)
    return found


async def pending(holder: Holder) -> int:
    """Return the points that a member is expected to get."""
    found: int = await pool().fetchval(
        "SELECT coalesce(sum(pending_points), 0)::bigint FROM offers.reward WHERE account_id = $1", holder.account_id
    )
    return found


async def lots(holder: Holder) -> list[tuple[int, int, date]]:
    """Return (issuer's contract version, points left, expiry) of a member's lots that hold any, summed."""
    rows = await pool().fetch(
        "SELECT issuer_version, sum(remaining)::bigint AS points, expires_on FROM ledger.lot"
        " WHERE account_id = $1 AND remaining > 0 GROUP BY issuer_id, issuer_version, expires_on ORDER BY 3, 1",
        holder.account_id,
    )
    return [tuple(row) for row in rows]


async def decisions(holder: Holder) -> list[tuple[str | None, int]]:
    """Return (reason, points) of the receipts that are current, in the order of purchases."""
    rows = await pool().fetch(
        "SELECT d.reason, d.points FROM offers.decision d JOIN offers.purchase u USING (account_id, purchase_id)"
        " WHERE d.account_id = $1 AND d.revision = u.rewarded_revision ORDER BY u.occurred_at, d.purchase_id, d.points",
        holder.account_id,
    )
    return [tuple(row) for row in rows]


async def rewards(holder: Holder) -> list[tuple[int, int, int]]:
    """Return (posted, pending, shortfall) of a member's rewards that are any, in the order of purchases and offers."""
    rows = await pool().fetch(
        "SELECT r.posted_points, r.pending_points, r.shortfall_points FROM offers.reward r"
        " JOIN offers.purchase u USING (account_id, purchase_id) WHERE r.account_id = $1"
        " AND r.posted_points + r.pending_points > 0 ORDER BY u.occurred_at, r.purchase_id, r.offer_id",
        holder.account_id,
    )
    return [tuple(row) for row in rows]


async def budget(offer: OfferVersion) -> tuple[int, int]:
    """Return (reserved, spent) points of an offer's budget."""
    row = await pool().fetchrow(
        "SELECT reserved_points, spent_points FROM offers.budget WHERE offer_id = $1", offer.offer_id
    )
    return row["reserved_points"], row["spent_points"]


async def journal(holder: Holder) -> Sequence[tuple[str, int]]:
    """Return (kind, points) of everything that was posted to a member's account, in order."""
    rows = await pool().fetch(
        "SELECT j.kind, sum(m.amount)::bigint FROM ledger.journal j JOIN ledger.movement m"
        " USING (account_id, journal_id) WHERE j.account_id = $1 GROUP BY j.journal_id, j.kind ORDER BY j.journal_id",
        holder.account_id,
    )
    return [tuple(row) for row in rows]
