"""Sessions of browsers: what the cookie opens, and what a write has to bring."""

import re
from typing import Any

import asyncpg
import httpx
import pytest
import time_machine

from koinon.callers.model import MEMBER_SCOPES, ROLE_SCOPES
from koinon.clock import machine_now
from koinon.database import transaction
from koinon.identity.operations import end_grant, grant_role
from koinon.identity.sessions import end_member_sessions
from koinon.ids import private, public
from koinon.settings import Settings
from tests.web.conftest import Api, Callers, problem_of
from tests.web.identity.conftest import Brand, new_brand, new_member


@pytest.fixture
async def member(callers: Callers, brand: Brand) -> Api:
    """Give a member who is signed in."""
    return await callers.member(await new_member(callers.settings, brand, "anna@example.org"))


def without(api: Api, *names: str) -> Api:
    """Return a browser that leaves headers out."""
    return Api(api.client, {name: value for name, value in api.headers.items() if name not in names}, api.name)


def having(api: Api, **headers: str) -> Api:
    """Return a browser that sends other headers (underscores for hyphens)."""
    return Api(api.client, api.headers | {name.replace("_", "-"): value for name, value in headers.items()}, api.name)


async def test_a_member_s_session_is_the_member(member: Api, brand: Brand, probe: str) -> None:
    """A member's cookie calls as the member, in one programme, on one account."""
    caller = (await member.get(probe)).json()

    assert caller["kind"] == "member"
    assert caller["name"] == member.name
    assert caller["programme_id"] == brand.programme_id
    assert caller["account_id"] is not None
    assert set(caller["scopes"]) == MEMBER_SCOPES


async def test_brand_s_staff_have_their_role(
    callers: Callers, brand: Brand, probe: str, subtests: pytest.Subtests
) -> None:
    """Staff of a brand act as the brand, with the scopes of their role there."""
    for role in (role for role in ROLE_SCOPES if role != "operator"):
        with subtests.test(role):
            staff = await callers.staff(
                f"{role}@brand.example", role=role, partner_id=brand.partner_id, programme_id=brand.programme_id
            )

            caller = (await staff.get(probe)).json()

            assert caller["kind"] == "partner"
            assert caller["name"] == public("par", brand.partner_id)
            assert caller["staff_id"] == private("stf", staff.name)
            assert set(caller["scopes"]) == ROLE_SCOPES[role]


async def test_the_operator_s_staff_are_themselves(callers: Callers, probe: str) -> None:
    """A member of the operator's staff acts in their own name, in every programme."""
    staff = await callers.staff("ops@koinon.example")

    caller = (await staff.get(probe)).json()

    assert caller["kind"] == "operator"
    assert caller["name"] == staff.name
    assert caller["programme_id"] is None
    assert set(caller["scopes"]) == ROLE_SCOPES["operator"]


async def test_a_role_at_one_brand_is_none_at_another(callers: Callers, brand: Brand, probe: str) -> None:
    """An owner's grant at one brand gives nothing in a session at another."""
    other = await new_brand("other")
    await callers.staff("ben@brand.example", role="owner", partner_id=brand.partner_id, programme_id=brand.programme_id)

    staff = await callers.staff(
        "ben@brand.example", role="support", partner_id=other.partner_id, programme_id=other.programme_id
    )

    assert set((await staff.get(probe)).json()["scopes"]) == ROLE_SCOPES["support"]


async def test_a_role_that_ended_ends_at_once(callers: Callers, brand: Brand, probe: str) -> None:
    """With the last role, the session is nobody's."""
    staff = await callers.staff(
        "ben@brand.example", role="owner", partner_id=brand.partner_id, programme_id=brand.programme_id
    )
    assert (await staff.get(probe)).status_code == 200

    async with transaction() as connection:
        staff_id = private("stf", staff.name)
        await end_grant(
            connection, await grant_role(connection, staff_id=staff_id, role="owner", partner_id=brand.partner_id)
        )

    assert problem_of(await staff.get(probe)) == (401, "not-authenticated")


async def test_other_cookies_are_nobody(client: httpx.AsyncClient, probe: str, subtests: pytest.Subtests) -> None:
    """A cookie that opens nothing is no error, but nobody."""
    for cookie in ("", "koinon_session=", "koinon_session=unknown", 'koinon_session="', "other=1; ;;="):
        with subtests.test(cookie=cookie):
            assert problem_of(await client.get(probe, headers={"Cookie": cookie})) == (401, "not-authenticated")


async def test_other_cookies_beside_it_do_not_matter(member: Api, probe: str) -> None:
    """The session is found among other cookies."""
    crowded = having(member, Cookie="a=1; " + member.headers["Cookie"] + "; b=2")

    assert (await crowded.get(probe)).status_code == 200


async def test_a_token_goes_before_the_cookie(member: Api, callers: Callers, probe: str) -> None:
    """With a bearer token the cookie is not looked at, and a wrong token does not fall back to it."""
    operator = await callers.operator()

    both = having(member, Authorization=operator.headers["Authorization"])
    wrong = having(member, Authorization="Bearer wrong")

    assert (await both.get(probe)).json()["kind"] == "operator"
    assert problem_of(await wrong.get(probe)) == (401, "token-invalid")


async def test_sessions_run_out(callers: Callers, member: Api, probe: str) -> None:
    """A member's session ends after 30 days, one of staff after two idle hours and after twelve at the latest."""
    staff = await callers.staff("ops@koinon.example")
    now = machine_now().timestamp()
    with time_machine.travel(now + 2 * 3600 - 5, tick=True):
        assert (await staff.get(probe)).status_code == 200
    with time_machine.travel(now + 4 * 3600 - 15, tick=True):
        assert (await staff.get(probe)).status_code == 200
    with time_machine.travel(now + 6 * 3600, tick=True):
        assert (await staff.get(probe)).status_code == 401
    with time_machine.travel(now + 30 * 86_400 - 5, tick=True):
        assert (await member.get(probe)).status_code == 200
    with time_machine.travel(now + 30 * 86_400 + 5, tick=True):
        assert (await member.get(probe)).status_code == 401


async def test_busy_staff_sign_in_every_twelve_hours(callers: Callers, probe: str) -> None:
    """A session of staff that is used all the time still ends after twelve hours."""
    staff = await callers.staff("ops@koinon.example")
    now = machine_now().timestamp()

    statuses = []
    for hour in range(13):
        with time_machine.travel(now + hour * 3600, tick=True):
            statuses.append((await staff.get(probe)).status_code)

    assert statuses == [200] * 12 + [401]


async def test_use_is_noted_once_a_minute(member: Api, database: asyncpg.Pool, probe: str) -> None:
    """Reading many pages writes one row a minute and no more."""
    seen = "SELECT last_seen_at FROM identity.session"
    first = await database.fetchval(seen)
    assert (await member.get(probe)).status_code == 200
    assert await database.fetchval(seen) == first
    with time_machine.travel(first.timestamp() + 61, tick=True):
        assert (await member.get(probe)).status_code == 200
    assert await database.fetchval(seen) > first


async def test_signing_out_everywhere(member: Api, probe: str) -> None:
    """A member's sessions can all be ended at once."""
    async with transaction() as connection:
        await end_member_sessions(connection, private("mem", member.name))

    assert (await member.get(probe)).status_code == 401


async def test_reading_needs_no_csrf_token(member: Api, probe: str) -> None:
    """A link from another site opens a page; only writes are guarded."""
    foreign = having(without(member, "X-CSRF-Token"), Sec_Fetch_Site="cross-site")

    assert (await foreign.get(probe)).status_code == 200


async def test_a_write_with_its_token_passes(member: Api, probe: str) -> None:
    """Our own page's write, with the session's token in the header, passes."""
    assert (await member.post(probe, {})).status_code == 200


async def test_a_write_without_its_token_is_refused(member: Api, probe: str, subtests: pytest.Subtests) -> None:
    """A write without the token, or with another, is refused."""
    bare = without(member, "X-CSRF-Token")
    tokens: tuple[dict[str, str], ...] = ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": "\xe4"})
    for token in tokens:
        with subtests.test(token=token):
            sent = [(name.encode(), value.encode("latin-1")) for name, value in (bare.headers | token).items()]
            answer = await member.client.post(probe, json={}, headers=sent)

            assert problem_of(answer) == (403, "csrf-token-invalid")


async def test_another_session_s_token_is_refused(member: Api, callers: Callers, brand: Brand, probe: str) -> None:
    """A token counts for its own session only."""
    other = await callers.member(await new_member(callers.settings, brand, "ben@example.org"))

    mixed = having(member, **{"X-CSRF-Token": other.headers["X-CSRF-Token"]})

    assert problem_of(await mixed.post(probe, {})) == (403, "csrf-token-invalid")


async def test_a_form_carries_the_token_as_a_field(member: Api, probe: str) -> None:
    """A page without JavaScript sends the token as the form's field `_csrf`; no form has parts."""
    bare = without(member, "X-CSRF-Token")
    for token, status in ((member.headers["X-CSRF-Token"], 200), ("wrong", 403), ("", 403)):
        parts: dict[str, Any] = {"_csrf": (None, token), "x": (None, "1")}
        encoded = await bare.client.post(f"{probe}/form", headers=bare.headers, data={"_csrf": token, "x": "1"})
        multipart = await bare.client.post(f"{probe}/form", headers=bare.headers, files=parts)

        assert encoded.status_code == status
        assert problem_of(multipart) == (403, "csrf-token-invalid")


ORIGINS: tuple[tuple[dict[str, str], int], ...] = (
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Sec-Fetch-Site": "none"}, 200),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8700"}, 403),
    ({"Origin": "http://127.0.0.1:8700"}, 200),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:8700.evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://[::1"}, 403),
    ({"Origin": "http://127.0.0.1:abc"}, 403),
    ({}, 200),
)


async def test_a_write_comes_from_our_own_pages(member: Api, probe: str, subtests: pytest.Subtests) -> None:
    """With the right token, too, a browser's write must come from here; a caller that is no browser says nothing."""
    for headers, status in ORIGINS:
        with subtests.test(headers=headers):
            answer = await having(without(member, "Sec-Fetch-Site"), **headers).post(probe, {})

            assert answer.status_code == status
            assert status == 200 or answer.json()["code"] == "cross-site"


async def test_a_token_s_write_needs_none_of_it(callers: Callers, probe: str) -> None:
    """A bearer token is not sent by browsers on their own: its writes need no second token."""
    operator = await callers.operator()

    assert (await having(operator, Sec_Fetch_Site="cross-site").post(probe, {})).status_code == 200


async def test_the_current_session(member: Api, callers: Callers) -> None:
    """A page asks for its kind and its token; a caller with a key has no session."""
    answer = await without(member, "X-CSRF-Token").get("/v1/sign-in/sessions/current")
    assert answer.json() == {"kind": "member", "csrf": member.headers["X-CSRF-Token"]}
    assert answer.headers["Cache-Control"] == "no-store"

    operator = await callers.operator()
    assert problem_of(await operator.get("/v1/sign-in/sessions/current")) == (404, "session-missing")
    assert problem_of(await operator.delete("/v1/sign-in/sessions/current")) == (404, "session-missing")


async def test_signing_out(member: Api, settings: Settings, probe: str) -> None:
    """Signing out ends this session at once and takes the cookie away."""
    refused = await without(member, "X-CSRF-Token").delete("/v1/sign-in/sessions/current")
    assert problem_of(refused) == (403, "csrf-token-invalid")

    answer = await member.delete("/v1/sign-in/sessions/current")

    assert answer.status_code == 204
    assert re.search(r"koinon_session=.*Max-Age=0", answer.headers["Set-Cookie"])
    assert (await member.get(probe)).status_code == 401


async def test_the_database_holds_no_cookie(member: Api, database: asyncpg.Pool) -> None:
    """Nobody who reads the table can sign in with it."""
    token = member.headers["Cookie"].partition("=")[2]
    rows = await database.fetch("SELECT session::text AS row FROM identity.session")

    assert rows
    assert not any(token in row["row"] or token.encode().hex() in row["row"] for row in rows)
