"""A till and a card report one purchase in the same moment: whoever comes second waits for the account's lane."""

import asyncpg

from koinon.database import transaction
from offers.purchases.intake import take_in
from tests.concurrency.lockstep import all_wait, aside, holding, waits_for
from tests.kit.town import Person, Town, card_message
from tests.web.offers.bodies import published

TOKEN = "tok-ada"
WALLET = "SELECT FROM ledger.wallet WHERE account_id = $1 FOR UPDATE"
PURCHASES = "SELECT count(*) FROM offers.purchase WHERE merged_into IS NULL"


async def customer(town: Town) -> Person:
    """Enrol Ada, link her card, and let her buy once, so that her lane is there."""
    ada = await town.person()
    await town.processor.linked(ada, TOKEN)
    await town.grocer.earned(ada, 7)
    await published(town.grocer, activation_required=False)
    return ada


def tender(town: Town) -> dict[str, str]:
    """Return what a till says of Ada's card."""
    return {"source": town.processor.source, "token": TOKEN, "auth_code": "A1B2C3"}


async def feed(town: Town) -> None:
    """Let the processor report the payment."""
    answer = await town.processor.feed([card_message(town.grocer, TOKEN)])
    assert answer.json()["accepted"] == 1, answer.text


async def test_the_card_comes_while_the_till_is_served(town: Town, database: asyncpg.Pool, database_url: str) -> None:
    """The till's call is stopped before it posts: the worker waits, then finds the till's purchase and makes none."""
    ada, owner = await customer(town), await asyncpg.connect(database_url)
    await feed(town)

    async with holding(owner, WALLET, ada.account_id):
        till = aside(town.grocer.earn(ada, points=30, tender=tender(town)))
        await waits_for(owner, till, database)
        worker = aside(take_in(None))  # type: ignore[arg-type]  # it uses nothing of a runtime
        await all_wait(database, till, worker)
    await owner.close()
    assert (await till).json()["points"] == 100
    assert await worker
    await town.work()

    assert await database.fetchval(PURCHASES) == 2
    assert await ada.balance() == (107, 0)


async def test_the_till_comes_while_the_card_is_taken_in(town: Town, database: asyncpg.Pool) -> None:
    """The worker has not committed the card's payment: the till waits, then sees it and rings up no second purchase."""
    ada = await customer(town)
    await feed(town)

    async with transaction() as connection:
        assert await take_in(None)  # type: ignore[arg-type]  # it uses nothing of a runtime
        till = aside(town.grocer.earn(ada, points=30, tender=tender(town)))
        await waits_for(connection, till, database)
    answer = (await till).json()
    await town.work()

    assert answer["points"] == 100
    assert await database.fetchval(PURCHASES) == 2
    assert await ada.balance() == (107, 0)


async def test_the_card_comes_while_the_till_takes_back(town: Town, database: asyncpg.Pool, database_url: str) -> None:
    """A reversal is stopped before it posts: the worker waits, and the card's purchase is then the card's alone."""
    ada, owner = await customer(town), await asyncpg.connect(database_url)
    earning = await town.grocer.earned(ada, 250, tender=tender(town))
    await feed(town)

    async with holding(owner, WALLET, ada.account_id):
        till = aside(town.grocer.reverse(earning=earning))
        await waits_for(owner, till, database)
        worker = aside(take_in(None))  # type: ignore[arg-type]  # it uses nothing of a runtime
        await all_wait(database, till, worker)
    await owner.close()
    assert (await till).json()["points"] == 250
    assert await worker
    await town.work()

    assert await database.fetchval(PURCHASES) == 3
    assert await ada.balance() == (107, 0)
