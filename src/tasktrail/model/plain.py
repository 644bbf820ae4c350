"""Any Python value as JSON can hold it: what cannot be told is named, what is too much is cut, nothing raises."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from enum import Enum
from pathlib import PurePath
from typing import Final, TypeAlias
from uuid import UUID

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

DEEPEST: Final = 32
MOST: Final = 10_000
"""Values that one structure may have, the inner ones counted."""
LONGEST: Final = 10_000
"""Characters of one text."""
_NOTE: Final = 44
"""Room for saying what is missing."""
GUARD: Final = 4_096
"""Characters of the longest value that a cut in its middle may not let pass, such as a private key."""
_HELD: Final = re.compile("……([^…\n]{1,40})……")
_LARGEST: Final = 2**63


def plain(value: object) -> Plain:
    """Return what JSON can hold of a value.

    Tuples and sets become lists, keys texts, dates ISO 8601, enumerations their values. What has no counterpart is
    named in brackets: bytes, NaN, integers beyond 64 bits, objects of other classes, a structure that contains itself.

    >>> plain({"a": (1, b"x", float("nan")), 2: {3}})
    {'a': [1, '[1 byte]', '[nan]'], '2': [3]}
    """
    return _Reader().read(value, DEEPEST)


def shortened(text: str, longest: int) -> str:
    """Keep the beginning and the end of a text that is too long, and say how much is missing.

    Done twice it changes nothing: what comes of it is no longer than that.

    >>> shortened("abcdefgh" * 9, 60)
    'abcdefgh\\n… 56 characters left out …\\nabcdefgh'
    """
    if len(text) <= longest:
        return text
    half = _half(longest)
    return _told(text[:half], len(text) - 2 * half, text[len(text) - half :])


def held(text: str, longest: int) -> str:
    """Keep of a text that is too long, and is still to be scrubbed, what `trimmed` looks at afterwards.

    A value that this cuts in two is not known any more; so more is kept than may stay. Done twice it changes nothing.
    """
    if len(text) <= longest + 2 * GUARD:
        return text
    half = _half(longest) + GUARD
    return _told(text[:half], len(text) - 2 * half, text[len(text) - half :], "……")


def trimmed(text: str, longest: int) -> str:
    """Shorten a text that was held and scrubbed; of what stood at the cut nothing stays, it may be half a value.

    Done twice it changes nothing.
    """
    cuts = [*_HELD.finditer(text)]
    if not cuts:
        return shortened(text, longest)
    half = _half(longest)
    head = text[: max(0, min(half, cuts[0].start() - 1 - GUARD))]
    tail = text[max(len(text) - half, cuts[-1].end() + 1 + GUARD) :]
    missing = sum(int(number[0]) - len(cut[0]) - 2 for cut in cuts if (number := re.search("[0-9]{1,12}", cut[1])))
    return _told(head, len(text) - len(head) - len(tail) + missing, tail)


def _half(longest: int) -> int:
    return max(0, longest - _NOTE) // 2


def _told(head: str, n_missing: int, tail: str, mark: str = "…") -> str:
    return f"{head}\n{mark} {n_missing} characters left out {mark}\n{tail}"


def storable(text: str) -> str:
    """Return a text as every database takes it: without lone surrogates and NUL."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "\\0")


def _text(text: str) -> str:
    return storable(text if len(text) <= LONGEST else shortened(text, LONGEST))


class _Reader:
    """Reads one structure; knows what it is inside of, and how much it has read."""

    def __init__(self) -> None:
        self._around: set[int] = set()
        self._left = MOST

    def read(self, value: object, depth: int) -> Plain:
        self._left -= 1
        if type(value) is str:  # what JSON has most of
            return _text(value)
        if value is None or value is True or value is False:
            return value
        try:
            is_leaf = type(value) in _NUMBERS or not isinstance(value, _CONTAINERS)
            return self._leaf(value) if is_leaf else self._inside(value, depth)
        except Exception:  # noqa: BLE001 - a value may be of a class with methods of its own
            return f"[{type(value).__name__} that cannot be read]"

    def _leaf(self, value: object) -> Plain:
        if isinstance(value, Enum):
            return self.read(value.value, 1)
        if isinstance(value, str):
            return _text(str(value))
        if isinstance(value, int):
            return int(value) if -_LARGEST <= value < _LARGEST else f"[integer of {value.bit_length()} bits]"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else f"[{float(value)}]"
        if isinstance(value, bytes | bytearray | memoryview):
            size = memoryview(value).nbytes
            return f"[{size} byte{'s' * (size != 1)}]"
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, PurePath | UUID):
            return storable(str(value))
        return f"[{type(value).__name__}]"

    def _inside(self, value: object, depth: int) -> Plain:
        if id(value) in self._around:
            return "[contains itself]"
        if depth == 0:
            return f"[{type(value).__name__} nested too deep]"
        self._around.add(id(value))
        try:
            if isinstance(value, _MAPPINGS):
                return self._members(value, depth)
            assert isinstance(value, Iterable)
            return self._items(value, depth)
        finally:
            self._around.discard(id(value))

    def _members(self, value: Mapping[object, object], depth: int) -> Plain:
        read: dict[str, Plain] = {}
        for key, one in value.items():
            if self._left <= 0:
                read["…"] = "more left out"
                break
            read[_text(key) if type(key) is str else self._name(key)] = self.read(one, depth - 1)
        return read

    def _name(self, key: object) -> str:
        """Return a key as JSON would write it."""
        return json.dumps(key) if key is None or type(key) is bool else str(self._leaf(key))

    def _items(self, value: Iterable[object], depth: int) -> Plain:
        read: list[Plain] = []
        for one in value:
            if self._left <= 0:
                read.append("… more left out")
                break
            read.append(self.read(one, depth - 1))
        return read


# Ordinary classes come first: to ask the abstract one takes longer than all else.
_NUMBERS: Final = frozenset({int, float})
_MAPPINGS: Final = (dict, Mapping)
_CONTAINERS: Final = (list, tuple, set, frozenset, *_MAPPINGS)
