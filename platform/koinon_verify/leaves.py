"""Leaves: the shapes that they have in the log, and what opens a commitment in one."""

import re
from hashlib import sha256
from itertools import pairwise

from koinon_verify.canonical import Fields, base64url, bytes_of, read_canonical, text_of, unbase64url, write_canonical
from koinon_verify.problems import Refused

SLOT_STEP = 8

_WINDOW_LEAF = {"at", "programme", "root", "type", "v", "window"}
_JOURNAL_LEAF = {"at", "type", "v"}
_SLOT = re.compile(r"[cs](?:0|[1-9][0-9]{0,5})")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}):[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,9})?Z")


def read_leaf(text: str, kind: str) -> Fields:
    """Read a leaf from its text: a journal's, or the seal or run of a window."""
    try:
        leaf = read_canonical(text.encode())
    except Refused as refused:
        raise Refused("leaf-malformed", "the leaf is not canonical JSON") from refused
    if not all(isinstance(item, str) for item in leaf.values()) or leaf.get("type") != kind:
        raise Refused("leaf-malformed", f"the leaf is not a {kind} leaf")
    if set(leaf) != _fields_of(leaf, kind):
        raise Refused("leaf-malformed", f"the leaf has not the fields of a {kind} leaf")
    if kind == "journal" and leaf["v"] == "2":
        _check_slots(leaf)
    return leaf


def open_slot(leaf: Fields, opening: Fields, letter: str) -> str:
    """Return the slot of a leaf that an opening's salt and content open."""
    slot = text_of(opening, "slot")
    if not _SLOT.fullmatch(slot) or slot[0] != letter or slot not in leaf:
        raise Refused("field-wrong", f"slot {slot} is not one of the leaf's {letter} slots")
    if leaf[slot] != base64url(commitment(opening, "content")):
        raise Refused("commitment-mismatch", f"the content does not open slot {slot} of the leaf")
    return slot


def shared_letter(leaf: Fields) -> str:
    """Return how the slots of shared pieces are called in a leaf."""
    return "s" if leaf["v"] == "1" else "c"


def commitment(opening: Fields, content: str) -> bytes:
    """Return what a salt and a content commit to."""
    return sha256(bytes_of(opening, "salt") + write_canonical(opening[content])).digest()


def check_time(leaf: Fields, at: str) -> None:
    """Hold the time in a content to the hour that the leaf says."""
    written = _TIME.fullmatch(at)
    if not written:
        raise Refused("field-wrong", "at is not a time of RFC 3339 in UTC")
    if leaf["at"] != (at if leaf["v"] == "1" else f"{written[1]}:00:00Z"):
        raise Refused("time-mismatch", f"the content is of {at}, and the leaf of {leaf['at']}")


def _fields_of(leaf: Fields, kind: str) -> set[str] | None:
    """Return the fields that a leaf of its kind and version has; None for a version that is not known."""
    version = leaf.get("v")
    if kind != "journal":
        return _WINDOW_LEAF if version == "1" else None
    if version == "1":  # as logs were begun: the journal's kind, and slots that tell a side from a shared piece
        return _JOURNAL_LEAF | {"kind"} | {key for key in leaf if _SLOT.fullmatch(key)}
    if version == "2":
        return _JOURNAL_LEAF | {f"c{place}" for place in range(len(leaf) - len(_JOURNAL_LEAF))}
    return None


def _check_slots(leaf: Fields) -> None:
    """Hold the slots to their step and to the order of their bytes, so that neither can tell anything."""
    try:
        items = [unbase64url(leaf[f"c{place}"], "a slot") for place in range(len(leaf) - len(_JOURNAL_LEAF))]
    except Refused as refused:
        raise Refused("leaf-malformed", "a slot of the leaf is not 32 bytes in base64url") from refused
    if not items or len(items) % SLOT_STEP or not all(one < other for one, other in pairwise(items)):
        raise Refused("leaf-malformed", f"the leaf's slots are not sorted and a multiple of {SLOT_STEP}")
