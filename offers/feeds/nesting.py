"""Nesting: JSON as deep as its sender likes, cut to what a reader reads without counting on its stack."""

import re

DEPTH_MAXIMUM = 32
"""How many objects and lists of a message may stand in each other, itself the first."""

# A string that does not end reaches to the end, so that no body is looked at twice.
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)


def shallow(body: bytes, levels: int) -> bytes:
    """Return JSON with every object and list emptied that stands `levels` deep, whatever is in it.

    What was deeper than `levels` is `levels` deep then, so that a reader with one level less refuses it. It takes
    time by the length of the body alone; what is no JSON stays none.
    """
    if body.count(b"[") + body.count(b"{") < levels:
        return body
    kept: list[bytes] = []
    depth = begin = 0
    for mark in _MARK.finditer(body):
        symbol = body[mark.start()]
        if symbol in b"[{":
            depth += 1
            if depth == levels:
                kept.append(body[begin : mark.end()])
        elif symbol in b"]}":
            if depth == levels:
                begin = mark.start()
            depth -= 1
    return b"".join(kept) + (body[begin:] if depth < levels else b"")


def is_deeper(value: object, levels: int) -> bool:
    """Tell whether more than `levels` objects and lists stand in each other."""
    if not isinstance(value, dict | list):
        return False
    members = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deeper(member, levels - 1) for member in members)
