"""Signed notes, checkpoints and cosignatures, as C2SP writes them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from koinon.audit.notes import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    NoteError,
    NoteKey,
    Signature,
    Verified,
    open_note,
    parse_checkpoint,
    parse_note,
    public_key,
    sign,
    write_note,
)
from koinon.audit.tree import EMPTY_ROOT
from koinon_verify.notes import read_key

LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NAME = "log.example/sun"
KEY = public_key(NAME, LOG)
WITNESS_KEY = public_key("witness.example", WITNESS, COSIGNATURE)
CHECKPOINT = Checkpoint(NAME, 300, EMPTY_ROOT)


def test_the_specifications_own_example_opens() -> None:
    """The key and note of C2SP signed-note's test vector verify, and we write the key as it was."""
    text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    read = read_key(text)
    key = NoteKey(read.name, ED25519, read.public)
    note = (
        "This is an example message.\n\n— example.com/foo "
        "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    )

    assert (key.name, key.kind, key.key_id.hex(), key.text) == ("example.com/foo", 1, "530d903a", text)
    assert open_note(note, [key]).text == "This is an example message.\n"
    with pytest.raises(NoteError, match="does not verify"):
        open_note(note.replace("example message", "Example message"), [key])


def test_a_checkpoint_is_three_lines() -> None:
    """A checkpoint's body is origin, size and root; any other spelling is refused."""
    body = "log.example/sun\n300\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"

    assert CHECKPOINT.body == body
    assert parse_checkpoint(body) == CHECKPOINT
    for wrong in (
        body + "extension\n",
        body[:-1],
        body.replace("300", "0300"),
        body.replace("300", "-300"),
        body.replace("300", "\u0663\u0660\u0660"),
        body.replace("uFU=", "uFV="),
        body.replace("47DE", ""),
        "\n300\n" + body.split("\n")[2] + "\n",
    ):
        with pytest.raises(NoteError):
            parse_checkpoint(wrong)


def test_a_signed_checkpoint_has_these_bytes() -> None:
    """Ed25519 is deterministic: the same key and body give this note, with the em dash and the key's id."""
    note = write_note(CHECKPOINT.body, [sign(CHECKPOINT.body, NAME, LOG)])

    assert note == (
        "log.example/sun\n300\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— log.example/sun "
        "Quqw6z1dZP0/IOjG3hR0fARLQBlmndp0yK1lAiCcHsaOShVTpYYIsYamGqpEuXjPvUzhbnqJ7ldMsNfDpaTnFmCVPwU=\n"
    )
    assert open_note(note, [KEY]).verified == (Verified(KEY),)
    assert KEY.text == "log.example/sun+42eab0eb+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert read_key(KEY.text).key_id == KEY.key_id


def cosign(text: str, name: str, private_key: Ed25519PrivateKey, time_seconds: int) -> Signature:
    """Cosign a checkpoint's body as a witness at a POSIX time (type 0x04, `cosignature/v1`)."""
    made = private_key.sign(f"cosignature/v1\ntime {time_seconds}\n{text}".encode())
    return Signature(name, public_key(name, private_key, COSIGNATURE).key_id, time_seconds.to_bytes(8) + made)


def test_a_witness_cosigns_with_a_time() -> None:
    """A cosignature is 4 + 8 + 64 bytes, says its second, and covers both the second and the body."""
    line = cosign(CHECKPOINT.body, "witness.example", WITNESS, 1_772_000_000)
    note = write_note(CHECKPOINT.body, [sign(CHECKPOINT.body, NAME, LOG), line])
    later = Signature(line.name, line.key_id, (1_772_000_001).to_bytes(8) + line.signature[8:])

    assert len(line.key_id + line.signature) == 76
    assert open_note(note, [KEY, WITNESS_KEY]).verified == (Verified(KEY), Verified(WITNESS_KEY, 1_772_000_000))
    with pytest.raises(NoteError, match=r"witness\.example does not verify"):
        open_note(write_note(CHECKPOINT.body, [sign(CHECKPOINT.body, NAME, LOG), later]), [KEY, WITNESS_KEY])
    with pytest.raises(NoteError, match="does not verify"):
        open_note(write_note(CHECKPOINT.body, [Signature(line.name, line.key_id, b"\x00")]), [WITNESS_KEY])


def test_unknown_keys_are_ignored_and_known_ones_must_hold() -> None:
    """A stranger's line changes nothing, even under our name; a line of ours that fails refuses the note."""
    good = sign(CHECKPOINT.body, NAME, LOG)
    stranger = sign(CHECKPOINT.body, NAME, WITNESS)
    forged = Signature(NAME, KEY.key_id, stranger.signature)

    assert open_note(write_note(CHECKPOINT.body, [stranger, good]), [KEY]).verified == (Verified(KEY),)
    with pytest.raises(NoteError, match="no known key"):
        open_note(write_note(CHECKPOINT.body, [stranger]), [KEY])
    with pytest.raises(NoteError, match="does not verify"):
        open_note(write_note(CHECKPOINT.body, [good, forged]), [KEY])


def test_the_text_ends_at_the_last_empty_line() -> None:
    """A text may hold empty lines itself."""
    text = "first\n\nlast\n"

    assert parse_note(write_note(text, [sign(text, NAME, LOG)]))[0] == text


def test_sixteen_signatures_are_accepted() -> None:
    """A note may carry the sixteen signatures that every reader must accept, not any number."""
    good = sign(CHECKPOINT.body, NAME, LOG)
    others = [Signature(f"witness{number}.example", b"\x00" * 4, b"\x00" * 72) for number in range(15)]

    assert open_note(write_note(CHECKPOINT.body, [*others, good]), [KEY]).verified == (Verified(KEY),)
    with pytest.raises(NoteError, match="at most 64"):
        open_note(write_note(CHECKPOINT.body, [*others * 5, good]), [KEY])


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note[:-1],
        lambda note: note.replace("— ", "- "),
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note + "\n",
        lambda note: note.replace("300", "3\t00"),
        lambda note: note.replace("— log", "—  log"),
        lambda note: note[:-2] + "!\n",
        lambda note: note + "— short AAAA\n",
        lambda note: note + "— a+b AAAAAAAA\n",
        lambda note: note + "x" * 1_000_000,
        lambda note: "",
    ],
)
def test_a_malformed_note_is_refused(change: object) -> None:
    """Whatever is not a text, an empty line and signature lines is no note."""
    note = write_note(CHECKPOINT.body, [sign(CHECKPOINT.body, NAME, LOG)])

    assert callable(change)
    with pytest.raises(NoteError):
        open_note(change(note), [KEY])


def test_what_cannot_be_a_note_is_not_written() -> None:
    """A text without a last newline, a note without signatures and a name with a space are refused."""
    with pytest.raises(NoteError, match="ends in a newline"):
        sign("no newline", NAME, LOG)
    with pytest.raises(NoteError, match="at least one signature"):
        write_note("text\n", [])
    with pytest.raises(NoteError, match="no space"):
        sign("text\n", "two words", LOG)
