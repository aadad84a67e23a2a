"""A town for every test here."""

import pytest
from litestar import Litestar

from tests.kit.town import Town, found_town
from tests.web.conftest import Callers


@pytest.fixture
async def town(callers: Callers, app: Litestar) -> Town:
    """Give a programme with a grocer, a café and a processor."""
    return await found_town(callers, app.state.runtime.keys.secret)
