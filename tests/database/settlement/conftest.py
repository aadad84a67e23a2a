"""A runtime and the three brands of S-1, on a database of the test's own."""

from pathlib import Path

import asyncpg
import pytest

from koinon import keyring
from koinon.app import contexts
from koinon.ledger.operations import Ledger
from koinon.parties.programmes import Openings
from koinon.runtime import Runtime
from koinon.settings import Settings
from tests.kit.settlement import Coalition
from tests.kit.terms import S1


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Give a runtime with keys of its own."""
    settings = Settings(folder=tmp_path)
    keyring.create(settings.keys_folder)
    return Runtime(settings, keyring.load(settings.keys_folder), [Ledger(), Openings(contexts())])


@pytest.fixture
async def bare(database: asyncpg.Pool, runtime: Runtime) -> Coalition:
    """Give a programme without brands."""
    return await Coalition(runtime).found()


@pytest.fixture
async def coalition(bare: Coalition) -> Coalition:
    """Give the three brands of S-1, each with the same contract."""
    for code in ("brand-a", "brand-b", "brand-c"):
        await bare.brand(code, **S1)
    return bare
