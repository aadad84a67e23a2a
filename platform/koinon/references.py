"""Ids as callers send them: read in one place, refused in one way."""

from uuid import UUID

from koinon.ids import private, private_record
from koinon.problems import Problem, invalid_field


def id_in_field(prefix: str, text: str, pointer: str) -> int:
    """Return the entity id that a field, a parameter or a cursor holds; raises InvalidInput naming it."""
    try:
        return private(prefix, text)
    except ValueError as error:
        raise invalid_field(pointer, str(error)) from None


def id_in_path(prefix: str, text: str, problem: type[Problem]) -> int:
    """Return the entity id that a path names; what is no id is nothing that exists: raises `problem`."""
    try:
        return private(prefix, text)
    except ValueError:
        raise problem from None


def record_in_path(prefix: str, text: str, problem: type[Problem]) -> tuple[int, UUID]:
    """Return (account id, record id) that a path names; what is no id is nothing that exists: raises `problem`."""
    try:
        return private_record(prefix, text)
    except ValueError:
        raise problem from None
