"""Identifiers: random 62-bit integers and UUIDv7 inside, prefixed Crockford base32 outside.

No database sequence makes an id, so that ids can be made on any machine before a row exists.
"""

import secrets
import uuid

import uuid_utils

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)}
ENTITY_BYTES = 8
RECORD_BYTES = 16


def new_id() -> int:
    """Return a random positive id of 62 bits for an entity (fits a PostgreSQL bigint)."""
    return secrets.randbits(62) | 1


def new_record_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562) for a record under an account."""
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)


def public(prefix: str, entity: int) -> str:
    """Return the outside form of an entity id, such as `par_0123456789abc`."""
    return f"{prefix}_{_encode(entity.to_bytes(ENTITY_BYTES, 'big'))}"


def private(prefix: str, text: str) -> int:
    """Return the entity id behind its outside form.

    Raises ValueError when the prefix, the length or a symbol is wrong.
    """
    return _entity(_decode(prefix, text, ENTITY_BYTES))


def public_record(prefix: str, account_id: int, record_id: uuid.UUID) -> str:
    """Return the outside form of a record under an account; it carries the account, opaquely."""
    return f"{prefix}_{_encode(account_id.to_bytes(ENTITY_BYTES, 'big') + record_id.bytes)}"


def private_record(prefix: str, text: str) -> tuple[int, uuid.UUID]:
    """Return (account id, record id) behind the outside form of a record.

    Raises ValueError when the prefix, the length or a symbol is wrong.
    """
    data = _decode(prefix, text, ENTITY_BYTES + RECORD_BYTES)
    return _entity(data[:ENTITY_BYTES]), uuid.UUID(bytes=data[ENTITY_BYTES:])


def opaque(prefix: str, data: bytes) -> str:
    """Return the outside form of bytes that name something and lead back to nothing."""
    return f"{prefix}_{_encode(data)}"


def _entity(data: bytes) -> int:
    """Return an entity id; what no bigint column holds was never given out."""
    if data[0] & 0x80:
        message = "the identifier is out of range"
        raise ValueError(message)
    return int.from_bytes(data, "big")


def _encode(data: bytes) -> str:
    length = (len(data) * 8 + 4) // 5
    number = int.from_bytes(data, "big")
    return "".join(ALPHABET[(number >> (5 * place)) & 31] for place in range(length - 1, -1, -1))


def _decode(prefix: str, text: str, size: int) -> bytes:
    head, separator, tail = text.partition("_")
    if head != prefix or not separator or len(tail) != (size * 8 + 4) // 5:
        message = f"expected {prefix}_ and {(size * 8 + 4) // 5} symbols"
        raise ValueError(message)
    number = 0
    for symbol in tail:
        if symbol not in VALUES:
            message = f"{symbol!r} is not a symbol of an identifier"
            raise ValueError(message)
        number = number << 5 | VALUES[symbol]
    try:
        return number.to_bytes(size, "big")
    except OverflowError:
        message = "the identifier is out of range"
        raise ValueError(message) from None
