"""A connection to a fresh database on a loop of its own, for properties whose steps are plain functions."""

from collections.abc import Iterator

import pytest

from tests.simulation.ledger.world import World


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Give a connection to a fresh database on a loop of its own."""
    with World(database_url) as world:
        yield world
