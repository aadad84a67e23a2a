"""A town for every test here."""

import pytest
from litestar import Litestar

from offers.catalogue_web import router
from tests.web.conftest import Callers
from tests.web.town import Town, found_town


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    if not any(route.path == "/v1/offers" for route in app.routes):
        app.register(router)
    return await found_town(callers, app.state.runtime.keys.secret)
