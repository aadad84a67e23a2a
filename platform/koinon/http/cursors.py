"""Lists a page at a time: each page names where the next one starts."""

from collections.abc import Callable, Iterable
from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

Item = TypeVar("Item")
Row = TypeVar("Row")

PAGE_MAXIMUM = 200

PageLimit = Annotated[int, QueryParameter(ge=1, le=PAGE_MAXIMUM, description="How many items at most.")]
PageCursor = Annotated[
    str | None,
    QueryParameter(max_length=64, description="Where the page starts: `next` of the page before.", required=False),
]


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list; `next` is the cursor of the page after it, or null on the last one."""

    items: list[Item]
    next: str | None


def page_of(
    rows: Iterable[Row],
    limit: int,
    item: Callable[[Row], Item],
    cursor: Callable[[Row], str],
) -> Page[Item]:
    """Return a page of rows that were asked for with one more than `limit`, to see whether more follow."""
    found = list(rows)
    following = cursor(found[limit - 1]) if len(found) > limit else None
    return Page([item(row) for row in found[:limit]], following)
