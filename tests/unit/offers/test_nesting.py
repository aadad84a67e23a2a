"""What is nested too deeply is cut to what can be read, and still seen to be too deep."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offers.feeds.nesting import is_deeper, shallow

JSON = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(['"[', "\\", '\\"{', "]}", "a,b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def emptied(document: Any, levels: int) -> Any:
    """Return a document as `shallow` should leave it."""
    if isinstance(document, dict):
        return {} if levels == 1 else {name: emptied(each, levels - 1) for name, each in document.items()}
    if isinstance(document, list):
        return [] if levels == 1 else [emptied(each, levels - 1) for each in document]
    return document


@given(JSON, st.integers(1, 5))
def test_what_is_too_deep_is_emptied(document: Any, levels: int) -> None:
    """Everything above stays as it was, strings that hold brackets too, and what is cut is seen to be too deep."""
    body = json.dumps(document).encode()
    cut = json.loads(shallow(body, levels))

    assert cut == emptied(document, levels)
    assert is_deeper(cut, levels - 1) == is_deeper(document, levels - 1)
    assert not is_deeper(cut, levels)


@pytest.mark.parametrize(
    "body",
    [b"[" * 10**6, b'{"a":' * 10**6, b'"' + b'\\"' * 10**6, b'["' * 10**6, b"]" * 10**6, b'[[["\\', b"[[[[}}}}"],
    ids=lambda body: str(body[:4]),
)
def test_what_is_no_json_stays_none(body: bytes) -> None:
    """A body that ends in the middle is not made one that can be read, however long it is."""
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(shallow(body, 3))


def test_a_million_levels() -> None:
    """No reader's stack is asked for more than the levels that are left."""
    deep = b'{"a":[' * 500_000 + b"1" + b"]}" * 500_000

    assert shallow(deep, 3) == b'{"a":[{}]}'
