"""Places over HTTP: each with the names that networks give it, and no name for two places at a time."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg

from koinon import ids
from tests.kit.scheme import Scheme, assert_field, assert_refused, open_scheme, unchanged
from tests.web.conftest import Callers, problem_of

FROM = "2026-01-01T00:00:00Z"


def merchant(value: str = "4711", **changes: Any) -> dict[str, Any]:
    """Return a scheme's merchant id, valid from the beginning of the year."""
    return {"kind": "merchant", "network": "visa", "value": value, "valid_from": FROM} | changes


def place_body(partner: str, *identities: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a right request for a place."""
    right = {"partner": partner, "name": "Kamppi", "time_zone": "Europe/Helsinki", "identities": list(identities)}
    return right | changes


async def place_of(scheme: Scheme, partner: str, *identities: dict[str, Any]) -> str:
    """Add a place and return its public id."""
    made = await scheme.operator.post("/v1/places", place_body(partner, *identities))
    assert made.status_code == 201, made.text
    place: str = made.json()["place"]
    return place


async def test_a_place_has_its_names(callers: Callers, database: asyncpg.Pool) -> None:
    """Each identity is stored under the keys that messages are looked up by, and read back by the ones given."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    identities = [
        merchant("00 4711"),
        {
            "kind": "terminal",
            "value": "123456",
            "acquirer_id": "acq-9",
            "terminal_id": "T01",
            "valid_from": FROM,
            "valid_until": "2027-01-01T00:00:00+02:00",
        },
        {"kind": "descriptor", "value": "Grocer Kamppi", "city": "Helsinki", "valid_from": FROM},
    ]
    answer = await scheme.operator.post("/v1/places", place_body(grocer, *identities))

    made = answer.json()
    named = [identity.pop("identity") for identity in made["identities"]]
    assert answer.status_code == 201
    assert len(set(named)) == 3
    assert made == {
        "place": made["place"],
        "partner": grocer,
        "programme": scheme.programme,
        "name": "Kamppi",
        "time_zone": "Europe/Helsinki",
        "identities": [
            {"key": "descriptor-city:HELSINKI:GROCER KAMPPI", "valid_from": FROM, "valid_until": None},
            {"key": "merchant:visa:004711", "valid_from": FROM, "valid_until": None},
            {"key": "terminal:ACQ9:T01:123456", "valid_from": FROM, "valid_until": "2026-12-31T22:00:00Z"},
        ],
    }
    assert (await scheme.operator.get(f"/v1/places/{made['place']}")).json() == answer.json()
    rows = await database.fetch("SELECT * FROM places.network_identity ORDER BY identity_key")
    assert [row["identity_key"] for row in rows] == [
        "descriptor-city:HELSINKI:GROCER KAMPPI",
        "merchant:visa:004711",
        "merchant~:visa:4711",
        "terminal:ACQ9:T01:123456",
        "terminal~:ACQ9:T01:123456",
    ]
    assert {(row["programme_id"], row["place_id"]) for row in rows} == {
        (scheme.programme_id, ids.private("pla", made["place"]))
    }
    assert {row["valid_from"] for row in rows} == {datetime(2026, 1, 1, tzinfo=UTC)}


async def test_a_place_gets_another_name(callers: Callers, database: asyncpg.Pool) -> None:
    """A new acquirer's id is added to what is known."""
    scheme = await open_scheme(callers)
    place = await place_of(scheme, await scheme.partner(), merchant())
    answer = await scheme.operator.post(f"/v1/places/{place}/identities", merchant("4712"))

    assert answer.status_code == 201
    assert [identity["key"] for identity in answer.json()["identities"]] == [
        "merchant:visa:4711",
        "merchant:visa:4712",
    ]


async def test_a_place_gets_many_names_at_once(callers: Callers, database: asyncpg.Pool) -> None:
    """As many as one request may bring are taken, each with what stands beside it."""
    scheme = await open_scheme(callers)
    place = await place_of(scheme, await scheme.partner(), *(merchant(str(number)) for number in range(1000, 1500)))

    assert len((await scheme.operator.get(f"/v1/places/{place}")).json()["identities"]) == 500
    assert await database.fetchval("SELECT count(*) FROM places.network_identity") == 1000


async def test_a_name_is_one_places_at_a_time(callers: Callers, database: asyncpg.Pool) -> None:
    """Overlapping by a moment it is refused, at the same partner, at another, in one request; only the key is told."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    place = await place_of(scheme, grocer, merchant("4711", valid_until="2026-06-01T00:00:00Z"))
    second = await place_of(scheme, grocer)
    async with unchanged(database):
        for identity in (
            merchant(),
            merchant(valid_from="2026-05-31T23:59:59Z"),
            merchant(valid_from="2020-01-01T00:00:00Z"),
        ):
            for partner in (grocer, fuel):
                answer = await scheme.operator.post("/v1/places", place_body(partner, identity))
                assert_refused(answer, 409, "identity-taken", identity_key="merchant:visa:4711")
                assert grocer not in answer.text
                assert place not in answer.text
            added = await scheme.operator.post(f"/v1/places/{second}/identities", identity)
            assert_refused(added, 409, "identity-taken", identity_key="merchant:visa:4711")
        twice = await scheme.operator.post("/v1/places", place_body(fuel, merchant("9"), merchant("9")))
        assert_refused(twice, 409, "identity-taken", identity_key="merchant:visa:9")

    after = merchant(valid_from="2026-06-01T00:00:00Z")
    assert (await scheme.operator.post(f"/v1/places/{second}/identities", after)).status_code == 201
    before = merchant(valid_from="2019-01-01T00:00:00Z", valid_until=FROM)
    assert (await scheme.operator.post("/v1/places", place_body(fuel, before))).status_code == 201


def identity_path(place: dict[str, Any], key: str) -> str:
    """Return the path of a place's identity."""
    return next(
        f"/v1/places/{place['place']}/identities/{each['identity']}"
        for each in place["identities"]
        if each["key"] == key
    )


async def test_a_recycled_id_goes_to_another_place(callers: Callers, database: asyncpg.Pool) -> None:
    """A name ends from a moment on, with what stands beside it; then it is another partner's, and never before."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    place = (await scheme.operator.post("/v1/places", place_body(grocer, merchant("004711"), merchant("5")))).json()
    path = f"{identity_path(place, 'merchant:visa:004711')}/ends"

    ended = await scheme.operator.post(path, {"at": "2026-06-01T00:00:00+03:00"}, key="once")

    assert ended.status_code == 201
    assert [(each["key"], each["valid_until"]) for each in ended.json()["identities"]] == [
        ("merchant:visa:004711", "2026-05-31T21:00:00Z"),
        ("merchant:visa:5", None),
    ]
    rows = await database.fetch(
        "SELECT identity_key FROM places.network_identity WHERE valid_until IS NOT NULL ORDER BY identity_key"
    )
    assert [row["identity_key"] for row in rows] == ["merchant:visa:004711", "merchant~:visa:4711"]
    async with unchanged(database):
        again = await scheme.operator.post(path, {"at": "2026-06-01T00:00:00+03:00"}, key="once")
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (ended.json(), "true")
        other = await scheme.operator.post(path, {"at": "2026-07-01T00:00:00Z"}, key="once")
        assert_refused(other, 409, "idempotency-key-reused")
        early = merchant("004711", valid_from="2026-05-31T20:59:59Z")
        assert_refused(await scheme.operator.post("/v1/places", place_body(fuel, early)), 409, "identity-taken")
    later = merchant("4711", valid_from="2026-05-31T21:00:00Z")
    assert (await scheme.operator.post("/v1/places", place_body(fuel, later))).status_code == 201


async def test_an_end_is_told_once(callers: Callers, database: asyncpg.Pool) -> None:
    """A second end, one before the beginning, and one of what is no identity of the place change nothing."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    first = (await scheme.operator.post("/v1/places", place_body(partner, merchant()))).json()
    planned = merchant("9", valid_until="2027-01-01T00:00:00Z")
    second = (await scheme.operator.post("/v1/places", place_body(partner, planned))).json()
    own, other = identity_path(first, "merchant:visa:4711"), identity_path(second, "merchant:visa:9")
    beside = await database.fetchval(
        "SELECT identity_id FROM places.network_identity WHERE identity_key = 'merchant~:visa:4711'"
    )
    at = {"at": "2026-06-01T00:00:00Z"}
    shop = await scheme.api_of(partner)
    async with unchanged(database):
        planned_once = await scheme.operator.post(f"{other}/ends", at)
        assert_refused(planned_once, 409, "identity-ends", valid_until="2027-01-01T00:00:00Z")
        for wrong in (FROM, "2025-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "2026-06-01", None):
            assert_field(await scheme.operator.post(f"{own}/ends", {"at": wrong}), "/at")
        for identity in (other.rpartition("/")[2], ids.public("nid", beside), "nid_0000000000001", "x"):
            answer = await scheme.operator.post(f"/v1/places/{first['place']}/identities/{identity}/ends", at)
            assert_refused(answer, 404, "unknown-identity")
        nowhere = await scheme.operator.post(f"/v1/places/pla_0000000000001/identities/{own[-17:]}/ends", at)
        assert_refused(nowhere, 404, "unknown-place")
        assert_refused(await shop.post(f"{own}/ends", at), 403, "scope-missing")
    assert (await scheme.operator.post(f"{own}/ends", at)).status_code == 201
    async with unchanged(database):
        twice = await scheme.operator.post(f"{own}/ends", {"at": "2026-07-01T00:00:00Z"})
        assert_refused(twice, 409, "identity-ends", valid_until="2026-06-01T00:00:00Z")


async def test_ids_that_differ_in_left_zeros_end_alone(callers: Callers, database: asyncpg.Pool) -> None:
    """Two ids of a place without whose zeros they are one: the one that goes on is found as before."""
    scheme = await open_scheme(callers)
    partner = await scheme.partner()
    place = (await scheme.operator.post("/v1/places", place_body(partner, merchant("0099"), merchant("99")))).json()
    ended = await scheme.operator.post(
        f"{identity_path(place, 'merchant:visa:0099')}/ends", {"at": "2026-06-01T00:00:00Z"}
    )
    assert ended.status_code == 201
    living = "SELECT identity_key FROM places.network_identity WHERE valid_until IS NULL ORDER BY identity_key"
    assert [row["identity_key"] for row in await database.fetch(living)] == ["merchant:visa:99", "merchant~:visa:99"]


async def test_one_of_many_ends_at_once_counts(callers: Callers, database: asyncpg.Pool) -> None:
    """Of five that end a name at once at five moments one is taken, and the others are told which."""
    scheme = await open_scheme(callers)
    place = (await scheme.operator.post("/v1/places", place_body(await scheme.partner(), merchant()))).json()
    path = f"{identity_path(place, 'merchant:visa:4711')}/ends"
    answers = await asyncio.gather(
        *(scheme.operator.post(path, {"at": f"2026-06-0{day}T00:00:00Z"}) for day in range(1, 6))
    )

    (taken,) = (answer.json() for answer in answers if answer.status_code == 201)
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {each["valid_until"] for each in refused} == {taken["identities"][0]["valid_until"]}
    assert len(refused) == 4


async def test_a_descriptor_is_a_chains(callers: Callers, database: asyncpg.Pool) -> None:
    """Places of one partner may share a descriptor, or an id but for its left zeros; two partners may not."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    chain = {"kind": "descriptor", "value": "GROCER", "valid_from": FROM}
    await place_of(scheme, grocer, chain, merchant("0099"))
    await place_of(scheme, grocer, chain, merchant("99"))
    async with unchanged(database):
        shared = await scheme.operator.post("/v1/places", place_body(fuel, chain))
        assert_refused(shared, 409, "identity-taken", identity_key="descriptor:GROCER")
        padded = await scheme.operator.post("/v1/places", place_body(fuel, merchant("000099")))
        assert_refused(padded, 409, "identity-taken", identity_key="merchant~:visa:99")


async def test_another_programme_is_another_world(callers: Callers) -> None:
    """The same terminal may stand in two programmes."""
    scheme = await open_scheme(callers)
    await place_of(scheme, await scheme.partner(), merchant())
    other = await open_scheme(callers, code="other")

    await place_of(other, await other.partner(), merchant())


async def test_parallel_places_do_not_share_a_name(callers: Callers, database: asyncpg.Pool) -> None:
    """Of ten that claim one id at once, one gets it and nothing of the others is left."""
    scheme = await open_scheme(callers)
    partners = [await scheme.partner(code) for code in ("grocer", "fuel")]
    answers = await asyncio.gather(
        *(scheme.operator.post("/v1/places", place_body(partners[number % 2], merchant())) for number in range(10))
    )

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert await database.fetchval("SELECT count(*) FROM places.place") == 1
    assert await database.fetchval("SELECT count(*) FROM places.network_identity") == 2


async def test_a_wrong_field_is_named(callers: Callers, database: asyncpg.Pool) -> None:
    """No place is made, and the answer points at the identity or the field."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    place = await place_of(scheme, grocer)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"partner": "grocer"}, "/partner"),
        ({"name": ""}, "/name"),
        ({"time_zone": "Helsinki"}, "/time_zone"),
        ({"identities": [merchant(), merchant(value="")]}, "/identities/1/value"),
        ({"identities": [merchant(), merchant(value="000")]}, "/identities/1"),
        ({"identities": [merchant(network="girocard")]}, "/identities/0/network"),
        ({"identities": [merchant(network=None)]}, "/identities/0"),
        ({"identities": [merchant(kind="mid")]}, "/identities/0/kind"),
        ({"identities": [merchant(kind="acquirer")]}, "/identities/0"),
        ({"identities": [merchant(valid_from="2026-01-01")]}, "/identities/0/valid_from"),
        ({"identities": [merchant(valid_from="1900-01-01T00:00:00Z")]}, "/identities/0/valid_from"),
        ({"identities": [merchant(valid_until=FROM)]}, "/identities/0/valid_until"),
        ({"identities": [merchant(str(number)) for number in range(501)]}, "/identities"),
    ]
    async with unchanged(database):
        for changes, pointer in wrong:
            assert_field(await scheme.operator.post("/v1/places", place_body(grocer) | changes), pointer)
        assert_field(
            await scheme.operator.post(f"/v1/places/{place}/identities", merchant(valid_until=FROM)), "/valid_until"
        )
        nobody = await scheme.operator.post("/v1/places", place_body("par_0000000000001"))
        assert_refused(nobody, 404, "unknown-partner")
        for unknown in ("pla_0000000000001", "x"):
            answer = await scheme.operator.post(f"/v1/places/{unknown}/identities", merchant())
            assert_refused(answer, 404, "unknown-place")
            assert_refused(await scheme.operator.get(f"/v1/places/{unknown}"), 404, "unknown-place")


async def test_places_come_a_page_at_a_time(callers: Callers) -> None:
    """Pages of one partner, or of all, have every place once."""
    scheme = await open_scheme(callers)
    grocer, fuel = await scheme.partner("grocer"), await scheme.partner("fuel")
    own = [await place_of(scheme, grocer, merchant(str(number))) for number in range(1, 6)]
    foreign = await place_of(scheme, fuel)

    async def pages(**query: str) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await scheme.operator.get("/v1/places", limit=2, **query, **cursor)).json()
            seen += page["items"]
            if page["next"] is None:
                return seen
            cursor = {"cursor": page["next"]}

    listed = await pages(partner=grocer)
    assert sorted(place["place"] for place in listed) == sorted(own)
    assert {len(place["identities"]) for place in listed} == {1}
    assert sorted(place["place"] for place in await pages()) == sorted([*own, foreign])
    assert problem_of(await scheme.operator.get("/v1/places", cursor="x")) == (400, "invalid-input")


async def test_only_the_operator_adds_places(callers: Callers, database: asyncpg.Pool) -> None:
    """A partner lacks the scope."""
    scheme = await open_scheme(callers)
    grocer = await scheme.partner()
    shop = await scheme.api_of(grocer)
    async with unchanged(database):
        assert_refused(await shop.post("/v1/places", place_body(grocer)), 403, "scope-missing")
        assert_refused(await shop.get("/v1/places"), 403, "scope-missing")
