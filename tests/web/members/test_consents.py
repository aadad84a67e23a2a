"""Consents: listed to the member, withdrawn once, and never gone."""

from typing import Any

import asyncpg

from koinon import ids
from tests.kit.scheme import assert_field, assert_refused, open_scheme, unchanged
from tests.web.conftest import Callers

CONSENTS: list[dict[str, Any]] = [
    {"purpose": purpose, "text": f"About {purpose}", "locale": "en"} for purpose in ("news", "profiling", "research")
]


async def test_a_consent_is_withdrawn_once(callers: Callers, database: asyncpg.Pool) -> None:
    """It ends at the programme's time and stays in the list; a second withdrawal is told when the first was."""
    scheme = await open_scheme(callers)
    _, browser, _ = await scheme.member_of(await scheme.api_of(await scheme.partner()), consents=CONSENTS)
    listed = (await browser.get("/v1/me/consents")).json()["items"]
    assert [(item["purpose"], item["partner"], item["withdrawn_at"]) for item in listed] == [
        ("research", "grocer", None),
        ("profiling", "grocer", None),
        ("news", "grocer", None),
    ]
    receipt = listed[1]["receipt"]
    await scheme.operator.post(f"/v1/programmes/{scheme.programme}/clock", {"at": "2026-03-04T10:00:00Z"})

    answer = await browser.post(f"/v1/me/consents/{receipt}/withdrawals", key="k")
    assert answer.status_code == 201
    assert answer.json() == {"receipt": receipt, "withdrawn_at": "2026-03-04T10:00:00Z"}
    async with unchanged(database):
        assert (await browser.post(f"/v1/me/consents/{receipt}/withdrawals", key="k")).json() == answer.json()
        again = await browser.post(f"/v1/me/consents/{receipt}/withdrawals")
    assert_refused(again, 409, "consent-withdrawn", withdrawn_at="2026-03-04T10:00:00+00:00")
    first = (await browser.get("/v1/me/consents", limit=2)).json()
    rest = (await browser.get("/v1/me/consents", limit=2, cursor=first["next"])).json()
    assert [item["withdrawn_at"] for item in first["items"] + rest["items"]] == [None, "2026-03-04T10:00:00Z", None]


async def test_a_partner_reads_consents_a_page_at_a_time(callers: Callers) -> None:
    """Pages have every consent for this partner once, the newest first, and none of another's."""
    scheme = await open_scheme(callers)
    shop, other = [await scheme.api_of(await scheme.partner(code)) for code in ("grocer", "fuel")]
    member, _, _ = await scheme.member_of(shop, consents=CONSENTS)
    await other.post("/v1/members", {"email": "ada@example.org", "consents": CONSENTS})
    stranger, _, _ = await scheme.member_of(shop, email="bob@example.org", consents=CONSENTS)
    foreign = (await shop.get(f"/v1/members/{stranger}", limit=1)).json()["next"]
    path = f"/v1/members/{member}"

    first = (await shop.get(path, limit=2)).json()
    rest = (await shop.get(path, limit=2, cursor=first["next"])).json()

    assert [item["purpose"] for item in first["consents"]] == ["research", "profiling"]
    assert [item["purpose"] for item in rest["consents"]] == ["news"]
    assert {item["partner"] for item in first["consents"] + rest["consents"]} == {"grocer"}
    assert rest["next"] is None
    for cursor in ("x", foreign):
        assert_field(await shop.get(path, cursor=cursor), "/cursor")


async def test_only_ones_own_consent(callers: Callers, database: asyncpg.Pool) -> None:
    """Another member's receipt, one that was never given, or no receipt at all is not found."""
    scheme = await open_scheme(callers)
    shop = await scheme.api_of(await scheme.partner())
    _, browser, _ = await scheme.member_of(shop, consents=CONSENTS)
    member, other, _ = await scheme.member_of(shop, email="bob@example.org")
    foreign = (await browser.get("/v1/me/consents")).json()["items"][0]["receipt"]
    never = ids.public_record("con", ids.private("mem", member), ids.new_record_id())
    async with unchanged(database):
        for receipt in (foreign, never, "con_1", "x"):
            assert_refused(await other.post(f"/v1/me/consents/{receipt}/withdrawals"), 404, "unknown-consent")
