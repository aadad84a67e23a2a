"""An installation under load over HTTP: earnings at 32 connections, and a feed in batches of 500."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from load_tests.bench.loader import Call, post_load
from load_tests.driver.backlog import Operator
from load_tests.driver.callers import Machine, Processor
from load_tests.driver.connection import Connection
from load_tests.driver.installation import new_operator
from load_tests.driver.screen import Screen, together

PARTNERS = 100
MEMBERS = 500
BATCH = 500
DUPLICATES = BATCH * 2 // 100
CLOCK = "2026-03-02T12:00:00+00:00"
IBAN = "FI2112345600000785"
CONTRACT = {"price": "0.01", "fee": "0.001", "issue_share": "1", "honour": "0.0085", "currency": "EUR"}


class Shop(msgspec.Struct, frozen=True):
    """A brand with one place, and its system's API."""

    machine: Machine
    place: str


class Web:
    """A programme of 100 brands and 500 members with cards, for load over HTTP."""

    def __init__(self, address: str, folder: Path) -> None:
        """Take an installation that runs, and its folder."""
        self.address = address
        self.folder = folder
        self.programme = ""
        self.shops: list[Shop] = []
        self.members: list[str] = []
        self.sent = 0

    async def prepare(self) -> None:
        """Open the programme over the API."""
        screen = Screen(quiet=True)
        async with Connection(self.address) as connection:
            operator = await self._operator(connection)
            made = await operator.post(
                "/v1/programmes",
                {
                    "code": "bench",
                    "name": "Benchmark",
                    "mode": "sandbox",
                    "time_zone": "UTC",
                    "settlement_currency": "EUR",
                    "face_value_per_point": "0.01",
                    "clock_at": CLOCK,
                },
            )
            self.programme = made["programme"]
            source = await operator.post("/v1/sources", {"programme": self.programme, "name": "Bench"})
            self.source, self.secret = source["source"], source["secret"]
            async with screen.step("", PARTNERS + MEMBERS) as step:
                self.shops = await together(step, (self._shop(operator, number) for number in range(PARTNERS)))
                self.members = await together(step, (self._member(connection, number) for number in range(MEMBERS)))

    async def _operator(self, connection: Connection) -> Operator:
        path = self.folder / "operator.json"
        if self.programme:
            return Operator(Machine.from_file(connection, path))
        return Operator(await new_operator(connection, path, email="bench@koinon.example", name="Benchmark"))

    async def _shop(self, operator: Operator, number: int) -> Shop:
        partner = await operator.post(
            "/v1/partners",
            {
                "programme": self.programme,
                "code": f"brand-{number}",
                "brand": f"Brand {number}",
                "iban": IBAN,
                "contact_email": f"finance@brand-{number}.example",
            },
        )
        await operator.post(f"/v1/partners/{partner['partner']}/contracts", CONTRACT)
        identity = {"kind": "descriptor", "value": f"BRAND {number} SHOP", "valid_from": "2026-01-01T00:00:00Z"}
        place = await operator.post(
            "/v1/places",
            {"partner": partner["partner"], "name": f"Shop {number}", "time_zone": "UTC", "identities": [identity]},
        )
        return Shop(await operator.new_machine(partner["partner"]), place["place"])

    async def _member(self, connection: Connection, number: int) -> str:
        shop = self.shops[number % PARTNERS]
        made = await shop.machine.post("/v1/members", {"email": f"member-{number}@bench.example", "consents": []})
        card = {"member": made["member"], "token": f"bench-card-{number}", "network": "visa"}
        await Processor(connection, self.source, self.secret).post("/v1/cards", card)
        return str(made["member"])

    async def calls(self, shops: Sequence[Shop]) -> list[Call]:
        """Return earnings of all members at some shops, one shop after another."""
        headers = {id(shop): (await shop.machine.headers())["Authorization"] for shop in shops}
        calls = []
        for number, member in enumerate(self.members):
            shop = shops[number % len(shops)]
            body = {
                "member": member,
                "place": shop.place,
                "amount_minor": 1_000,
                "currency": "EUR",
                "occurred_at": CLOCK,
                "points": 10,
            }
            calls.append(Call(headers[id(shop)], msgspec.json.encode(body).decode()))
        return calls

    def earnings(self, brands: int, seconds: int) -> float:
        """Return earnings a second at 32 connections, all members at the first `brands` brands."""

        async def prepared() -> list[Call]:
            async with Connection(self.address, at_once=4) as connection:
                shops = self.shops[:brands]
                for shop in shops:
                    shop.machine.connection = connection
                return await self.calls(shops)

        rate = post_load(self.address, "/v1/earnings", asyncio.run(prepared()), seconds)
        asyncio.run(self._worked_off())
        return rate

    def feed(self, seconds: int) -> tuple[float, float]:
        """Return messages a second of one source to their 202, and until all of them were rewarded and logged."""
        return asyncio.run(self._feed(seconds))

    async def _feed(self, seconds: int) -> tuple[float, float]:
        async with Connection(self.address) as connection:
            processor = Processor(connection, self.source, self.secret)
            begun = time.monotonic()
            posted = 0
            before: list[msgspec.Raw] = []
            while time.monotonic() < begun + seconds:
                batch = before[:DUPLICATES] + self._messages(BATCH - len(before[:DUPLICATES]))
                verdicts = await processor.feed(batch)
                expected = {"accepted": BATCH - len(before[:DUPLICATES]), "duplicate": len(before[:DUPLICATES])}
                assert {name: verdicts[name] for name in expected} == expected, verdicts  # noqa: S101  # a benchmark of refusals would be none
                before = batch[DUPLICATES:]
                posted += BATCH
            taken_in = time.monotonic() - begun
        await self._worked_off()
        return posted / taken_in, posted / (time.monotonic() - begun)

    def _messages(self, count: int) -> list[msgspec.Raw]:
        moment = datetime.fromisoformat(CLOCK).astimezone(UTC).isoformat().replace("+00:00", "Z")
        first = self.sent
        self.sent += count
        return [msgspec.Raw(msgspec.json.encode(_message(number, moment))) for number in range(first, first + count)]

    async def _worked_off(self) -> None:
        async with Connection(self.address, at_once=2) as connection:
            operator = await self._operator(connection)
            await operator.worked_off(self.programme)


def _message(number: int, moment: str) -> dict[str, Any]:
    return {
        "message_id": f"bench-{number:09}",
        "type": "clearing",
        "occurred_at": moment,
        "network": "visa",
        "payment_ref": f"bench-p{number:09}",
        "amount_minor": 1_000 + number % 5_000,
        "currency": "EUR",
        "mcc": "5411",
        "merchant": {"descriptor": f"BRAND {number % PARTNERS} SHOP", "country": "FI"},
        "card_token": f"bench-card-{number % MEMBERS}",
        "channel": "in_store",
        "card_present": True,
    }
