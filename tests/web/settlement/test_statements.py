"""Statements, bundles and tonight's net over HTTP: each brand its own, and nobody another's."""

import re
from pathlib import Path

import asyncpg
import msgspec

import koinon_verify
from koinon.ids import new_id, public
from tests.kit.scheme import assert_field, assert_refused
from tests.kit.settlement import statement_bytes
from tests.web.conftest import Callers
from tests.web.settlement.conftest import BRANDS, League

STATEMENT = "/v1/settlement/statements"
BUNDLE = "/v1/settlement/statements/bundle"
EXPECTED = "/v1/settlement/expected"


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path


async def test_each_brand_reads_its_own_statement(settled: League) -> None:
    """The answer is the statement's canonical bytes, with its hash as the tag; known bytes are not sent again."""
    recorded = await statement_bytes()
    for code, shop in settled.shops.items():
        answer = await shop.get(STATEMENT, window=1)
        assert answer.status_code == 200
        assert answer.content == recorded[code]
        assert answer.json()["partner"] == code
        assert answer.headers["Cache-Control"] == "private, no-cache"
        shown = await settled.anna.get(f"/v1/settlement/runs/{await settled.run()}")
        (party,) = [each for each in shown.json()["parties"] if each["party"] == code]
        assert answer.headers["ETag"] == f'"{party["statement_sha256"]}"'
        known = await settled.callers.client.get(
            STATEMENT, headers=shop.headers | {"If-None-Match": f'"x", W/{answer.headers["ETag"]}'}
        )
        assert (known.status_code, known.content) == (304, b"")


async def test_without_a_window_the_last_published_is_read(settled: League) -> None:
    """A window that is closed and not yet published does not count, and cannot be asked for."""
    shop = settled.shops["brand-a"]
    await settled.coalition.earn("brand-a", 100)
    await settled.coalition.close()
    await settled.coalition.seal()

    assert (await shop.get(STATEMENT)).json()["window"] == "1"
    assert_refused(await shop.get(STATEMENT, window=2), 404, "unknown-statement")
    await settled.coalition.finish()
    assert (await shop.get(STATEMENT)).json()["window"] == "2"
    assert (await shop.get(STATEMENT, window=1)).json()["window"] == "1"
    assert_refused(await shop.get(STATEMENT, window=3), 404, "unknown-statement")


async def test_every_brands_bundle_verifies(settled: League, tmp_path: Path) -> None:
    """What a brand downloads is a file with its name and window that verifies with its receipts."""
    for code, shop in settled.shops.items():
        answer = await shop.get(BUNDLE)
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{code}-1.bundle"'
        assert answer.headers["Content-Type"] == "application/jsonl"
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        bundle = written(tmp_path / f"{code}.bundle", answer.content)
        receipts = settled.coalition.write_receipts(code, tmp_path / f"{code}.receipts")
        (vkey,) = re.findall(r'^<(\S+)>; rel="https://c2sp.org/signed-note"$', answer.headers["Link"])
        assert vkey == f"/log/sandbox/{settled.programme}/vkey"
        assert (await shop.get(STATEMENT)).headers["Link"] == answer.headers["Link"]
        key = (await settled.callers.client.get(vkey)).text
        report = koinon_verify.verify_bundle(bundle, receipts, key=key)
        assert report.problems == []
        live = (await settled.callers.client.get("/log/vkey")).text
        assert koinon_verify.verify_bundle(bundle, receipts, key=live).problems != []
        assert report.bundle.identity is not None
        assert report.bundle.identity.partner == code
        again = await settled.callers.client.get(
            BUNDLE, headers=shop.headers | {"If-None-Match": answer.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")


async def test_a_large_bundle_comes_in_pieces(league: League, tmp_path: Path, database: asyncpg.Pool) -> None:
    """A bundle of several megabytes is archived in pieces and downloaded whole."""
    await league.coalition.earn_often("brand-a", 1, times=1_200)
    await league.coalition.night()

    assert await database.fetchval("SELECT max(part_no) FROM settlement.bundle_part") > 1
    answer = await league.shops["brand-a"].get(BUNDLE)
    report = koinon_verify.verify_bundle(written(tmp_path / "bundle", answer.content))
    assert report.problems == []
    assert len(report.bundle.entries) == 1_200


async def test_nobody_reads_anothers(settled: League, callers: Callers) -> None:
    """A brand that names another, or one that does not exist, learns nothing: neither is there for it."""
    nowhere = public("par", new_id())
    for code, shop in settled.shops.items():
        for path in (STATEMENT, BUNDLE, EXPECTED):
            for named in (*(settled.partner(other) for other in BRANDS if other != code), nowhere, "brand-b"):
                assert_refused(await shop.get(path, partner=named), 404, "unknown-partner")
            own = await shop.get(path, partner=settled.partner(code))
            assert own.status_code == 200
            assert own.content == (await shop.get(path)).content
    elsewhere = await callers.staff(
        "finn@brand-b.example", role="finance", partner_id=settled.coalition.partners["brand-b"],
        programme_id=settled.coalition.programme_id,
    )  # fmt: skip
    assert (await elsewhere.get(STATEMENT)).json()["partner"] == "brand-b"
    assert_refused(await elsewhere.get(STATEMENT, partner=settled.partner("brand-a")), 404, "unknown-partner")


async def test_the_operator_names_the_brand(settled: League) -> None:
    """The operator reads any brand's, and has none of its own."""
    for path in (STATEMENT, BUNDLE, EXPECTED):
        answer = await settled.anna.get(path, partner=settled.partner("brand-b"))
        assert answer.content == (await settled.shops["brand-b"].get(path)).content
        assert_field(await settled.anna.get(path), "/partner")
        assert_field(await settled.anna.get(path, partner="brand-b"), "/partner")
    assert_refused(await settled.anna.get(STATEMENT, partner=public("par", new_id())), 404, "unknown-statement")
    assert_refused(await settled.anna.get(EXPECTED, partner=public("par", new_id())), 404, "unknown-partner")


async def test_only_who_may_read_settlement_reads(settled: League, callers: Callers) -> None:
    """A till's key, a brand's marketing, a member and nobody are refused."""
    programme_id, partner_id = settled.coalition.programme_id, settled.coalition.partners["brand-a"]
    till = await callers.partner(partner_id, programme_id, scopes=frozenset({"earnings:write"}))
    marketing = await callers.staff(
        "mia@brand-a.example", role="marketing", partner_id=partner_id, programme_id=programme_id
    )
    member = await settled.member()
    for path in (STATEMENT, BUNDLE, EXPECTED):
        for caller in (till, marketing, member):
            assert_refused(await caller.get(path), 403, "scope-missing", missing_scopes=["settlement:read"])
        assert (await callers.client.get(path)).status_code == 401


async def test_a_window_is_a_number(settled: League) -> None:
    """A window that no column could hold is refused, not looked for."""
    for window in ("0", "-1", "x", "1.5", str(2**63)):
        assert_field(await settled.shops["brand-a"].get(STATEMENT, window=window), "/window")


async def test_tonights_net_is_what_the_night_brings(settled: League) -> None:
    """The expected net of the open window is the statement's, to the cent, with what earlier windows carried."""
    await settled.coalition.earn("brand-a", 333)
    await settled.coalition.burn("brand-b", 777)
    await settled.coalition.close()  # closed, and not settled yet
    await settled.coalition.earn("brand-a", 11)
    await settled.coalition.burn("brand-b", 1)
    await settled.coalition.seal()

    told = {code: (await shop.get(EXPECTED)).json() for code, shop in settled.shops.items()}
    assert told["brand-a"] == {
        "programme": "league", "partner": "brand-a", "window": 3, "business_date": "2026-03-04", "currency": "USD",
        "issued": 11, "honoured": 0, "accepted": 0, "expired": 0, "pays_minor": 11, "receives_minor": 0,
        "net_minor": -11,
    }  # fmt: skip
    await settled.coalition.finish()
    assert {code: (await shop.get(EXPECTED)).json() for code, shop in settled.shops.items()} == told
    await settled.coalition.night()
    for code, content in (await statement_bytes(3)).items():
        statement = msgspec.json.decode(content)
        assert [int(statement[name]) for name in ("pays", "receives", "net")] == [
            told[code]["pays_minor"],
            told[code]["receives_minor"],
            told[code]["net_minor"],
        ]
