"""What may reach a terminal: text of a bundle or a file is data there, and never moves the cursor or hides a line."""

import errno
import os
from typing import TextIO

SHOWN_CHARACTERS = 500


def printable(text: str) -> str:
    r"""Write whatever does not print as itself (controls, newlines, bidi overrides, surrogates) as `\uXXXX`, and cut.

    `printable("a\nb")` is `a\u000ab`.
    """
    shown = "".join(each if each.isprintable() else _escaped(each) for each in text[: SHOWN_CHARACTERS + 1])
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[: SHOWN_CHARACTERS - 3] + "..."


def write(stream: TextIO | None, text: str) -> None:
    """Write a text and its newline; a character that the stream's encoding lacks is written by its code.

    Raises OSError when it cannot be written; a stream that was closed before Python began is None.
    """
    if stream is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    encoding = stream.encoding or "utf-8"
    stream.write((text + "\n").encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
