"""A brand's portal: tonight, its statements, how to check them, its offers and its contract, by role."""

import hashlib
from base64 import b64encode

import asyncpg

from koinon.audit.logs import log_key
from koinon_verify.notes import read_key
from tests.kit.terms import S1
from tests.kit.town import Town
from tests.web.offers.bodies import offer_body, published
from tests.web.pages.conftest import staff_of, staff_of_league
from tests.web.pages.reading import Element
from tests.web.settlement.conftest import League


def figures(part: Element) -> list[tuple[str, str]]:
    """Return (label, value) of the figures of a part of a page."""
    return [
        (each.one("dt").text, each.one("dd").all("span")[0].text)
        for each in part.all("div")
        if each.attributes.get("class", "").startswith("figure")
    ]


def rows(part: Element) -> list[list[str]]:
    """Return the cells of the rows of a part's only table, its sums last."""
    (table,) = part.all("table")
    return [[cell.text for cell in row.all("th", "td")] for row in table.all("tr")[1:]]


async def test_the_overview_after_a_night(settled: League) -> None:
    """Tonight is empty, the last statement stands beside it, and the chart shows the night before."""
    portal = await staff_of_league(settled, "brand-c")
    page = await portal.page("/portal")

    tonight = page.named(**{"aria-labelledby": "today-title"})
    assert figures(tonight) == [
        ("Nothing would be paid", "US$0.00"),
        ("Issued", "0"),
        ("Honoured", "0"),
        ("Accepted", "0"),
    ]
    assert rows(tonight) == [["3 Mar 2026", "0", "0"], ["2 Mar 2026", "4,000", "7,000"]]
    bars = [each.attributes["height"] for each in tonight.all("rect")[2:]]
    assert bars == ["57", "100", "0", "0"]
    last = page.named(**{"aria-labelledby": "last-title"})
    assert figures(last) == [("You receive", "US$19.50")]
    assert [each.attributes["href"] for each in last.all("a")] == [
        "/portal/statements/1",
        "/v1/settlement/statements/bundle?window=1",
    ]


async def test_tonight_follows_the_log(league: League) -> None:
    """What the day comes to so far, before its night."""
    await league.coalition.s1_day()
    await league.coalition.finish()
    portal = await staff_of_league(league, "brand-c")
    tonight = (await portal.page("/portal")).named(**{"aria-labelledby": "today-title"})

    assert figures(tonight) == [
        ("You would receive", "US$19.50"),
        ("Issued", "4,000"),
        ("Honoured", "3,000"),
        ("Accepted", "7,000"),
    ]


async def test_a_statement_shows_every_line_to_the_cent(settled: League) -> None:
    """S-1: brand C pays 40.00, receives 59.50; the lines add up to the net under the double rule."""
    portal = await staff_of_league(settled, "brand-c")
    page = await portal.page("/portal/statements/1")

    assert figures(page.named(**{"aria-labelledby": "figures-title"})) == [
        ("You receive", "US$19.50"),
        ("Issued", "4,000"),
        ("Honoured", "3,000"),
        ("Accepted", "7,000"),
        ("Expired", "0"),
    ]
    assert rows(page.named(**{"aria-labelledby": "lines-title"})) == [
        ["Operator\u2019s fee contract version 1", "−US$6.00", "4,000", "0.0015", "0", "US$0.00"],
        ["Funding when honoured contract version 1", "US$0.00", "3,000", "0", "0", "US$0.00"],
        ["Funding at issue contract version 1", "−US$34.00", "4,000", "0.0085", "0", "US$0.00"],
        ["Points that you accepted contract version 1", "US$59.50", "7,000", "0.0085", "0", "US$0.00"],
        ["Net", "US$19.50", ""],
    ]


async def test_a_statement_says_how_to_check_it(settled: League) -> None:
    """The commands name the file that is downloaded and the log's own key, whose fingerprint stands beside it."""
    portal = await staff_of_league(settled, "brand-c")
    page = await portal.page("/portal/statements/1")
    key = log_key(settled.coalition.runtime, settled.coalition.programme_id)
    commands = [each.text for each in page.all("pre")]
    file = "brand-c-1.bundle"

    assert commands == [
        f"koinon verify {file} --key '{key.text}'",
        f"python -m pip install cryptography PYTHONPATH=platform python -m koinon_verify {file} --key '{key.text}'",
        f"koinon verify {file} --key '{key.text}' --receipts brand-c.receipts",
        f"koinon verify {file} --key '{key.text}' --contract brand-c.contracts",
    ]
    assert "night before" not in page.named(id="verify").text
    assert read_key(key.text).public == key.public
    vkey = f"/log/sandbox/{settled.programme}/vkey"
    assert (await portal.get(page.named(href=vkey).attributes["href"])).text == key.text
    bundle = await portal.get(page.named(download="").attributes["href"])
    assert bundle.headers["Content-Disposition"] == 'attachment; filename="brand-c-1.bundle"'
    facts = page.named(id="verify").text.replace(" ", "")
    assert hashlib.sha256(bundle.content).hexdigest() in facts
    assert "SHA256:" + b64encode(hashlib.sha256(key.public).digest()).decode().rstrip("=") in facts


async def test_later_statements_carry_on(settled: League) -> None:
    """The second night can be held to the first; the list has the newest first, and pages."""
    await settled.coalition.night()
    portal = await staff_of_league(settled, "brand-c")
    page = await portal.page("/portal/statements/2")
    listed = await portal.page("/portal/statements")

    assert page.all("pre")[-1].text.endswith("--previous brand-c-1.bundle")
    assert [row[:2] for row in rows(listed)] == [
        ["Window 2 3 Mar 2026", "US$0.00"],
        ["Window 1 2 Mar 2026", "US$19.50"],
    ]
    older = rows(await portal.page("/portal/statements?cursor=2"))
    assert [row[0] for row in older] == ["Window 1 2 Mar 2026"]


async def test_the_first_statement_of_a_later_brand_follows_on_from_none(settled: League) -> None:
    """A brand that joined after the first night has no bundle of it: there is nothing to hold its first one to."""
    await settled.coalition.brand("brand-d", **S1)
    await settled.coalition.night()
    await settled.coalition.night()
    portal = await staff_of_league(settled, "brand-d")

    assert "--previous" not in (await portal.page("/portal/statements/2")).text
    third = await portal.page("/portal/statements/3")
    assert third.all("pre")[-1].text.endswith("--previous brand-d-2.bundle")


async def test_a_brand_sees_its_own_statements_alone(settled: League) -> None:
    """A window without a statement of this brand's is none, and no figure of another brand's stands anywhere."""
    portal = await staff_of_league(settled, "brand-b")
    pages = [await portal.page(path) for path in ("/portal", "/portal/statements", "/portal/statements/1")]

    for number in ("2", "0", "9223372036854775807", "9223372036854775808"):
        assert (await portal.get(f"/portal/statements/{number}")).status_code == 404
    for page in pages:
        assert "Brand-A" not in page.text
        assert "100.00" not in page.text


async def test_marketing_sees_no_money(town: Town) -> None:
    """Offers and their budgets are marketing's; what the brand pays and receives is not."""
    await published(town.grocer, name="Apples", budget_points=1000)
    marketing = await staff_of(town, town.grocer, "marketing")
    page = await marketing.page("/portal")

    assert [each.text for each in page.all("h2")] == ["Your offers"]
    assert [each.text for each in page.named(**{"aria-label": "Main"}).all("a")] == ["Overview", "Offers"]
    assert "€" not in page.text
    assert "EUR" not in page.text


async def test_what_is_left_of_a_budget(town: Town, database: asyncpg.Pool) -> None:
    """A bar and its words: what was given, what is reserved, what is left."""
    offer = await published(town.grocer, name="Apples", budget_points=1000, activation_required=False)
    ada = await town.person()
    await town.grocer.earn(ada, amount_minor=2500)
    portal = await staff_of(town, town.grocer, "owner")
    page = await portal.page("/portal/offers")

    assert offer
    assert rows(page)[0][1:3] == ["750 of 1,000 left", "250"]
    meter = page.named(role="img")
    assert meter.attributes["aria-label"] == "750 of 1,000 points left"
    assert [each.attributes["width"] for each in meter.all("rect")] == ["1000", "750"]
    assert page.all("details")[0].text.startswith("Terms of Apples Get 10 points for every €1.00 at Grocer")


async def test_offers_go_on_over_pages(town: Town) -> None:
    """The second page of a brand's offers starts where the first ended, and leads back, which the first does not."""
    for number in range(26):
        await town.grocer.api.post("/v1/offers", offer_body(name=f"Offer {number}"))
    portal = await staff_of(town, town.grocer, "marketing")
    first = await portal.page("/portal/offers")
    (older,) = first.named(**{"aria-label": "Pages of this list"}).all("a")
    second = await portal.page(older.attributes["href"])

    assert older.text == "Older"
    assert (len(rows(first)), len(rows(second))) == (25, 1)
    (back,) = second.named(**{"aria-label": "Pages of this list"}).all("a")
    assert (back.text, back.attributes["href"]) == ("Back to the newest", "/portal/offers")


async def test_the_contract_in_force_and_the_next_one(town: Town) -> None:
    """The rates as they stand, and what begins when."""
    following = {"price": "0.0120", "fee": "0.002", "issue_share": "1/3", "honour": "0.0085", "currency": "EUR"}
    signed = await town.scheme.operator.post(
        f"/v1/partners/{town.grocer.partner}/contracts", following | {"effective_from": "2026-04-01T00:00:00Z"}
    )
    assert signed.status_code == 201, signed.text
    portal = await staff_of(town, town.grocer, "finance")
    contract = (await portal.page("/portal")).named(**{"aria-labelledby": "contract-title"})

    assert contract.all("p")[0].text == "Version 1, since 2 Mar 2026"
    assert [each.text for each in contract.all("dd")] == ["0.01 EUR", "0.0015 EUR", "100 %", "0.0085 EUR"]
    assert contract.all("p")[-1].text == (
        "Version 2 begins 1 Apr 2026: price 0.012, fee 0.002, share at issue 1/3, honour rate 0.0085 EUR."
    )
    newcomer = await town.shop("newcomer", contracted=False)
    unsigned = await (await staff_of(town, newcomer, "finance")).page("/portal")
    assert "No contract is in force" in unsigned.named(**{"aria-labelledby": "contract-title"}).text
