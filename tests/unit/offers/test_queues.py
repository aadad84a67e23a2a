"""What fails is told without its data, and what says nothing about an item is nobody's failure."""

import asyncpg
import msgspec
import pytest

from offers.feeds.messages import CardMessage
from offers.queues import Failure, each_alone, failure_of, is_passing


def caught(error: Exception) -> Exception:
    """Return an error as it is caught."""
    with pytest.raises(type(error)) as raised:
        raise error
    return raised.value


def test_a_failure_names_no_data() -> None:
    """The words of an error may repeat what it was about: its kind and its place do not."""
    told = failure_of(caught(KeyError("ada@example.org")))

    assert told.code == "unforeseen"
    assert told.where.startswith("builtins.KeyError at tests/unit/offers/test_queues.py:")
    assert "ada" not in told.where


def test_what_cannot_be_read_has_its_own_code() -> None:
    """A torn body and one that is no card message are read by nobody; a database's refusal names its SQLSTATE."""
    for body in (b"{", b'{"type": "clearing"}', b"\xff"):
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as torn:
            msgspec.json.decode(body, type=CardMessage)
        assert failure_of(torn.value).code == "unreadable"
    assert "CheckViolationError 23514 at " in failure_of(caught(asyncpg.CheckViolationError("x"))).where


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.SerializationError("x"), True),
        (asyncpg.ConnectionDoesNotExistError("x"), True),
        (asyncpg.DiskFullError("x"), True),
        (asyncpg.QueryCanceledError("x"), True),
        (asyncpg.LockNotAvailableError("x"), True),
        (asyncpg.ReadOnlySQLTransactionError("x"), True),
        (asyncpg.UndefinedFunctionError("x"), True),
        (asyncpg.InterfaceError("x"), True),
        (TimeoutError(), True),
        (asyncpg.CheckViolationError("x"), False),
        (asyncpg.NumericValueOutOfRangeError("x"), False),
        (asyncpg.RaiseError("x"), False),
        (asyncpg.exceptions._base.DataError("x"), False),
        (ValueError("x"), False),
        (RecursionError(), False),
    ],
)
def test_what_would_meet_any_item_is_passing(error: Exception, passing: bool) -> None:  # noqa: FBT001  # a table of cases
    """Races, resources, shutdowns and schemas are nobody's own; data, integrity and code are."""
    assert is_passing(error) is passing


@pytest.mark.parametrize("bad", [set(), {0}, {99}, {3, 4, 50}, set(range(100))])
async def test_every_good_item_is_done_and_every_bad_one_is_alone(bad: set[int]) -> None:
    """Halved until what fails is alone; a hundred items with one bad among them need fifteen goes, not a hundred."""
    done: list[int] = []
    put_off: list[int] = []
    goes = 0

    async def work(keys: list[int]) -> bool:
        nonlocal goes
        goes += 1
        if bad.intersection(keys):
            raise ValueError
        done.extend(keys)
        return True

    async def put(key: int, _: Failure) -> None:
        put_off.append(key)

    assert await each_alone(list(range(100)), work, put)  # type: ignore[arg-type]  # slices of a list are lists
    assert (sorted(done), put_off) == (sorted(set(range(100)) - bad), sorted(bad))
    if len(bad) == 1:
        assert goes <= 15
