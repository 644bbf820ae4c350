"""What becomes of Python values: JSON text in their column or, when long, once by content."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import OrderedDict
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.engine.values import LARGEST_INLINE, NOTHING, Encoded, decode, encode
from tasktrail.model.errors import BadInput
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


class Level(IntEnum):
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: int


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """One in memory, for all tests of this file: each value is a row of its own."""
    store = open_store("memory:")
    yield store
    store.close()


def kept(store: Store, value: object) -> object:
    """Return a value as it comes back."""
    encoded = encode(value, "the value")
    store.write(lambda tx: encoded.keep(tx, 1))
    return store.read(lambda tx: decode(encoded.column, tx))


@given(value=JSON)
def test_json_comes_back_as_it_was(store: Store, value: object) -> None:
    assert kept(store, value) == value


@given(length=st.integers(LARGEST_INLINE - 5, LARGEST_INLINE + 5))
def test_a_long_text_comes_back_from_its_payload(store: Store, length: int) -> None:
    text = "ä" * length

    assert kept(store, text) == text
    assert (encode(text, "x").payload is None) == (length + 2 <= LARGEST_INLINE)


def test_a_payload_is_named_by_its_content() -> None:
    encoded = encode(["x" * 2000], "the value")

    assert encoded.payload is not None
    assert encoded.column == "@" + hashlib.sha256(encoded.payload.encode()).hexdigest()
    assert json.loads(encoded.payload) == ["x" * 2000]


@pytest.mark.parametrize("value", ["@" + "0" * 64, "@", '"@"', "@x" * 1000])
def test_a_text_that_looks_like_a_payload_is_none(store: Store, value: str) -> None:
    assert kept(store, value) == value


def test_none_is_no_value() -> None:
    assert encode(None, "x") is NOTHING
    assert Encoded(None) == NOTHING


@pytest.mark.parametrize(
    ("value", "as_json"),
    [
        ((1, 2), [1, 2]), (OrderedDict(a=1), {"a": 1}), (Level.HIGH, 2), (Point(1, 2), [1, 2]),
        ({2: "a", None: "b", True: "c"}, {"2": "a", "null": "b", "true": "c"}), (10**400, 10**400),
    ],
    ids=str,
)  # fmt: skip
def test_what_json_says_in_its_own_way_comes_back_so(store: Store, value: Any, as_json: Any) -> None:
    """As `json.dumps` does it; the first reader sees the same as the last."""
    assert kept(store, value) == as_json


@pytest.mark.parametrize("value", [{1: "a", "1": "b"}, {"x": [{True: 1, "true": 2}]}, {None: 1, "null": 2}], ids=str)
def test_keys_that_would_become_one_are_refused(value: Any) -> None:
    with pytest.raises(BadInput, match="key"):
        encode(value, "the value")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (object(), "object"), ({"a": [b"x"]}, "bytes"), ({"a": {1, 2}}, "set"), (Path("a"), "Path"), (1j, "complex"),
        (float("inf"), "float"), (float("nan"), "float"), ({(1, 2): 3}, "tuple"), ("\udcff", "surrogate"),
        ({"\udcff": 1}, "surrogate"), (lambda: 1, "function"), (10**5000, "digits"), (Ellipsis, "ellipsis"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_not_json_is_refused_with_its_type(value: object, word: str) -> None:
    with pytest.raises(BadInput, match="the value is not JSON") as error:
        encode(value, "the value")

    assert word in str(error.value)
    assert error.value.hint


def test_what_is_refused_is_not_shown() -> None:
    """It may be long or private."""

    class Secret:
        def __repr__(self) -> str:
            return "hunter2secret"

    with pytest.raises(BadInput) as error:
        encode({"key": [Secret()]}, "the value")

    assert "hunter2secret" not in str(error.value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(BadInput, match="not JSON"):
        encode(value, "the value")


def test_a_value_whose_own_methods_fail_is_refused() -> None:
    class Broken(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("no items today")

    with pytest.raises(BadInput, match="not JSON"):
        encode(Broken(a=1), "the value")


@pytest.mark.parametrize("depth", [100, 400, 800, 900, 950, 1000, 100_000])
def test_what_is_kept_can_be_read_with_half_of_the_stack(store: Store, depth: int) -> None:
    """A reader may stand deeper than the writer stood: what cannot be read for sure is refused when it is written."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    try:
        encoded = encode(value, "the value")
    except BadInput as error:
        assert "nested" in str(error)  # either is right  # noqa: PT017  # either is right
        return
    store.write(lambda tx: encoded.keep(tx, 1))

    def read(levels: int) -> object:
        return read(levels - 1) if levels else store.read(lambda tx: decode(encoded.column, tx))

    assert read(sys.getrecursionlimit() // 2 - 100) is not None


def test_a_payload_that_is_gone_is_none(store: Store) -> None:
    """Verification says so; a reader must not fail because of it."""
    assert store.read(lambda tx: decode("@" + "0" * 64, tx)) is None
