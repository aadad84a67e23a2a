"""What tests of pages stand on: a town with its browsers, a settled coalition, and a reader of pages."""

from typing import Any

import httpx
import pytest
from litestar import Litestar

from koinon import ids
from tests.kit.town import Shop, Town, found_town
from tests.web.conftest import Api, Callers
from tests.web.pages.reading import Element, read
from tests.web.settlement.conftest import League, league, settled

__all__ = ["league", "settled"]

ACCEPT = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


class Browser:
    """A browser that reads pages, follows nothing by itself, and sends forms as they stand."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str] | None = None) -> None:
        self.client = client
        own = {name: value for name, value in (headers or {}).items() if name != "X-CSRF-Token"}
        self.headers = ACCEPT | {"Sec-Fetch-Site": "same-origin"} | own

    async def get(self, path: str) -> httpx.Response:
        """Ask for a page."""
        return await self.client.get(path, headers=self.headers)

    async def page(self, path: str, status: int = 200) -> Element:
        """Return a page that must be there."""
        answer = await self.get(path)
        assert answer.status_code == status, answer.text
        return read(answer.text)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form's fields."""
        return await self.client.post(path, data=fields, headers=self.headers | headers)

    async def send(self, form: Element, **fields: str) -> httpx.Response:
        """Send a form as it stands, with some of its fields filled in."""
        return await self.post(form.attributes["action"], form.fields() | fields)


def browser_of(api: Api) -> Browser:
    """Return the browser behind a signed-in API."""
    return Browser(api.client, api.headers)


async def brand_staff(callers: Callers, partner: str, programme_id: int, role: Any) -> Browser:
    """Sign a member of a brand's staff in."""
    partner_id = ids.private("par", partner)
    email = f"{role}-{partner}@brand.example"
    return browser_of(await callers.staff(email, role=role, partner_id=partner_id, programme_id=programme_id))


async def staff_of(town: Town, shop: Shop, role: Any) -> Browser:
    """Sign a member of a shop's staff in."""
    return await brand_staff(town.scheme.callers, shop.partner, town.scheme.programme_id, role)


async def staff_of_league(found: League, code: str, role: Any = "finance") -> Browser:
    """Sign a member of a league's brand in."""
    return await brand_staff(found.callers, found.partner(code), found.coalition.programme_id, role)


async def operator_browser(callers: Callers, email: str = "ops@koinon.example") -> Browser:
    """Sign an operator in."""
    return browser_of(await callers.staff(email))


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)


@pytest.fixture
def nobody(client: httpx.AsyncClient) -> Browser:
    """Give a browser in which nobody is signed in."""
    return Browser(client)
