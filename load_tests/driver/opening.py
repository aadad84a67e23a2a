"""Opens a simulated coalition over the API: programme, brands, places, processors, offers, members, cards."""

from collections.abc import Iterator
from typing import Any

import msgspec

from load_tests.driver.backlog import Operator
from load_tests.driver.callers import Browser, Machine, Processor
from load_tests.driver.connection import Connection
from load_tests.driver.mail import Post
from load_tests.driver.screen import Screen, together
from load_tests.simulator.model import Coalition, Member, Offer, Partner, Place, Source

ATTESTED_POINTS_PER_DAY = 1_000_000
"""What each brand's staff may attest a day: above everything that a simulated day asks for."""

CONSENT = (
    "I agree that {brand} sees what I buy from it with the cards that I link, to give me points, until I say otherwise."
)


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A coalition that stands: what the simulator calls by key, as the API calls it by id; and everybody's API."""

    programme: str
    code: str
    partners: dict[str, str] = {}
    machines: dict[str, Machine] = {}
    places: dict[str, str] = {}
    processors: dict[str, Processor] = {}
    offers: dict[str, str] = {}
    members: dict[str, str] = {}
    browsers: dict[str, Browser] = {}


class Opening:
    """Opens one coalition, step by step."""

    def __init__(
        self, connection: Connection, operator: Operator, mailroom: Post, coalition: Coalition, screen: Screen
    ) -> None:
        """Take who opens what."""
        self.connection = connection
        self.operator = operator
        self.mailroom = mailroom
        self.coalition = coalition
        self.screen = screen

    async def open(self, code: str) -> Opened:
        """Open the coalition as a sandbox programme under a code, and return it; raises Refusal."""
        coalition = self.coalition
        programme = await self.operator.post(
            "/v1/programmes",
            {
                "code": code,
                "name": coalition.name,
                "mode": "sandbox",
                "time_zone": coalition.zone,
                "settlement_currency": coalition.currency,
                "face_value_per_point": coalition.face_value,
                "expiry_months": coalition.expiry_months,
                "clock_at": coalition.setup_at,
            },
            key=f"{code}:programme",
        )
        opened = Opened(programme=programme["programme"], code=code)
        places = sum(len(partner.places) for partner in coalition.partners)
        total = len(coalition.partners) + places + len(coalition.sources)
        async with self.screen.step("brands, places, processors", total) as step:
            # One after another: a contract is checked against all that stand, in the order of the table.
            for partner in coalition.partners:
                await self._partner(opened, partner)
                step.advance()
            await together(step, (self._place(opened, place) for place in self._places()))
            await together(step, (self._source(opened, source) for source in coalition.sources))
        offers = [offer for partner in coalition.partners for offer in partner.offers]
        async with self.screen.step("offers", len(offers)) as step:
            await together(step, (self._offer(opened, offer) for offer in offers))
        await self.operator.move_clock(opened.programme, coalition.enrolment_at)
        await self._enrol(opened)
        return opened

    async def _enrol(self, opened: Opened) -> None:
        members = self.coalition.members
        async with self.screen.step("members", len(members)) as step:
            await together(step, (self._member(opened, member) for member in members))
        cards = [card for member in members for card in member.cards]
        async with self.screen.step("cards", len(cards)) as step:
            await together(
                step,
                (
                    opened.processors[card.source].post(
                        "/v1/cards",
                        {
                            "member": opened.members[card.member],
                            "token": card.token,
                            "par": card.par,
                            "last4": card.last4,
                            "network": card.network,
                        },
                        key=f"card:{card.token}",
                    )
                    for card in cards
                ),
            )
        async with self.screen.step("sign-ins and activations", len(members)) as step:
            await together(step, (self._activate(opened, member) for member in members))

    def _places(self) -> Iterator[Place]:
        return (place for partner in self.coalition.partners for place in partner.places)

    async def _partner(self, opened: Opened, partner: Partner) -> None:
        made = await self.operator.post(
            "/v1/partners",
            {
                "programme": opened.programme,
                "code": partner.code,
                "brand": partner.name,
                "iban": partner.iban,
                "contact_email": partner.email,
                "attested_points_per_day": ATTESTED_POINTS_PER_DAY,
            },
            key=f"{opened.code}:partner:{partner.code}",
        )
        opened.partners[partner.code] = made["partner"]
        await self.operator.post(
            f"/v1/partners/{made['partner']}/contracts",
            msgspec.structs.asdict(partner.contract),
            key=f"{opened.code}:contract:{partner.code}",
        )
        opened.machines[partner.code] = await self.operator.new_machine(made["partner"])

    async def _place(self, opened: Opened, place: Place) -> None:
        made = await self.operator.post(
            "/v1/places",
            {
                "partner": opened.partners[place.partner],
                "name": place.name,
                "time_zone": place.zone,
                "identities": place.network_ids,
            },
            key=f"{opened.code}:place:{place.key}",
        )
        opened.places[place.key] = made["place"]

    async def _source(self, opened: Opened, source: Source) -> None:
        made = await self.operator.post(
            "/v1/sources",
            {"programme": opened.programme, "name": source.name},
            key=f"{opened.code}:source:{source.code}",
        )
        opened.processors[source.code] = Processor(self.connection, made["source"], made["secret"])

    async def _offer(self, opened: Opened, offer: Offer) -> None:
        made = await opened.machines[offer.partner].post(
            "/v1/offers", offer_body(offer, self.coalition.currency), key=f"offer:{offer.key}"
        )
        opened.offers[offer.key] = made["offer"]

    async def _member(self, opened: Opened, member: Member) -> None:
        brands = {partner.code: partner.name for partner in self.coalition.partners}
        made = await opened.machines[member.enrolled_by].post(
            "/v1/members",
            {
                "email": member.email,
                "name": member.name,
                "locale": member.language,
                "consents": [
                    {
                        "purpose": "card-linking",
                        "text": CONSENT.format(brand=brands[member.enrolled_by]),
                        "locale": "en",
                        "channel": "till",
                    }
                ],
            },
            key=f"member:{member.key}",
        )
        opened.members[member.key] = made["member"]

    async def _activate(self, opened: Opened, member: Member) -> None:
        browser = await Browser.sign_in(self.connection, self.mailroom, member.email, programme=opened.code)
        opened.browsers[member.key] = browser
        for offer in member.activations:
            await browser.post("/v1/me/activations", {"offer": opened.offers[offer]}, key=f"activation:{offer}")


def offer_body(offer: Offer, currency: str) -> dict[str, Any]:
    """Return a simulated offer as the API takes it."""
    earn = (
        {"type": "per_amount", "points": offer.points, "amount_minor": offer.per_minor}
        if offer.per_minor
        else {"type": "fixed", "points": offer.points}
    )
    return {
        "name": offer.name,
        "currency": currency,
        "earn": earn,
        "starts_at": offer.starts_at,
        "ends_at": offer.ends_at,
        "minimum_minor": offer.minimum_minor,
        "cap_points_per_payment": offer.cap_points,
        "budget_points": offer.budget_points,
        "activation_required": True,
    }
