"""Sources: a processor is registered, signs, and changes its secret."""

import base64
from typing import Any

import asyncpg
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar

from koinon.callers.model import SOURCE_SCOPES
from koinon.clock import machine_now
from koinon.identity.sources import SECONDS_KNOWN, SecretsUnreadable, Source, Sources, UnknownSource, verify_source
from koinon.identity.webhook_signatures import SignatureInvalid, decode_secret, encode_secret, sign
from koinon.ids import new_id, private, public
from tests.kit.scheme import unchanged
from tests.unit.identity.signing import signed_by_key
from tests.web.conftest import Api, Callers, problem_of
from tests.web.identity.conftest import Brand, new_brand

BODY = b'{"messages": []}'
OWN = encode_secret(bytes(range(24)))


@pytest.fixture
async def operator(callers: Callers) -> Api:
    """Give an operator."""
    return await callers.operator()


async def register(operator: Api, brand: Brand, **changes: Any) -> dict[str, Any]:
    """Register a processor, which must be taken, and return the answer."""
    answer = await operator.post(
        "/v1/sources", {"programme": public("pro", brand.programme_id), "name": "Acquirer"} | changes
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def loaded(app: Litestar, source: str) -> Source:
    """Return a source as the database has it now."""
    sources: Sources = app.state["runtime"][Sources]
    sources.forget(private("src", source))
    return await sources.load(private("src", source))


def signs(secret: str, source: Source) -> bool:
    """Tell whether a secret's signature counts for a source."""
    headers = sign(decode_secret(secret), "msg_1", int(machine_now().timestamp()), BODY)
    try:
        return verify_source(headers, BODY, source) == "msg_1"
    except SignatureInvalid:
        return False


async def test_a_source_is_given_a_secret(operator: Api, app: Litestar, brand: Brand) -> None:
    """Without a secret of its own a source gets one, with which its signatures count, in its programme."""
    made = await register(operator, brand)
    source = await loaded(app, made["source"])

    assert signs(made["secret"], source)
    assert not signs(OWN, source)
    assert source.programme_id == brand.programme_id
    assert source.caller.name == made["source"]
    assert source.caller.kind == "source"
    assert source.caller.scopes == SOURCE_SCOPES


async def test_a_source_may_bring_its_secret(operator: Api, app: Litestar, brand: Brand) -> None:
    """A secret that the operator brings counts, and is not repeated."""
    made = await register(operator, brand, secret=OWN)

    assert made["secret"] is None
    assert signs(OWN, await loaded(app, made["source"]))


async def test_two_sources_never_sign_alike(operator: Api, app: Litestar, brand: Brand, database: asyncpg.Pool) -> None:
    """A secret or key that another source has is refused: what was sent to one is not for the other."""
    key = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    await register(operator, brand, secret=OWN)
    await register(operator, brand, name="Keyed", public_key=f"whpk_{key}")
    third = await register(operator, brand, name="Third")
    body = {"programme": public("pro", brand.programme_id), "name": "Fourth"}
    async with unchanged(database):
        for more in ({"secret": OWN}, {"public_key": f"whpk_{key}"}):
            assert problem_of(await operator.post("/v1/sources", body | more)) == (409, "source-key-taken")
        changed = await operator.post(f"/v1/sources/{third['source']}/secrets", {"secret": OWN})
        assert problem_of(changed) == (409, "source-key-taken")


async def test_a_source_may_bring_a_public_key(operator: Api, app: Litestar, brand: Brand) -> None:
    """A source with an Ed25519 key needs no secret."""
    key = Ed25519PrivateKey.generate()
    text = "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()
    made = await register(operator, brand, public_key=text)

    headers = signed_by_key(key, "msg_1", int(machine_now().timestamp()), BODY)

    assert made["secret"] is None
    assert verify_source(headers, BODY, await loaded(app, made["source"])) == "msg_1"


async def test_a_retry_gets_the_same_secret(operator: Api, database: asyncpg.Pool, brand: Brand) -> None:
    """The same key gets the same source and secret; another key gets others; the stored answer holds no secret."""
    body = {"programme": public("pro", brand.programme_id), "name": "Acquirer"}
    first = await operator.post("/v1/sources", body, key="once")
    again = await operator.post("/v1/sources", body, key="once")
    other = await operator.post("/v1/sources", body | {"name": "Other"}, key="twice")

    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.headers["Cache-Control"] == "no-store"
    assert other.json()["secret"] != first.json()["secret"]
    stored = await database.fetchval("SELECT string_agg(request::text, ' ') FROM koinon.request request")
    assert "whsec_" not in stored


async def test_a_changed_secret_counts_beside_the_last(operator: Api, app: Litestar, brand: Brand) -> None:
    """After a change the last two secrets count; after another, the first no longer does."""
    made = await register(operator, brand)
    path = f"/v1/sources/{made['source']}/secrets"
    second = (await operator.post(path, {})).json()["secret"]
    source = await loaded(app, made["source"])
    assert (signs(made["secret"], source), signs(second, source)) == (True, True)

    third = (await operator.post(path, {"secret": OWN})).json()
    source = await loaded(app, made["source"])

    assert third["secret"] is None
    assert (signs(made["secret"], source), signs(second, source), signs(OWN, source)) == (False, True, True)


async def test_a_stolen_secret_is_dropped(operator: Api, app: Litestar, brand: Brand) -> None:
    """A change that keeps nothing leaves the new secret alone."""
    made = await register(operator, brand)
    changed = await operator.post(f"/v1/sources/{made['source']}/secrets", {"keep_previous": False}, key="now")
    again = await operator.post(f"/v1/sources/{made['source']}/secrets", {"keep_previous": False}, key="now")
    source = await loaded(app, made["source"])

    assert again.json() == changed.json()
    assert (signs(made["secret"], source), signs(changed.json()["secret"], source)) == (False, True)


async def test_the_table_holds_no_secret(operator: Api, database: asyncpg.Pool, brand: Brand) -> None:
    """Secrets are sealed: the table alone signs nothing, and a row's secret opens in no other row."""
    made = await register(operator, brand, secret=OWN)
    other = await register(operator, brand, name="Other")
    sealed = await database.fetchval(
        "SELECT secrets[1] FROM identity.source WHERE source_id = $1", private("src", made["source"])
    )

    assert decode_secret(OWN) not in sealed
    await database.execute(
        "UPDATE identity.source SET secrets = ARRAY[$2::bytea] WHERE source_id = $1",
        private("src", other["source"]),
        sealed,
    )
    with pytest.raises(SecretsUnreadable):
        await Sources(bytes(32)).load(private("src", made["source"]))
    with pytest.raises(SecretsUnreadable):
        await Sources(bytes(32)).load(private("src", other["source"]))


WRONG: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"programme": "demo"}, 400, "invalid-input"),
    ({"programme": "pro_0000000000001"}, 404, "unknown-programme"),
    ({"name": ""}, 400, "invalid-input"),
    ({"name": "x" * 201}, 400, "invalid-input"),
    ({"secret": "hunter2"}, 400, "invalid-input"),
    ({"secret": "whsec_AAAA"}, 400, "invalid-input"),
    ({"public_key": "whpk_AAAA"}, 400, "invalid-input"),
    ({"public_key": OWN}, 400, "invalid-input"),
    ({"pan": "x"}, 400, "invalid-input"),
)


async def test_wrong_sources_are_refused(
    operator: Api, brand: Brand, database: asyncpg.Pool, subtests: pytest.Subtests
) -> None:
    """What is wrong is named, no secret is repeated, and no source is made."""
    right = {"programme": public("pro", brand.programme_id), "name": "Acquirer"}
    for changes, status, code in WRONG:
        with subtests.test(changes=changes):
            answer = await operator.post("/v1/sources", right | changes)

            assert problem_of(answer) == (status, code)
            assert "hunter2" not in answer.text
    assert await database.fetchval("SELECT count(*) FROM identity.source") == 0
    assert await database.fetchval("SELECT count(*) FROM koinon.request") == 0


async def test_names_are_different(operator: Api, brand: Brand, database: asyncpg.Pool) -> None:
    """A second source of the same name is refused, and leaves the first alone."""
    await register(operator, brand)

    answer = await operator.post("/v1/sources", {"programme": public("pro", brand.programme_id), "name": "Acquirer"})

    assert problem_of(answer) == (409, "source-name-taken")
    assert await database.fetchval("SELECT count(*) FROM identity.source") == 1


async def test_unknown_sources(operator: Api, app: Litestar) -> None:
    """A source that is none cannot change its secret, and cannot be loaded."""
    for source in ("src_0000000000001", "src_1", "nothing"):
        assert problem_of(await operator.post(f"/v1/sources/{source}/secrets", {})) == (404, "unknown-source")
    with pytest.raises(UnknownSource):
        await app.state["runtime"][Sources].load(new_id())


async def test_sources_come_a_page_at_a_time(operator: Api, brand: Brand) -> None:
    """Pages of one programme, or of all, have every source once, and no secret in any form."""
    other = await new_brand("other")
    key = "whpk_" + base64.b64encode(bytes(32)).decode()
    made = [await register(operator, brand, name="One", secret=OWN), await register(operator, brand, name="Two")]
    made.append(await register(operator, brand, name="Three", public_key=key))
    await operator.post(f"/v1/sources/{made[0]['source']}/secrets", {})
    foreign = await register(operator, other)
    programme = public("pro", brand.programme_id)

    first = (await operator.get("/v1/sources", programme=programme, limit=2)).json()
    rest = (await operator.get("/v1/sources", programme=programme, limit=2, cursor=first["next"])).json()
    every = await operator.get("/v1/sources")

    listed = {each["source"]: each for each in first["items"] + rest["items"]}
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2, 1, None)
    assert listed[made[2]["source"]] == {
        "source": made[2]["source"],
        "programme": programme,
        "name": "Three",
        "secrets": 0,
        "public_key": key,
        "created_at": listed[made[2]["source"]]["created_at"],
    }
    assert [(listed[each["source"]]["secrets"], listed[each["source"]]["public_key"]) for each in made[:2]] == [
        (2, None),
        (1, None),
    ]
    assert {each["source"] for each in every.json()["items"]} == {*listed, foreign["source"]}
    assert "whsec_" not in every.text
    assert OWN.removeprefix("whsec_") not in every.text
    for query in ({"cursor": "x"}, {"programme": "x"}):
        assert problem_of(await operator.get("/v1/sources", **query)) == (400, "invalid-input")


async def test_only_operators_list_sources(callers: Callers, brand: Brand) -> None:
    """A brand's key, its owner and nobody at all see no processor."""
    owner = await callers.staff(
        "owner@brand.example", role="owner", partner_id=brand.partner_id, programme_id=brand.programme_id
    )
    for caller in (await callers.partner(brand.partner_id, brand.programme_id), owner):
        assert problem_of(await caller.get("/v1/sources")) == (403, "scope-missing")
    assert (await callers.client.get("/v1/sources")).status_code == 401


async def test_only_operators_register_sources(callers: Callers, brand: Brand, database: asyncpg.Pool) -> None:
    """A brand's key and a member cannot make a source."""
    shop = await callers.partner(brand.partner_id, brand.programme_id)

    answer = await shop.post("/v1/sources", {"programme": public("pro", brand.programme_id), "name": "Acquirer"})

    assert problem_of(answer) == (403, "scope-missing")
    assert await database.fetchval("SELECT count(*) FROM identity.source") == 0


async def test_a_source_is_remembered_for_two_seconds(
    operator: Api, app: Litestar, brand: Brand, database: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source is read once in two seconds, so that another process's change counts soon."""
    made = await register(operator, brand)
    source_id = private("src", made["source"])
    sources = app.state["runtime"][Sources]
    seconds = 1000.0
    monkeypatch.setattr(sources, "_now", lambda: seconds)
    first = await sources.load(source_id)
    await database.execute("UPDATE identity.source SET public_key = $2 WHERE source_id = $1", source_id, bytes(32))

    assert await sources.load(source_id) is first
    seconds += SECONDS_KNOWN
    assert (await sources.load(source_id)).keys == msgspec.structs.replace(first.keys, public_key=bytes(32))
