"""Structured logs on standard error: one JSON object a line, without personal data or card numbers."""

import logging
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

import asyncpg
import structlog

from koinon.http.card_numbers import mask_event

UNDEFINED_CLASS = "42"
"""The class of SQLSTATEs that say that a statement is wrong; their words name columns, never what is in them."""


def configure(level: str) -> None:
    """Send every log line of this process through one chain that ends in JSON."""
    numeric = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_formatted),
            mask_event,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    logging.basicConfig(level=max(numeric, logging.WARNING), stream=sys.stderr)


def described(error: BaseException) -> str:
    """Return what an exception says, without the words in which the database repeats what is in its rows.

    An address that is there already would otherwise stand in the log: `Key (value)=(ada@example.org) already exists`.
    """
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        parts = [state, error.schema_name, error.table_name, error.column_name, error.constraint_name]
        words = error.message if state.startswith(UNDEFINED_CLASS) else None
        return f"{name}: {' '.join(part for part in (*parts, words) if part)}"
    return f"{name}: {error}" if str(error) else name


def _formatted(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    return "".join(_parts(exc_info[1], set())).rstrip("\n")


def _parts(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Yield the lines of an exception, of what led to it, and of the exceptions of a group."""
    if id(error) in seen:
        return
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _parts(before, seen)
        yield "which led to:\n"
    yield from traceback.format_tb(error.__traceback__)
    yield described(error) + "\n"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield "in which:\n"
            yield from _parts(each, seen)
