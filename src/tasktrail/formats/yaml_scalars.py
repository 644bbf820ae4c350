"""YAML scalars: what a plain one means, and how a value is written so that every reader of YAML agrees on it."""

from __future__ import annotations

import json
import math
import re
from typing import Final

from tasktrail.model.errors import BadInput

__all__ = ["QUOTES", "plain_value", "written", "written_key"]

QUOTES: Final = ("'", '"')
"""The styles of scalars whose text stands between quotes."""

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_MAX_DIGITS: Final = 4_000  # Python reads whole numbers of up to 4,300
_MAX_KEY_CHARS: Final = 1_000  # libyaml looks for the colon up to 1,024 characters behind the beginning of a key

# ------------------------------------------------------------------------------------------------------------- reading


def plain_value(text: str) -> str | int | float | bool | None:
    """Return a plain scalar's value; a text unless JSON would call it something else, whatever YAML 1.1 made of it.

    Raises:
        ValueError: It is a number, but one that cannot be kept; the message says what was expected.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "-0123456789" or (found := _NUMBER.fullmatch(text)) is None:
        return text
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"expected a number of fewer digits, got: {len(text):,}")
    if found[1] is None and found[2] is None:
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"expected a number that fits 64 bits, got: {text[:40]}")
    return number


# ------------------------------------------------------------------------------------------------------------- writing

_PRINTED: Final = r"\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_ONE_LINE: Final = re.compile(f"[{_PRINTED}]*")
_NOT_PRINTED: Final = re.compile(f"[^{_PRINTED}]")
_NOT_PLAIN: Final = re.compile(r"[-?:,\[\]{}#&*!|>'\"%@`]|\.\.\.|\s|.*(?: #|: |:\Z|\s\Z)")
_NOT_PLAIN_IN_FLOW: Final = re.compile(r"[,\[\]{}:?]")
_OTHER_KIND: Final = re.compile(
    r"y|n|yes|no|on|off|true|false|null|~|=|<<|[-+]?\.(?:inf|nan)"
    r"|[-+]?\.?\d[-+_.:\da-fxotz]*"  # numbers of all notations, times, dates; and some words, which quotes do not hurt
    r"|\d{4}-\d\d?-\d\d?(?:[t\s].*)?",
    re.IGNORECASE,
)
"""What some reader of YAML 1.1 or 1.2 takes for null, a boolean, a number, a date or a merge key."""


def written(value: object, style: str = "", *, in_flow: bool = False) -> str:
    r"""Return null, a boolean, a number or a text as YAML, in one line.

    >>> print(written("to do"), written("no"), written("2026-02-01"), written("a\nb"), written(1e22))
    to do "no" "2026-02-01" "a\nb" 1.0e+22

    Args:
        style: The quotes that a text had, kept where its characters allow that; empty for none, where that is safe.
        in_flow: Whether it stands between braces or brackets.

    Raises:
        BadInput: It is no JSON value: another type, NaN, half of a surrogate pair, or a number of too many digits.
    """
    if isinstance(value, str):
        return _text(str.__str__(value), style, in_flow=in_flow)
    if value is not None and not isinstance(value, bool | int | float):
        raise BadInput(f"expected a JSON value, got one that is none: {type(value).__name__}")
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise BadInput(f"expected a JSON value, got one that is none: {error}") from None
    if len(text) > _MAX_DIGITS:
        raise BadInput(f"expected a number of fewer digits, got: {len(text):,}")
    # YAML 1.1 takes a number without a point for a text.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def written_key(key: object, style: str = "", *, in_flow: bool = False) -> str:
    """Return a mapping's key as YAML.

    Raises:
        BadInput: It is no text, empty, or longer than a reader would follow.
    """
    if not isinstance(key, str) or not key:
        raise BadInput(f"expected a key to be a text, got: {'nothing' if key == '' else repr(key)[:60]}")
    text = _text(str.__str__(key), style, in_flow=in_flow)
    if len(text) > _MAX_KEY_CHARS:
        raise BadInput(f"expected a key of at most {_MAX_KEY_CHARS:,} characters, got: {text[:60]}")
    return text


def _text(text: str, style: str, *, in_flow: bool) -> str:
    if not style and _is_plain(text, in_flow=in_flow):
        return text
    if style == "'" and _ONE_LINE.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput("expected a JSON value, got one that is none: half of a surrogate pair") from None
    # JSON's escapes are YAML's too; YAML has more characters that may not stand as they are.
    return _NOT_PRINTED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _is_plain(text: str, *, in_flow: bool) -> bool:
    """Whether a text is the same without quotes, for every reader."""
    if not text or _NOT_PLAIN.match(text) or not _ONE_LINE.fullmatch(text) or _OTHER_KIND.fullmatch(text):
        return False
    return not (in_flow and _NOT_PLAIN_IN_FLOW.search(text))
