"""Cuts a long text where no value is cut, so that it can be scrubbed piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from tasktrail.model.scrub import STRICT, scrub

CHUNK_CHARS: Final = 1 << 20
_AROUND: Final = 1 << 14
"""How much is looked at on both sides of a cut: a private key of 16,384 bits has 13,000 characters."""
_MOST: Final = 16 * CHUNK_CHARS
_TRIES: Final = 20
_STEP: Final = 1013
_KEY: Final = b"alike in one piece and in two"


def pieces(chunks: Iterable[str]) -> Iterator[str]:
    """Yield the same text in pieces that can be scrubbed one after the other.

    Where no place to cut is found in 16 million characters, it is cut all the same.
    """
    held = ""
    for chunk in chunks:
        held += chunk
        at = _cut(held)
        if at:
            yield held[:at]
            held = held[at:]
    if held:
        yield held


def _cut(text: str) -> int:
    """Return where to cut, 0 for nowhere yet."""
    end = len(text) - _AROUND
    if end <= 0:
        return 0
    found = next((at for at in _places(text, end) if _is_safe(text, at)), 0)
    return found or (end if len(text) >= _MOST else 0)


def _places(text: str, end: int) -> Iterator[int]:
    """Yield the last ends of lines, then of words, then any places."""
    for mark in ("\n", " "):
        yield from islice(_ends(text, mark, end), _TRIES)
    yield from range(end, max(0, end - _TRIES * _STEP), -_STEP)


def _ends(text: str, mark: str, end: int) -> Iterator[int]:
    at = text.rfind(mark, 0, end)
    while at >= 0:
        yield at + 1
        at = text.rfind(mark, 0, at)


def _is_safe(text: str, at: int) -> bool:
    """Whether what stands around reads the same in one piece and in two; with a key no number counts anything."""
    left, right = text[max(0, at - _AROUND) : at], text[at : at + _AROUND]
    whole, first, second = (scrub(one, STRICT, key=_KEY) for one in (left + right, left, right))
    return whole == first + second
