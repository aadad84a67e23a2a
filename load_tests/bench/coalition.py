"""The coalitions under load over HTTP: brands with a place each, members with a card each, and offers with budgets."""

import msgspec

from load_tests.driver.backlog import Operator
from load_tests.driver.callers import Machine, Processor
from load_tests.driver.connection import Connection
from load_tests.driver.screen import Screen, together

BRANDS = 100
MEMBERS = 500
OTHERS = 9
"""How many more offers a brand has in a crowded coalition, so that they are 1,000 in all."""
VERSIONS = 5
"""How often each of them is published."""
CLOCK = "2026-03-02T12:00:00Z"
IBAN = "FI2112345600000785"
CONTRACT = {"price": "0.01", "fee": "0.001", "issue_share": "1", "honour": "0.0085", "currency": "EUR"}
MINOR_PER_POINT = 100
OFFER = {
    "name": "A point a euro",
    "currency": "EUR",
    "earn": {"type": "per_amount", "points": 1, "amount_minor": MINOR_PER_POINT},
    "starts_at": "2026-01-01T00:00:00",
    "ends_at": "2027-01-01T00:00:00",
    # Far more than any run gives: a budget that is used up would refuse, and refusing is another load.
    "budget_points": 10**12,
    "activation_required": False,
}


class Shop(msgspec.Struct, frozen=True):
    """A brand with the place where it sells, and its system's API."""

    machine: Machine
    partner: str
    place: str


class Coalition(msgspec.Struct, frozen=True, kw_only=True):
    """A programme that stands, with the source of its card messages."""

    code: str
    programme: str
    processor: Processor
    shops: list[Shop]
    members: list[str]


async def open_coalition(
    connection: Connection, operator: Operator, code: str, *, offers: bool, crowded: bool = False
) -> Coalition:
    """Open a programme over the API; with `offers`, every brand publishes one with a budget, and members have cards.

    `crowded`: every brand has further offers beside it, at another place where nobody buys.
    """
    programme = await operator.post(
        "/v1/programmes",
        {
            "code": code,
            "name": code,
            "mode": "sandbox",
            "time_zone": "UTC",
            "settlement_currency": "EUR",
            "face_value_per_point": "0.01",
            "clock_at": CLOCK,
        },
    )
    source = await operator.post("/v1/sources", {"programme": programme["programme"], "name": code})
    processor = Processor(connection, source["source"], source["secret"])
    async with Screen(quiet=True).step("", BRANDS + MEMBERS) as step:
        shops = await together(step, (_shop(operator, programme["programme"], number) for number in range(BRANDS)))
        members = await together(step, (_member(shops, number) for number in range(MEMBERS)))
        if offers:
            await together(step, (shop.machine.post("/v1/offers", OFFER) for shop in shops))
        if crowded:
            await together(step, (_crowd(operator, shop) for shop in shops))
        if offers:
            await together(step, (_link(processor, member, number) for number, member in enumerate(members)))
    return Coalition(code=code, programme=programme["programme"], processor=processor, shops=shops, members=members)


def card(number: int) -> str:
    """Return the token of a member's card."""
    return f"bench-card-{number}"


def descriptor(number: int) -> str:
    """Return what a brand's terminals print on statements."""
    return f"BRAND {number} SHOP"


async def _shop(operator: Operator, programme: str, number: int) -> Shop:
    partner = await operator.post(
        "/v1/partners",
        {
            "programme": programme,
            "code": f"brand-{number}",
            "brand": f"Brand {number}",
            "iban": IBAN,
            "contact_email": f"finance@brand-{number}.example",
        },
    )
    await operator.post(f"/v1/partners/{partner['partner']}/contracts", CONTRACT)
    identity = {"kind": "descriptor", "value": descriptor(number), "valid_from": "2026-01-01T00:00:00Z"}
    place = await operator.post(
        "/v1/places",
        {"partner": partner["partner"], "name": f"Shop {number}", "time_zone": "UTC", "identities": [identity]},
    )
    return Shop(await operator.new_machine(partner["partner"]), partner["partner"], place["place"])


async def _crowd(operator: Operator, shop: Shop) -> None:
    place = await operator.post(
        "/v1/places", {"partner": shop.partner, "name": "Elsewhere", "time_zone": "UTC", "identities": []}
    )
    body = {name: value for name, value in OFFER.items() if name != "budget_points"} | {"places": [place["place"]]}
    for _ in range(OTHERS):
        made = await shop.machine.post("/v1/offers", body)
        for _ in range(VERSIONS - 1):
            await shop.machine.post(f"/v1/offers/{made['offer']}/versions", body)


async def _member(shops: list[Shop], number: int) -> str:
    shop = shops[number % BRANDS]
    made = await shop.machine.post("/v1/members", {"email": f"member-{number}@bench.example", "consents": []})
    return str(made["member"])


async def _link(processor: Processor, member: str, number: int) -> None:
    await processor.post("/v1/cards", {"member": member, "token": card(number), "network": "visa"})
