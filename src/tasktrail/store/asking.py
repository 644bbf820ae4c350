"""What somebody asks of a store in SQL of their own: one statement that reads, with an end to its time and its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tasktrail.model.errors import BadInput, TookTooLong

Cell: TypeAlias = bool | int | float | str | bytes | None

_READERS: Final = ("SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "SHOW")
_SPACE: Final = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))"
_FIRST: Final = re.compile(rf"(?:{_SPACE}|\()*(\w*)", re.DOTALL)
NOTHING_MORE: Final = re.compile(rf"(?:{_SPACE}|;)*", re.DOTALL)
"""What may stand behind the one statement."""
_AROUND: Final = 60
"""Characters of a long line that are shown before a place."""
_HINT: Final = "tasktrail help lists the commands that change tasks and runs"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a statement gave, exactly as it is stored.

    Args:
        more: Whether there are more rows than were wanted.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    more: bool


def check_reads(text: str) -> None:
    """Refuse what begins as no statement that reads. It is the database itself that refuses to write.

    Raises:
        BadInput: It begins otherwise, or is empty.
    """
    found = _FIRST.match(text)
    word = found[1].upper() if found else ""
    if not word:
        raise BadInput("expected a statement in SQL, got nothing", hint='tasktrail sql "SELECT * FROM executions"')
    if word not in _READERS:
        raise refused(word)


def refused(what: str) -> BadInput:
    """Return the error of a statement that does more than read."""
    return BadInput(f"the store is only read here: {what} is refused; nothing was changed", hint=_HINT)


def several() -> BadInput:
    """Return the error of more than one statement."""
    return BadInput("expected one statement, got several", hint="ask one after the other")


def too_long(timeout_s: float) -> TookTooLong:
    """Return the error of a statement that took longer than it may."""
    return TookTooLong(
        f"the statement was stopped after {timeout_s:g} s", hint="ask for less, or allow more time: --timeout 300"
    )


def misunderstood(message: str, text: str, at: int | None) -> BadInput:
    """Return the error of a statement that the database does not understand, with the place.

    Args:
        at: Characters before the place; None where the database names none.
    """
    if at is None or not 0 <= at <= len(text):
        return BadInput(message)
    before = text[:at]
    number, column = before.count("\n") + 1, at - (before.rfind("\n") + 1)
    line = text.split("\n")[number - 1]
    start = max(0, column - _AROUND) if len(line) > 2 * _AROUND else 0
    shown = f"{line[start : start + 2 * _AROUND]}\n{' ' * (column - start)}^"
    return BadInput(f"line {number}, column {column + 1}: {message}", details=[shown])
