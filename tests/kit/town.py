"""A town: a programme with brands that have a till each, a processor, and members with cards; made over HTTP.

town = await found_town(callers)
ada = await town.person()
answer = await town.grocer.earn(ada, points=100)
await town.processor.link(ada, "tok-ada")
await town.processor.feed([card_message(town.grocer, "tok-ada")])
await town.work()
"""

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from koinon import ids
from koinon.clock import machine_now
from koinon.database import pool
from koinon.identity.webhook_signatures import decode_secret, sign
from koinon.members import pay_codes
from offers.purchases.intake import take_in
from offers.rewarding.operations import reopen_short, reward_waiting
from tests.kit.scheme import Scheme, contract_body, open_scheme, partner_body, programme_body
from tests.web.conftest import Api, Callers

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CARD_NUMBER = "4111 1111 1111 1111"
PAR = "V0010013022298169667504231315"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A member, and their browser."""

    member: str
    account_id: int
    browser: Api

    async def balance(self) -> tuple[int, int]:
        """Return (available, held) points."""
        row = await pool().fetchrow("SELECT available, held FROM ledger.wallet WHERE account_id = $1", self.account_id)
        return row["available"], row["held"]

    async def pay_code(self) -> str:
        """Get a pay code, as the member's phone does."""
        made = await self.browser.post("/v1/me/pay-codes")
        assert made.status_code == 201, made.text
        code: str = made.json()["code"]
        return code


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """A brand with a place, and its till's API."""

    partner: str
    code: str
    place: str
    api: Api

    @property
    def place_id(self) -> int:
        """The place's id inside."""
        return ids.private("pla", self.place)

    def earning(self, person: Person, **changes: Any) -> dict[str, Any]:
        """Return a right earning of ten euros; `...` takes a field away."""
        right = {
            "member": person.member,
            "place": self.place,
            "amount_minor": 1000,
            "currency": "EUR",
            "occurred_at": "2026-03-02T09:00:00Z",
        }
        return {name: value for name, value in (right | changes).items() if value is not ...}

    async def earn(self, person: Person, *, key: str | None = None, **changes: Any) -> httpx.Response:
        """Report a purchase."""
        return await self.api.post("/v1/earnings", self.earning(person, **changes), key=key)

    async def earned(self, person: Person, points: int, **changes: Any) -> str:
        """Report a purchase with stated points, which must be taken, and return the earning's id."""
        answer = await self.earn(person, points=points, **changes)
        assert answer.status_code == 201, answer.text
        assert answer.json()["points"] == points
        earning: str = answer.json()["earning"]
        return earning

    async def reserve(self, *, key: str | None = None, **asked: Any) -> httpx.Response:
        """Ask to reserve points."""
        return await self.api.post("/v1/redemptions", asked, key=key)

    async def reserved(self, person: Person, points: int, **asked: Any) -> str:
        """Reserve points on a pay code, which must be taken, and return the redemption's id."""
        answer = await self.reserve(points=points, proof={"pay_code": await person.pay_code()}, **asked)
        assert answer.status_code == 201, answer.text
        redemption: str = answer.json()["redemption"]
        return redemption

    async def captured(self, person: Person, points: int) -> str:
        """Burn points on a pay code, which must be taken, and return the redemption's id."""
        redemption = await self.reserved(person, points)
        answer = await self.capture(redemption)
        assert answer.status_code == 201, answer.text
        return redemption

    async def capture(self, redemption: str, *, key: str | None = None) -> httpx.Response:
        """Capture a redemption."""
        return await self.api.post(f"/v1/redemptions/{redemption}/captures", key=key)

    async def release(self, redemption: str, *, key: str | None = None) -> httpx.Response:
        """Release a redemption."""
        return await self.api.post(f"/v1/redemptions/{redemption}/releases", key=key)

    async def reverse(self, *, key: str | None = None, **asked: Any) -> httpx.Response:
        """Take an earning or a redemption back."""
        return await self.api.post("/v1/reversals", asked, key=key)


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """A source, and how it signs."""

    source: str
    secret: bytes
    client: httpx.AsyncClient

    async def send(
        self,
        path: str,
        body: bytes,
        *,
        webhook_id: str | None = None,
        timestamp: int | None = None,
        secret: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Post raw bytes, signed; `timestamp` is in Unix seconds, now unless given."""
        signed = sign(
            secret or self.secret,
            webhook_id or uuid.uuid4().hex,
            int(time.time()) if timestamp is None else timestamp,
            body,
        )
        given = {"Content-Type": "application/json", "Koinon-Source": self.source} | signed | (headers or {})
        return await self.client.post(path, content=body, headers=given)

    async def feed(self, messages: Sequence[Any], **how: Any) -> httpx.Response:
        """Post a batch of card messages."""
        body = msgspec.json.encode({"messages": messages})
        return await self.send(f"/v1/feeds/{self.source}/transactions", body, **how)

    async def link(self, person: Person, token: str, *, webhook_id: str | None = None, **more: Any) -> httpx.Response:
        """Assert that a token is a person's card."""
        body = msgspec.json.encode({"member": person.member, "token": token} | more)
        return await self.send("/v1/cards", body, webhook_id=webhook_id)

    async def linked(self, person: Person, token: str, **more: Any) -> str:
        """Link a card, which must be taken, and return the link's id."""
        answer = await self.link(person, token, **more)
        assert answer.status_code == 201, answer.text
        card: str = answer.json()["card"]
        return card

    async def unlink(self, card: str, **how: Any) -> httpx.Response:
        """End a link."""
        return await self.send(f"/v1/cards/{card}/ends", msgspec.json.encode({"card": card}), **how)


class Town(msgspec.Struct, frozen=True, kw_only=True):
    """A programme, two brands, a processor."""

    scheme: Scheme
    grocer: Shop
    cafe: Shop
    processor: Processor
    secret: bytes

    async def person(self, name: str = "ada") -> Person:
        """Enrol a member at the grocer and sign them in."""
        member, browser, account_id = await self.scheme.member_of(
            self.grocer.api, email=f"{name}@example.org", name=name.title()
        )
        return Person(member=member, account_id=account_id, browser=browser)

    async def shop(self, code: str, *, attested_points_per_day: int = 0, contracted: bool = True) -> Shop:
        """Add a brand with a contract, a place that cards know by an acquirer's merchant id, and a key."""
        return await add_shop(self.scheme, code, attested_points_per_day=attested_points_per_day, contracted=contracted)

    async def another_programme(self, **changes: Any) -> "Town":
        """Open another programme of the same operator with its own brands."""
        made = await self.scheme.operator.post("/v1/programmes", programme_body(**changes))
        assert made.status_code == 201, made.text
        return await settle_town(Scheme(self.scheme.callers, self.scheme.operator, made.json()), self.secret)

    async def source(self, name: str) -> Processor:
        """Add a processor."""
        return await add_processor(self.scheme, name)

    async def move_clock(self, at: str) -> None:
        """Move the programme's clock."""
        moved = await self.scheme.operator.post(f"/v1/programmes/{self.scheme.programme}/clock", {"at": at})
        assert moved.status_code == 201, moved.text

    async def work(self) -> None:
        """Do what the worker does with card messages and purchases until nothing is left."""
        runtime: Any = None
        while await take_in(runtime) or await reward_waiting(runtime) or await reopen_short(runtime):
            pass

    def stale_pay_code(self, person: Person, seconds_ago: float) -> str:
        """Return a pay code that was issued a while ago."""
        issued_at = datetime.fromtimestamp(machine_now().timestamp() - seconds_ago, UTC)
        return pay_codes.issue(ids.private("mem", person.member), self.secret, issued_at, uuid.uuid4().bytes[:12]).code


async def found_town(callers: Callers, secret: bytes = b"", **changes: Any) -> Town:
    """Open a programme with a grocer, a café and a processor."""
    return await settle_town(await open_scheme(callers, **changes), secret)


async def settle_town(scheme: Scheme, secret: bytes) -> Town:
    """Add a grocer, a café and a processor to a programme."""
    return Town(
        scheme=scheme,
        grocer=await add_shop(scheme, "grocer"),
        cafe=await add_shop(scheme, "cafe"),
        processor=await add_processor(scheme, "acquirer"),
        secret=secret,
    )


async def add_shop(scheme: Scheme, code: str, *, attested_points_per_day: int = 0, contracted: bool = True) -> Shop:
    """Add a brand with a contract (or without), a place and a key."""
    body = partner_body(scheme.programme, code, attested_points_per_day=attested_points_per_day)
    made = await scheme.operator.post("/v1/partners", body)
    assert made.status_code == 201, made.text
    partner: str = made.json()["partner"]
    if contracted:
        signed = await scheme.operator.post(f"/v1/partners/{partner}/contracts", contract_body())
        assert signed.status_code == 201, signed.text
    place = await scheme.operator.post(
        "/v1/places",
        {
            "partner": partner,
            "name": f"{code.title()} High Street",
            "time_zone": "Europe/Helsinki",
            "identities": [
                {
                    "kind": "acquirer",
                    "network": "visa",
                    "acquirer_id": "400123",
                    "value": merchant_id(code),
                    "valid_from": "2020-01-01T00:00:00Z",
                }
            ],
        },
    )
    assert place.status_code == 201, place.text
    return Shop(partner=partner, code=code, place=place.json()["place"], api=await scheme.api_of(partner))


async def add_processor(scheme: Scheme, name: str) -> Processor:
    """Add a source that signs with a secret."""
    made = await scheme.operator.post("/v1/sources", {"programme": scheme.programme, "name": name})
    assert made.status_code == 201, made.text
    return Processor(
        source=made.json()["source"],
        secret=decode_secret(made.json()["secret"]),
        client=scheme.operator.client,
    )


def merchant_id(code: str) -> str:
    """Return what the acquirer calls a brand's place."""
    return f"MID{code.upper()}"


def card_message(shop: Shop, token: str, kind: str = "clearing", **changes: Any) -> dict[str, Any]:
    """Return a right card message of ten euros at a shop; `...` takes a field away."""
    right = {
        "message_id": uuid.uuid4().hex,
        "type": kind,
        "occurred_at": "2026-03-02T11:01:00+02:00",
        "network": "visa",
        "auth_code": "A1B2C3",
        "amount_minor": 1000,
        "currency": "EUR",
        "card_token": token,
        "merchant": {"mid": merchant_id(shop.code), "acquirer_id": "400123", "descriptor": shop.code.upper()},
    }
    return {name: value for name, value in (right | changes).items() if value is not ...}
