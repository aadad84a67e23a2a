"""What is wrong with something that was sent, field by field."""

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with one field: a JSON pointer (RFC 6901) into what was sent, a stable code, and a sentence.

    None of the three repeats a value: it may be a card number in the wrong field.
    """

    pointer: str
    code: str
    detail: str
