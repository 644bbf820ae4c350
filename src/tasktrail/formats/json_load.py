"""Strict reading of JSON texts: what is refused is refused with its line and column."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from json.decoder import JSONDecoder, scanstring  # type: ignore[attr-defined]  # typeshed leaves scanstring out
from typing import Final

from tasktrail.model.errors import BadInput

__all__ = ["BOM", "MAX_CHARS", "MAX_DEPTH", "first", "load", "position", "refusal", "skip_blank", "syntax_fault"]

MAX_CHARS: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 100
BOM: Final = "\ufeff"
_MAX_FAULTS: Final = 20


class _Suspect(Exception):
    """The quick reader met something that is JSON for Python, but not for us; the slow one says where."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Suspect
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Suspect
    return number


def _no_constant(_: str) -> object:
    raise _Suspect


_STRICT: Final = JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?(?:Infinity|\d[-+.\deE]*)|NaN|[][{},]', re.DOTALL)
_blank_end: Final = re.compile(r"[ \t\n\r]*").match


def load(text: str, where: str) -> object:
    """Return the value of a JSON text; stricter than `json.loads`, and it says where it refuses.

    Refused are duplicate keys, NaN and Infinity (also a number that overflows to it), integers longer than Python
    reads, lone surrogates, nesting deeper than 100, and texts over 64 Mi characters. A byte order mark is skipped.

    Args:
        where: How messages name the text: the path of its file.

    Raises:
        BadInput: `where:line:column: what is wrong`; several faults are listed in the details.
    """
    if len(text) > MAX_CHARS:
        raise BadInput(f"{where}: expected at most {MAX_CHARS:,} characters, got: {len(text):,}")
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise syntax_fault(text, error, where) from None
    except (_Suspect, ValueError, RecursionError):
        raise refusal(text, where) from None
    return value


def _decode(text: str) -> object:
    value, end = _STRICT.raw_decode(text, first(text))
    end = skip_blank(text, end)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    may_be_deep = text.count("{") + text.count("[") > MAX_DEPTH
    if _SURROGATE.search(text) or (may_be_deep and _too_deep(value)):
        _check_text(text)
    text.encode()
    return value


def _check_text(text: str) -> None:
    """An escape that looks like half of a pair may be a whole one, so the slow reader has the last word."""
    if any(_faults(text)):
        raise _Suspect


def _too_deep(value: object) -> bool:
    level, depth = _containers([value]), 0
    while level and depth < MAX_DEPTH:
        inner = [outer.values() if isinstance(outer, dict) else outer for outer in level]
        level, depth = _containers(chain.from_iterable(inner)), depth + 1
    return bool(level)


def _containers(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, dict | list)]


def refusal(text: str, where: str) -> BadInput:
    """Return the error for what `load` refuses although its syntax is sound."""
    # No more of them: each one's line takes a walk over the text, and a hostile text has faults in every fourth place.
    found = islice(_faults(text), _MAX_FAULTS)
    faults = [f"{where}:{position(text, offset)}: {what}" for offset, what in found]
    if not faults:
        return BadInput(f"{where}: expected JSON that is not nested so deeply")
    if len(faults) == 1:
        return BadInput(faults[0])
    return BadInput(f"{where} cannot be read", details=faults)


def syntax_fault(text: str, error: json.JSONDecodeError, where: str) -> BadInput:
    """Return the error for a text that is no JSON."""
    what = error.msg.removesuffix(" at").replace("Expecting", "expected")
    if error.pos >= len(text.rstrip()):
        what = f"the text ends too early: {what}"
    return BadInput(f"{where}:{position(text, error.pos)}: {what[:1].lower()}{what[1:]}")


def position(text: str, offset: int) -> str:
    r"""Return `line:column`, both from 1, of a character.

    >>> position('{\n  "a": x', 9)
    '2:8'
    """
    start = text.rfind("\n", 0, offset) + 1
    mark = 1 if start == 0 and text.startswith(BOM) else 0
    lines = text.count("\n", 0, offset)
    return f"{lines + 1}:{max(offset - start - mark, 0) + 1}"


def _faults(text: str) -> Iterator[tuple[int, str]]:
    """Find what the quick reader cannot place, in a text whose syntax is sound as far as it matters."""
    stack: list[set[str] | None] = []
    expects_key = False
    for token in _TOKEN.finditer(text):
        word, start = token.group(), token.start()
        if word in "{[":
            stack.append(set() if word == "{" else None)
            if len(stack) > MAX_DEPTH:
                yield start, f"expected at most {MAX_DEPTH} levels of nesting"
                return
        elif word in "}]":
            del stack[-1:]
        elif word[0] == '"':
            keys = stack[-1] if stack and expects_key else None
            yield from ((start, fault) for fault in _string_faults(text, start, keys))
        elif word != ",":
            yield from ((start, fault) for fault in _number_faults(word))
        expects_key = word == "{" or (word == "," and bool(stack) and stack[-1] is not None)


def _string_faults(text: str, start: int, keys: set[str] | None) -> Iterator[str]:
    try:
        string, _ = scanstring(text, start + 1, True)
        string.encode()
    except UnicodeEncodeError:
        yield "expected text, got: half of a surrogate pair"
        return
    except ValueError:
        return
    if keys is not None:
        if string in keys:
            yield f"expected each key once, got: {_quoted(string)} again"
        keys.add(string)


def _number_faults(word: str) -> Iterator[str]:
    if word.endswith(("NaN", "Infinity")):
        yield f"expected a number, got: {word}"
        return
    try:
        if word.lstrip("-").isdigit():
            int(word)
        elif not math.isfinite(float(word)):
            yield f"expected a number that fits 64 bits, got: {word[:40]}"
    except ValueError:
        yield f"expected a number of fewer digits, got: {len(word):,}"


def _quoted(text: str) -> str:
    return json.dumps(text[:60], ensure_ascii=False)


def first(text: str) -> int:
    """Return where the document's value starts."""
    return skip_blank(text, text.startswith(BOM))


def skip_blank(text: str, start: int) -> int:
    """Return where the blanks that start here end."""
    return _blank_end(text, start).end()  # type: ignore[union-attr]  # it matches the empty text too
