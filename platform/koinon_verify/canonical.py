"""Canonical JSON (RFC 8785) as bundles hold it, text under ASCII keys, and the reading of its fields."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Any, NoReturn

from koinon_verify.problems import Refused

HASH_BYTES = 32

_WHOLE = re.compile(r"(?:0|-?[1-9][0-9]{0,30})")
_RATIO = re.compile(r"(0|-?[1-9][0-9]{0,30})(?:/([1-9][0-9]{0,30}))?")

Fields = Mapping[str, Any]


def write_canonical(value: Any) -> bytes:
    """Write canonical JSON of text, lists and objects with ASCII keys."""
    return _ENCODER.encode(value).encode()


def read_canonical(raw: bytes) -> Fields:
    """Read one object, whose bytes must be exactly those that writing it again gives."""
    try:
        value = _DECODER.decode(raw.decode())
        again = write_canonical(value)
    except (ValueError, RecursionError) as error:
        raise Refused("not-canonical", "not canonical JSON of text values under ASCII keys") from error
    if not isinstance(value, dict) or again != raw:
        raise Refused("not-canonical", "not the canonical spelling of one JSON object")
    return value


def read_object(raw: bytes) -> Fields:
    """Read one object of text values under ASCII keys, however it is spelled."""
    try:
        value = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise Refused("not-canonical", "not JSON of text values under ASCII keys") from error
    if not isinstance(value, dict):
        raise Refused("not-canonical", "not a JSON object")
    return value


def check_fields(value: Any, names: set[str], optional: frozenset[str] = frozenset()) -> Fields:
    """Return an object that has exactly these fields, and maybe the optional ones."""
    if not isinstance(value, dict):
        raise Refused("field-wrong", "an object is needed here")
    missing, strange = names - value.keys(), value.keys() - names - optional
    if missing or strange:
        what = [f"{name} is missing" for name in sorted(missing)] + [f"{name} is unknown" for name in sorted(strange)]
        raise Refused("field-wrong", "; ".join(what))
    return value


def text_of(fields: Fields, name: str) -> str:
    """Return a field that is text."""
    value = fields[name]
    if not isinstance(value, str):
        raise Refused("field-wrong", f"{name} is not text")
    return value


def whole_of(fields: Fields, name: str, minimum: int | None = None) -> int:
    """Return a field that is a whole number in plain decimal, not below a minimum."""
    text = text_of(fields, name)
    if not _WHOLE.fullmatch(text):
        raise Refused("field-wrong", f"{name} is not a whole number in plain decimal")
    number = int(text)
    if minimum is not None and number < minimum:
        raise Refused("field-wrong", f"{name} is below {minimum}")
    return number


def ratio_of(fields: Fields, name: str) -> Fraction:
    """Return a field that is a ratio, `n` or `n/d` in lowest terms."""
    match = _RATIO.fullmatch(text_of(fields, name))
    if match is None:
        raise Refused("field-wrong", f"{name} is not a ratio n or n/d")
    ratio = Fraction(int(match[1]), int(match[2] or 1))
    if str(ratio) != match[0]:
        raise Refused("field-wrong", f"{name} is not in lowest terms")
    return ratio


def date_of(fields: Fields, name: str) -> str:
    """Return a field that is a day, `YYYY-MM-DD`."""
    text = text_of(fields, name)
    try:
        holds = date.fromisoformat(text).isoformat() == text
    except ValueError:
        holds = False
    if not holds:
        raise Refused("field-wrong", f"{name} is not a day YYYY-MM-DD")
    return text


def bytes_of(fields: Fields, name: str) -> bytes:
    """Return a field that is 32 bytes in base64url without padding."""
    return unbase64url(text_of(fields, name), name)


def hashes_of(fields: Fields, name: str) -> list[bytes]:
    """Return a field that is a list of hashes."""
    value = fields[name]
    if not isinstance(value, list):
        raise Refused("field-wrong", f"{name} is not a list")
    if not all(isinstance(item, str) for item in value):
        raise Refused("field-wrong", f"{name} is not a list of hashes")
    return [unbase64url(item, name) for item in value]


def objects_of(fields: Fields, name: str) -> list[Any]:
    """Return a field that is a list, of whatever."""
    value = fields[name]
    if not isinstance(value, list):
        raise Refused("field-wrong", f"{name} is not a list")
    return value


def base64url(data: bytes) -> str:
    """Write bytes as base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@lru_cache(maxsize=65_536)  # the upper hashes of a tree stand in every proof
def unbase64url(text: str, name: str) -> bytes:
    """Read 32 bytes in their one spelling as base64url without padding."""
    try:
        data = urlsafe_b64decode(text + "=")
    except ValueError:
        data = b""
    if len(data) != HASH_BYTES or base64url(data) != text:
        raise Refused("field-wrong", f"{name} is not 32 bytes in base64url")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    for key, item in pairs:
        plain = isinstance(item, str | dict) or (
            isinstance(item, list) and all(isinstance(inner, str | dict) for inner in item)
        )
        if not plain or not key.isascii():
            raise ValueError("a value is no text, or a key is not ASCII")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"a bare {text} is no text")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_refuse, parse_float=_refuse, parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
