"""A runtime with keys of its own, and a programme after its day."""

from pathlib import Path

import asyncpg
import pytest

from koinon import keyring
from koinon.ledger.operations import Ledger
from koinon.runtime import Runtime
from koinon.settings import Settings
from tests.kit.audit import Book


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Give a runtime with keys of its own."""
    settings = Settings(folder=tmp_path)
    keyring.create(settings.keys_folder)
    return Runtime(settings, keyring.load(settings.keys_folder), [Ledger()])


@pytest.fixture
async def book(database: asyncpg.Pool) -> Book:
    """Give a programme after its day, with nothing logged yet."""
    return await (await Book().open()).day()
