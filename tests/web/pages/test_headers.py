"""What pages tell the browser it may do, and who reads problems as pages."""

import httpx
import msgspec
import pytest

from koinon.settings import Settings
from koinon.web.assets import FILES, asset
from tests.web.conftest import problem_of
from tests.web.pages.conftest import Browser
from tests.web.pages.reading import read


async def test_the_policy_lets_no_script_and_no_inline_style_run(nobody: Browser) -> None:
    """Word for word, since a single word more would open it."""
    policy = (await nobody.get("/sign-in")).headers["Content-Security-Policy"]

    assert policy == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )


async def test_a_page_that_there_is_none_of_has_the_headers(nobody: Browser) -> None:
    """No route answers it, so no route's middleware could have added them."""
    answer = await nobody.get("/nowhere")

    assert answer.status_code == 404
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert read(answer.text).one("h1").text == "There is no such page"


async def test_systems_get_problem_documents(nobody: Browser, client: httpx.AsyncClient) -> None:
    """The API answers a browser with JSON too; a page answers who does not ask for HTML with JSON."""
    assert problem_of(await nobody.get("/v1/me/wallet")) == (401, "not-authenticated")
    assert problem_of(await nobody.get("/v1/nothing")) == (404, "not-found")
    assert problem_of(await client.get("/me")) == (401, "not-authenticated")
    assert problem_of(await client.get("/nowhere")) == (404, "not-found")
    assert (await client.get("/v1/nothing")).headers["X-Content-Type-Options"] == "nosniff"


async def test_an_unexpected_error_is_a_page_that_tells_nothing(
    nobody: Browser, database: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed is logged and not shown."""

    async def fail(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("koinon.web.sign_in.programmes", fail)
    answer = await nobody.get("/sign-in")

    assert answer.status_code == 500
    assert read(answer.text).one("h1").text == "Something went wrong on our side"
    assert "secret of the house" not in answer.text


async def test_styles_are_kept_for_good_at_an_address_of_their_own(nobody: Browser) -> None:
    """The address holds the file's hash; any other address of it is none."""
    page = await nobody.page("/sign-in")
    (linked,) = [each.attributes["href"] for each in page.all("link") if each.attributes["rel"] == "stylesheet"]
    answer = await nobody.get(linked)

    assert linked == asset("koinon.css")
    assert answer.content == FILES["koinon.css"]
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (await nobody.get("/static/0123456789abcdef/koinon.css")).status_code == 404
    assert (await nobody.get(linked.replace("koinon.css", "nothing.css"))).status_code == 404


class TestBehindHttps:
    """An installation that people reach by HTTPS alone."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Give the settings of such an installation."""
        return msgspec.structs.replace(settings, secure_cookies=True)

    async def test_browsers_are_told_to_stay_with_it(self, nobody: Browser) -> None:
        """For a year, on every answer."""
        for path in ("/sign-in", "/health", "/nowhere"):
            assert (await nobody.get(path)).headers["Strict-Transport-Security"] == "max-age=31536000"


async def test_plain_http_promises_nothing(nobody: Browser) -> None:
    """Where cookies go over HTTP, nobody is told to use HTTPS."""
    assert "Strict-Transport-Security" not in (await nobody.get("/sign-in")).headers
