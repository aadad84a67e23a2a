"""Contracts over HTTP: versions that begin now or later, and never leave an honoured point unpaid for."""

import asyncio
from typing import Any

import asyncpg

from tests.kit.scheme import (
    assert_field,
    assert_refused,
    contract_body,
    open_scheme,
    partner_body,
    programme_body,
    unchanged,
)
from tests.web.conftest import Callers, problem_of


async def test_a_first_contract_begins_now(callers: Callers, database: asyncpg.Pool) -> None:
    """Rates are stored as exact ratios of minor units, and read back as they were written."""
    scheme = await open_scheme(callers)
    partner = (await scheme.operator.post("/v1/partners", partner_body(scheme.programme))).json()["partner"]
    answer = await scheme.operator.post(f"/v1/partners/{partner}/contracts", contract_body(issue_share="1/3"))

    assert answer.status_code == 201
    assert answer.json() == {
        "partner": partner,
        "version": 1,
        "price": "0.01",
        "fee": "0.0015",
        "issue_share": "1/3",
        "honour": "0.0085",
        "currency": "EUR",
        "effective_from": "2026-03-02T09:00:00Z",
    }
    row = await database.fetchrow("SELECT * FROM parties.contract")
    rates = [row[f"{name}_{part}"] for name in ("price", "fee", "issue_share", "honour") for part in ("num", "den")]
    assert rates == [1, 1, 3, 20, 1, 3, 17, 20]


async def test_versions_follow_one_another(callers: Callers) -> None:
    """Each has the next number and begins after the one before; they are listed in order."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    path = f"/v1/partners/{partner}/contracts"
    for day, price in ((3, "0.02"), (4, "0.03")):
        body = contract_body(price=price, effective_from=f"2026-03-{day:02}T02:00:00+02:00")
        assert (await scheme.operator.post(path, body)).status_code == 201

    first = (await scheme.operator.get(path, limit=2)).json()
    rest = (await scheme.operator.get(path, limit=2, cursor=first["next"])).json()
    assert [(item["version"], item["price"], item["effective_from"]) for item in first["items"] + rest["items"]] == [
        (1, "0.01", "2026-03-02T09:00:00Z"),
        (2, "0.02", "2026-03-03T00:00:00Z"),
        (3, "0.03", "2026-03-04T00:00:00Z"),
    ]
    assert rest["next"] is None
    assert problem_of(await scheme.operator.get(path, cursor="x")) == (400, "invalid-input")


async def test_a_first_contract_may_say_now(callers: Callers) -> None:
    """Exactly the programme's time is not in the past."""
    scheme = await open_scheme(callers)
    partner = (await scheme.operator.post("/v1/partners", partner_body(scheme.programme))).json()["partner"]
    body = contract_body(effective_from="2026-03-02T09:00:00Z")

    assert (await scheme.operator.post(f"/v1/partners/{partner}/contracts", body)).status_code == 201


async def test_no_contract_begins_in_the_past(callers: Callers, database: asyncpg.Pool) -> None:
    """Before the programme's time, or not after the last version, nothing is signed."""
    scheme = await open_scheme(callers)
    bare = (await scheme.operator.post("/v1/partners", partner_body(scheme.programme, "bare"))).json()["partner"]
    grocer = await scheme.partner()
    later = contract_body(effective_from="2026-03-05T00:00:00Z")
    assert (await scheme.operator.post(f"/v1/partners/{grocer}/contracts", later)).status_code == 201

    refused = [
        (bare, "2026-03-02T08:59:59Z", None),
        (grocer, "2026-03-01T00:00:00Z", "2026-03-05T00:00:00Z"),
        (grocer, "2026-03-02T09:00:00Z", "2026-03-05T00:00:00Z"),
        (grocer, "2026-03-04T23:59:59Z", "2026-03-05T00:00:00Z"),
        (grocer, "2026-03-05T00:00:00Z", "2026-03-05T00:00:00Z"),
    ]
    async with unchanged(database):
        for partner, effective_from, last in refused:
            body = contract_body(effective_from=effective_from)
            answer = await scheme.operator.post(f"/v1/partners/{partner}/contracts", body)
            assert_refused(
                answer,
                422,
                "contract-in-the-past",
                now="2026-03-02T09:00:00Z",
                effective_from=effective_from,
                last_effective_from=last,
            )
        assert_field(await scheme.operator.post(f"/v1/partners/{grocer}/contracts", contract_body()), "/effective_from")


async def test_a_moved_clock_moves_the_past(callers: Callers, database: asyncpg.Pool) -> None:
    """What was still possible before the clock moved is refused after."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    await scheme.operator.post(f"/v1/programmes/{scheme.programme}/clock", {"at": "2026-03-10T00:00:00Z"})
    async with unchanged(database):
        body = contract_body(effective_from="2026-03-09T00:00:00Z")
        answer = await scheme.operator.post(f"/v1/partners/{partner}/contracts", body)

    assert_refused(answer, 422, "contract-in-the-past", now="2026-03-10T00:00:00Z")


async def test_a_gap_is_named(callers: Callers, database: asyncpg.Pool) -> None:
    """P − F < H is refused for the partner itself, as an acceptor and as an issuer, older versions counted."""
    scheme = await open_scheme(callers)
    fuel = await scheme.partner("fuel", price="0.02", fee="0", honour="0.001")
    newer = contract_body(price="0.0300", fee="0", honour="0.005", effective_from="2026-03-03T00:00:00Z")
    assert (await scheme.operator.post(f"/v1/partners/{fuel}/contracts", newer)).status_code == 201
    cafe = (await scheme.operator.post("/v1/partners", partner_body(scheme.programme, "cafe"))).json()["partner"]

    gaps: list[tuple[dict[str, str], dict[str, Any]]] = [
        (
            {"price": "0.0100", "fee": "0.0015", "honour": "0.0086"},
            {"issuer": "cafe", "acceptor": "cafe", "funding": "17/20", "honour": "43/50", "shortfall": "1/100"},
        ),
        (
            {"price": "0.0300", "fee": "0", "honour": "0.025"},
            {"issuer": "fuel", "issuer_version": 1, "acceptor": "cafe", "funding": "2", "shortfall": "1/2"},
        ),
        (
            {"price": "0.0045", "fee": "0", "honour": "0"},
            {"issuer": "cafe", "acceptor": "fuel", "acceptor_version": 2, "honour": "1/2", "shortfall": "1/20"},
        ),
    ]
    async with unchanged(database):
        for changes, facts in gaps:
            answer = await scheme.operator.post(f"/v1/partners/{cafe}/contracts", contract_body(**changes))
            assert_refused(answer, 422, "coverage-gap", **facts)


async def test_parallel_contracts_leave_no_gap(callers: Callers, database: asyncpg.Pool) -> None:
    """Of two contracts that are covered each by itself and not together, exactly one is signed, whoever comes first."""
    operator = await callers.operator()
    cheap, dear = contract_body(price="0.005", fee="0", honour="0"), contract_body(price="0.02", fee="0", honour="0.01")
    for number in range(8):
        programme = await operator.post("/v1/programmes", programme_body(code=f"league-{number}"))
        paths = []
        for code in ("cheap", "dear"):
            made = await operator.post("/v1/partners", partner_body(programme.json()["programme"], code))
            paths.append(f"/v1/partners/{made.json()['partner']}/contracts")
        answers = await asyncio.gather(operator.post(paths[0], cheap), operator.post(paths[1], dear))

        assert sorted(answer.status_code for answer in answers) == [201, 422]
        refused = max(answers, key=lambda answer: answer.status_code)
        assert_refused(refused, 422, "coverage-gap", issuer="cheap", acceptor="dear", funding="1/2", honour="1")
        assert await database.fetchval("SELECT count(*) FROM parties.contract") == number + 1


async def test_parallel_versions_of_one_partner(callers: Callers, database: asyncpg.Pool) -> None:
    """Versions that come at once are numbered without a gap or a double; one that would begin earlier is refused."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    answers = await asyncio.gather(
        *(
            scheme.operator.post(
                f"/v1/partners/{partner}/contracts", contract_body(effective_from=f"2026-03-{day:02}T00:00:00Z")
            )
            for day in (6, 3, 5, 4)
        )
    )

    signed = sorted(answer.json()["version"] for answer in answers if answer.status_code == 201)
    refused = [problem_of(answer) for answer in answers if answer.status_code != 201]
    assert signed == list(range(2, 2 + len(signed)))
    assert refused == [(422, "contract-in-the-past")] * (4 - len(signed))
    days = await database.fetch("SELECT effective_from FROM parties.contract ORDER BY version")
    assert days == sorted(days)


async def test_a_wrong_field_is_named(callers: Callers, database: asyncpg.Pool) -> None:
    """Out of range, not exact, or in another currency: nothing is signed."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    path = f"/v1/partners/{partner}/contracts"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"price": "0"}, "/price"),
        ({"price": "-0.01"}, "/price"),
        ({"price": 0.01}, "/price"),
        ({"price": "10000.01"}, "/price"),
        ({"fee": "0.0101"}, "/fee"),
        ({"issue_share": "1.1"}, "/issue_share"),
        ({"issue_share": "2/4"}, "/issue_share"),
        ({"honour": "1e-3"}, "/honour"),
        ({"currency": "XXX"}, "/currency"),
        ({"effective_from": "2026-03-03T00:00:00"}, "/effective_from"),
        ({"effective_from": "2026-03-03T00:00:00.5Z"}, "/effective_from"),
        ({"effective_from": "2500-01-01T00:00:00Z"}, "/effective_from"),
    ]
    async with unchanged(database):
        for changes, pointer in wrong:
            body = contract_body(effective_from="2026-03-03T00:00:00Z") | changes
            assert_field(await scheme.operator.post(path, body), pointer)
        other = await scheme.operator.post(path, contract_body(currency="SEK", effective_from="2026-03-03T00:00:00Z"))
        assert_refused(other, 422, "currency-mismatch", currency="SEK", programme_currency="EUR")
        unknown = await scheme.operator.post("/v1/partners/par_0000000000001/contracts", contract_body())
        assert_refused(unknown, 404, "unknown-partner")


async def test_the_operator_signs_none_with_itself(callers: Callers, database: asyncpg.Pool) -> None:
    """The operator's own partner stands on the other side of every contract."""
    scheme = await open_scheme(callers)
    own = (await scheme.operator.get(f"/v1/programmes/{scheme.programme}")).json()["operator"]
    async with unchanged(database):
        answer = await scheme.operator.post(f"/v1/partners/{own}/contracts", contract_body())

    assert_refused(answer, 422, "operator-has-no-contract")
