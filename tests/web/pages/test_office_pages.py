"""The office: programmes, partners, windows and runs, and a second person's approval."""

import asyncpg

from tests.kit.scheme import unchanged
from tests.kit.town import Town
from tests.web.pages.conftest import Browser, operator_browser
from tests.web.pages.reading import Element, read
from tests.web.pages.test_portal_pages import rows
from tests.web.settlement.conftest import League


async def office_of(league: League, person: str) -> Browser:
    """Sign an operator in who has a key too."""
    return await operator_browser(league.callers, f"{person}@koinon.example")


def approval(page: Element) -> Element:
    """Return the part of a run's page that is about its approval."""
    return page.named(**{"aria-labelledby": "approval-title"})


async def test_a_run_shows_every_partys_net(settled: League) -> None:
    """S-1 to the cent: brands, houses, sums that are equal, and the pool's check."""
    office = await office_of(settled, "otto")
    page = await office.page(f"/office/runs/{await settled.run()}")

    assert rows(page.named(**{"aria-labelledby": "nets-title"})) == [
        ["Brand-A", "−US$100.00", "US$100.00", "US$0.00", "10,000", "10,000", "0"],
        ["Brand-B", "US$51.00", "US$0.00", "US$51.00", "0", "0", "6,000"],
        ["Brand-C", "US$19.50", "US$40.00", "US$59.50", "4,000", "3,000", "7,000"],
        ["Breakage", "US$0.00", "US$0.00", "US$0.00", "", "", ""],
        ["Margin", "US$0.00", "US$0.00", "US$0.00", "", "", ""],
        ["Operator", "US$21.00", "US$0.00", "US$21.00", "", "", ""],
        ["Pool", "US$8.50", "US$110.50", "US$119.00", "", "", ""],
        ["All parties", "US$0.00", "US$250.50", "US$250.50", ""],
    ]
    pool = page.named(**{"aria-labelledby": "pool-title"})
    assert [each.text for each in pool.all("span")[:2]] == ["Holds", "US$8.50"]
    assert pool.all("p")[-1].text.startswith("The pool holds 8.50 USD, and 1,000 outstanding points")


async def test_a_second_person_approves(settled: League) -> None:
    """The night made the run, Otto approves it with the page's form, and the page says who and that it is done."""
    office, run = await office_of(settled, "otto"), await settled.run()
    home = await office.page("/office")
    waiting = home.named(**{"aria-labelledby": "waiting-title"})
    assert [each.attributes["href"] for each in waiting.all("a")] == [f"/office/runs/{run}"]
    form = (await office.page(f"/office/runs/{run}")).named(action=f"/office/runs/{run}/approvals")
    sent = await office.send(form)

    assert (sent.status_code, sent.headers["Location"]) == (303, f"/office/runs/{run}?done=approved")
    page = await office.page(sent.headers["Location"])
    assert page.named(role="status").text == "You approved this run."
    assert "Approved by otto" in " ".join(each.text for each in approval(page).all("dt", "dd"))
    assert [each for each in page.all("form") if "approvals" in each.attributes["action"]] == []
    again = await office.send(form)
    assert (again.status_code, again.headers["Location"]) == (303, f"/office/runs/{run}")
    assert "waiting-title" not in (await office.get("/office")).text


async def test_the_maker_is_told_why_not(league: League, database: asyncpg.Pool) -> None:
    """Whoever closed the window finds no button; a form sent all the same is refused and changes nothing."""
    await league.coalition.s1_day()
    maker, checker = await office_of(league, "anna"), await office_of(league, "otto")
    closing = (await maker.page("/office")).named(action="/office/windows/closings")
    closed = await maker.send(closing)
    assert (closed.status_code, closed.headers["Location"]) == (303, "/office?programme=league&done=closed")
    assert "another person approves it" in (await maker.page(closed.headers["Location"])).one("main").text
    await league.work()
    run = await league.run()
    page = await maker.page(f"/office/runs/{run}")

    assert approval(page).all("dd")[0].text.startswith("anna, ")
    assert "you cannot approve it: another person has to" in approval(page).text
    fields = {"_csrf": closing.fields()["_csrf"]}
    async with unchanged(database):
        refused = await maker.post(f"/office/runs/{run}/approvals", fields)
    assert refused.status_code == 403
    assert read(refused.text).named(role="alert").text == ("You asked for this run; another person has to approve it.")
    assert approval(await checker.page(f"/office/runs/{run}")).all("button") != []


async def test_a_window_is_closed_once_a_day(league: League, database: asyncpg.Pool) -> None:
    """Tomorrow's window cannot be closed today."""
    office = await office_of(league, "anna")
    form = (await office.page("/office")).named(action="/office/windows/closings")
    await office.send(form)
    async with unchanged(database):
        refused = await office.send(form)

    assert refused.status_code == 409
    assert read(refused.text).one("h1").text.startswith("Today's window was closed before")
    wrong = await office.post("/office/windows/closings", form.fields() | {"programme": "pro_x"})
    assert wrong.status_code == 400
    nothing = await office.post("/office/windows/closings", form.fields() | {"programme": "pro_0000000000001"})
    assert nothing.status_code == 404


async def test_windows_and_what_became_of_them(settled: League) -> None:
    """Each window with its day, its state and its run; the list pages by number."""
    office, run = await office_of(settled, "otto"), await settled.run()
    page = await office.page("/office/windows")

    assert rows(page) == [
        ["2 3 Mar 2026", "Open", "tonight"],
        ["1 2 Mar 2026", "Sealed", "Waits for approval"],
    ]
    assert page.all("table")[0].one("a").attributes["href"] == f"/office/runs/{run}"
    assert [row[0] for row in rows(await office.page("/office/windows?cursor=2"))] == ["1 2 Mar 2026"]
    for cursor in ("x", "-1", "\uff11", "9" * 19):
        assert (await office.get(f"/office/windows?cursor={cursor}")).status_code == 400


async def test_why_a_run_was_stopped(settled: League, database: asyncpg.Pool) -> None:
    """An alert stands where the run would."""
    office = await office_of(settled, "otto")
    await add_alert(settled, database)
    shown = rows(await office.page("/office/windows"))

    assert shown[0][2] == "Stopped The pool is one cent short. Tried 7 times; again 2 Mar 2026, 10:00."


async def add_alert(league: League, database: asyncpg.Pool) -> None:
    """Record that the open window's run could not be made."""
    await database.execute(
        "INSERT INTO settlement.alert (alert_id, programme_id, window_no, code, explanation, tries, raised_at, "
        "tried_at, retry_at) SELECT 1, programme_id, window_no, 'pool-does-not-hold', 'The pool is one cent short.', "
        "7, now(), now(), '2026-03-02 10:00Z' "
        "FROM ledger.settlement_window WHERE state = 'OPEN' AND programme_id = $1",
        league.coalition.programme_id,
    )


async def test_partners_with_their_contracts_in_short(town: Town) -> None:
    """The contract in force by the programme's own clock, and a brand that has none yet."""
    await town.shop("newcomer", contracted=False)
    office = await operator_browser(town.scheme.callers)
    page = await office.page("/office/partners")

    assert rows(page) == [
        ["Cafe cafe, contract 1", "0.01 EUR", "0.0015 EUR", "100 %", "0.0085 EUR"],
        ["Grocer grocer, contract 1", "0.01 EUR", "0.0015 EUR", "100 %", "0.0085 EUR"],
        ["Newcomer newcomer", "no contract in force"],
    ]
    assert (await office.get("/office/partners?cursor=x")).status_code == 400


async def test_the_office_looks_at_one_programme(town: Town) -> None:
    """The switch names them all; figures are of the one that is looked at."""
    await town.another_programme(code="second", name="Second", time_zone="Asia/Tokyo", face_value_per_point="0.01")
    office = await operator_browser(town.scheme.callers)
    first, second = await office.page("/office"), await office.page("/office?programme=second")

    for page, name in ((first, "The League"), (second, "Second")):
        switch = page.named(**{"aria-label": "Programmes"})
        assert [each.text for each in switch.all("a") if "aria-current" in each.attributes] == [name]
        assert page.named(id="programme-title").text == name
    assert "2 Mar 2026, 18:00" in second.named(**{"aria-labelledby": "programme-title"}).text
