"""Right requests of every kind of write with a body, for tests that change one thing about them."""

from typing import Any, NamedTuple

import httpx
import msgspec

from tests.kit.scheme import contract_body, partner_body, programme_body
from tests.kit.town import PAR, Person, Processor, Shop, Town
from tests.web.conftest import Api, newest_code
from tests.web.offers.bodies import offer_body, published


class Asked(NamedTuple):
    """Who asks, where, for what."""

    caller: Api | Processor | httpx.AsyncClient
    path: str
    body: dict[str, Any]

    async def send(self, body: Any) -> httpx.Response:
        """Ask for it with a body, right or wrong; every write with a new key."""
        if isinstance(self.caller, Processor):
            return await self.caller.send(self.path, msgspec.json.encode(body))
        if isinstance(self.caller, httpx.AsyncClient):
            return await self.caller.post(self.path, json=body)
        return await self.caller.post(self.path, body)


def full_offer(shop: Shop) -> dict[str, Any]:
    """Return a right offer with every rule that there is."""
    return offer_body(
        places=[shop.place],
        minimum_minor=5,
        cap_points_per_payment=100,
        budget_points=1000,
        weekdays=[1],
        hours=[{"since": "09:00:00", "until": "10:00:00"}],
        channels=["in_store"],
        mcc_included=["5411"],
        mcc_excluded=["5412"],
        stack_group="g",
    )


async def of_a_till(town: Town, ada: Person, turn: str) -> list[Asked]:
    """Return what a brand's till and marketing write; `turn` makes what may be there only once."""
    source = town.processor.source
    kiosk = await town.shop(f"kiosk{turn}", attested_points_per_day=1_000_000)
    await town.processor.linked(ada, f"tok-{turn}")
    offer = await published(town.grocer, activation_required=True)
    consent = {"purpose": "news", "text": "Send me news.", "locale": "en", "channel": "till"}
    enrolment = {
        "email": f"x{turn}@example.org", "phone": "+358401234567", "name": "X", "locale": "en", "consents": [consent],
    }  # fmt: skip
    tender = {"source": source, "token": f"tok-{turn}", "auth_code": "A1"}
    till = town.grocer.api
    by_card = {"card": {"source": source, "token": f"tok-{turn}"}}
    return [
        Asked(till, "/v1/earnings", town.grocer.earning(ada, points=5, receipt="R", tender=tender)),
        Asked(
            till, "/v1/redemptions",
            {"points": 1, "member": ada.member, "proof": by_card, "place": town.grocer.place, "receipt": "R"},
        ),
        Asked(
            till, "/v1/redemptions",
            {"amount_minor": 1, "currency": "EUR", "proof": {"pay_code": await ada.pay_code()}},
        ),
        Asked(
            kiosk.api, "/v1/redemptions", {"points": 1, "member": ada.member, "proof": {"staff": {"name": "A"}}}
        ),
        Asked(till, "/v1/reversals", {"earning": await town.grocer.earned(ada, 5), "reason": "mistake"}),
        Asked(till, "/v1/reversals", {"redemption": await town.grocer.captured(ada, 1)}),
        Asked(till, "/v1/members", enrolment),
        Asked(till, "/v1/offers", full_offer(town.grocer)),
        Asked(till, f"/v1/offers/{offer}/versions", full_offer(town.grocer)),
        Asked(ada.browser, "/v1/me/activations", {"offer": offer}),
    ]  # fmt: skip


async def identity_ends(town: Town, shop: Shop) -> str:
    """Return the path under which a network's name of a place ends."""
    place = (await town.scheme.operator.get(f"/v1/places/{shop.place}")).json()
    return f"/v1/places/{shop.place}/identities/{place['identities'][0]['identity']}/ends"


async def of_an_operator(town: Town, turn: str) -> list[Asked]:
    """Return what the operator writes; `turn` makes what may be there only once."""
    operator, programme = town.scheme.operator, town.scheme.programme
    shop = await town.shop(f"shop{turn}")
    partner = f"/v1/partners/{shop.partner}"
    identity = {"kind": "descriptor", "value": f"SHOP {turn}", "city": "Espoo", "valid_from": "2026-01-01T00:00:00Z"}
    place = {"partner": shop.partner, "name": "Two", "time_zone": "UTC", "identities": [identity]}
    key = {"name": "till", "public_jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}, "scopes": ["earnings:write"]}
    source = (await town.source(f"three{turn}")).source
    elsewhere = await town.another_programme(code=f"elsewhere{turn}")
    eve = await elsewhere.person("eve")
    await elsewhere.grocer.earned(eve, 5)
    return [
        Asked(operator, "/v1/programmes", programme_body(code=f"other{turn}")),
        Asked(operator, f"/v1/programmes/{programme}/clock", {"at": "2026-03-02T09:00:01Z"}),
        Asked(operator, "/v1/partners", partner_body(programme, f"other{turn}", attested_points_per_day=5)),
        Asked(operator, f"{partner}/contracts", contract_body(effective_from="2026-04-01T00:00:00Z")),
        Asked(operator, f"{partner}/keys", key),
        Asked(operator, f"{partner}/staff", {"email": f"a{turn}@shop.example", "name": "A", "role": "owner"}),
        Asked(operator, "/v1/places", place),
        Asked(operator, f"/v1/places/{shop.place}/identities", identity | {"value": f"STORE {turn}"}),
        Asked(operator, await identity_ends(town, shop), {"at": "2026-06-01T00:00:00Z"}),
        Asked(operator, "/v1/sources", {"programme": programme, "name": f"two{turn}"}),
        Asked(operator, f"/v1/sources/{source}/secrets", {"keep_previous": True}),
        Asked(operator, "/v1/settlement/runs", {"programme": elsewhere.scheme.programme}),
    ]


async def of_others(town: Town, turn: str) -> list[Asked]:
    """Return what a processor writes, and who is not signed in yet; `turn` makes what may be there only once."""
    bob = await town.person(f"bob{turn}")
    client = town.processor.client
    email, programme = f"bob{turn}@example.org", town.scheme.programme
    sent = await client.post("/v1/sign-in/codes", json={"email": email, "programme": programme, "role": "member"})
    assert sent.status_code == 202, sent.text
    code = await newest_code(town.secret)
    par = PAR[: -len(turn)] + turn
    return [
        Asked(client, "/v1/sign-in/sessions", {"email": email, "programme": "league", "code": code}),
        Asked(client, "/v1/sign-in/codes", {"email": email, "programme": programme, "role": "member"}),
        Asked(
            town.processor, "/v1/cards",
            {"member": bob.member, "token": f"tok-bob{turn}", "par": par, "last4": "1234", "network": "visa"},
        ),
    ]  # fmt: skip


async def right_requests(town: Town, ada: Person, turn: str) -> list[Asked]:
    """Return right requests of every kind of write with a body, each of which is taken once."""
    return [*await of_a_till(town, ada, turn), *await of_an_operator(town, turn), *await of_others(town, turn)]
