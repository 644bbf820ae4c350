"""Spans of time as people write them: `90s`, `5m`, `2h`, `7d`, `500ms`, or a number of seconds."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tasktrail.model.errors import BadInput

MS_BY_UNIT: Final[Mapping[str, int]] = MappingProxyType({
    "ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
})  # fmt: skip
LONGEST_MS: Final = 3_650 * MS_BY_UNIT["d"]
"""Ten years: a longer limit is a slip of the keyboard, and a date beyond the calendar would raise much later."""

_UNITS: Final = tuple(MS_BY_UNIT)
_DURATION: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|d)")
_EXAMPLES: Final = "a number of seconds or a text like 500ms, 90s, 5m, 2h, 7d"


def parse_duration_ms(value: object, what: str = "a duration") -> int:
    """Return the milliseconds, at least 1.

    >>> parse_duration_ms("90s"), parse_duration_ms(1.5), parse_duration_ms("2h")
    (90000, 1500, 7200000)

    Args:
        value: A number of seconds, or one number with one unit.
        what: The word for it in the error message.

    Raises:
        BadInput: It is neither, shorter than a millisecond, or longer than ten years.
    """
    ms = _milliseconds(value)
    if ms is None:
        raise BadInput(f"expected {what} to be {_EXAMPLES}, got: {_shown(value)}{_advice(value)}")
    if not 1 <= ms <= LONGEST_MS:
        raise BadInput(f"expected {what} to be from 1ms to {duration_text(LONGEST_MS)}, got: {_shown(value)}")
    return round(ms)


def duration_text(ms: int) -> str:
    """Return a duration in the largest unit that says it in whole numbers; `parse_duration_ms` reads it.

    >>> duration_text(90_000), duration_text(300_000), duration_text(1_500)
    ('90s', '5m', '1500ms')
    """
    unit = next(unit for unit in reversed(_UNITS) if ms % MS_BY_UNIT[unit] == 0)
    return f"{ms // MS_BY_UNIT[unit]}{unit}"


def _milliseconds(value: object) -> float | None:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        return float(found[1]) * MS_BY_UNIT[found[2]] if found else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if abs(value) > LONGEST_MS or not math.isfinite(value):  # before multiplying: a huge whole number is no float
        return math.inf if value > 0 else -math.inf
    return value * 1_000.0


def _advice(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[0-9.]+", value):
        return "; a text needs its unit, and a number no quotes"
    if isinstance(value, str) and len(re.findall(r"[0-9]+ ?(?:ms|s|m|h|d)", value)) > 1:
        return "; write one number with one unit, 90m instead of 1h30m"
    return ""


def _shown(value: object) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"{type(value).__name__} too long to show"
