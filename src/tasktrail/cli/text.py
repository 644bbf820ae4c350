"""Text for people: times and spans, tables that fit, colours where they are wanted, nothing that steers a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tasktrail.engine.failure_memory import Memory

Row = Sequence[str]
Style = Callable[[int, str], str | None]
"""Says how a cell is coloured, given its column and its text; None leaves it as it is."""

_CODES: Final = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36",
}  # fmt: skip
_SMALLEST_COLUMN: Final = 8
# As in logs.py: what people wrote must not move the cursor, nor turn the direction of writing.
_CONTROLS: Final = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours text, or leaves it as it is."""

    on: bool

    def __call__(self, style: str | None, text: str) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.on and style and text.strip() else text


def plain(text: object) -> str:
    """Return text as one line without control characters."""
    return str(text).translate(_CONTROLS)


def named(reference: str, title: str | None) -> str:
    """Return a part's reference, with what it is called behind it."""
    return plain(f"{reference} {title}") if title else plain(reference)


def first_line(text: str) -> str:
    """Return the first line of a text that says something."""
    return plain(next((line.strip() for line in text.splitlines() if line.strip()), ""))


def error_words(kind: str | None, message: str | None) -> str:
    """Return an error in one line, its type first where it is known."""
    words = ": ".join(part for part in (plain(kind or ""), first_line(message or "")) if part)
    return words or "no reason given"


def memory_lines(memory: Memory | None) -> list[str]:
    """Return what is known of a failure, a line each; nothing where nothing is."""
    if memory is None:
        return []
    error, tasks = memory.error, ", ".join(map(plain, memory.tasks))
    times = "once" if error.occurrences == 1 else f"{error.occurrences:,} times"
    stands = f", {error.status}" if error.status != "open" else ""
    lines = [f"error {error.fingerprint}, seen {times}{stands}: {error_words(error.type, error.example)}"]
    if error.status == "regressed":
        lines[0] += f" (it was resolved {local(error.resolved_at)})"
    if error.note:
        lines.append(f"  {error.status if error.status != 'regressed' else 'resolved'}: “{plain(error.note)}”")
    if tasks:
        lines.append(f"  in {tasks}")
    for one in memory.mended:
        said = "".join(f" “{plain(note)}”" for note in one.notes)
        lines.append(f"  attempt {one.attempt} of {plain(one.task)} succeeded afterwards{':' if said else ''}{said}")
    return lines


def local(at: int | None) -> str:
    """Return a stored time as people here read it; `-` for none."""
    return "-" if at is None else datetime.fromtimestamp(at / 1_000_000).strftime("%Y-%m-%d %H:%M:%S")


def clock(at: int | None) -> str:
    """Return the time of day of a stored time."""
    return local(at).rpartition(" ")[2]


def span(us: int | None) -> str:
    """Return how long something took; `-` for never.

    >>> [span(us) for us in (None, 12_400, 2_100_000, 45_200_000, 125_000_000, 3_720_000_000, 100_000_000_000)]
    ['-', '12ms', '2.1s', '45.2s', '2m 05s', '1h 02m', '1d 03h']
    """
    if us is None:
        return "-"
    if us < 100_000:
        return f"{us // 1000}ms"
    if us < 59_950_000:
        return f"{us / 1_000_000:.1f}s"
    minutes, seconds = divmod(round(us / 1_000_000), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02d}h"
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {seconds:02d}s"


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character) or character in "\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, columns: int) -> str:
    """Return a text that takes at most so many columns; what is cut off is shown as `…`."""
    if width(text) <= columns:
        return text
    kept, used = [], 1
    for character in text:
        used += _cells(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept) + "…"


def pad(text: str, columns: int) -> str:
    """Return a text filled up with blanks."""
    return text + " " * (columns - width(text))


def box(header: Row, rows: Sequence[Row], *, limit: int | None, ink: Ink, style: Style) -> Iterator[str]:
    """Yield the lines of a table with a frame, as document 003 draws it; its first column gives way when it must.

    Args:
        limit: Columns there are; None for any number, then nothing is cut.
    """
    # One blank on the left and two on the right; the header of the last column touches the frame.
    widths = [_widest(header, rows, column) + 3 for column in range(len(header))]
    widths[-1] = max(width(header[-1]) + 1, max((width(row[-1]) for row in rows), default=0) + 2)
    _give_way(widths, limit, between=len(header) + 1, column=0, spare=3)
    lines = ["─" * columns for columns in widths]
    yield f"┌{'┬'.join(lines)}┐"
    names = (pad(f" {name}", columns) for name, columns in zip(header, widths, strict=True))
    yield "│" + "│".join(ink("bold", name) for name in names) + "│"
    yield f"├{'┼'.join(lines)}┤"
    for row in rows:
        cells = (shorten(row[0], widths[0] - 2), *row[1:])
        filled = (pad(f" {cell}", columns) for cell, columns in zip(cells, widths, strict=True))
        yield "│" + "│".join(ink(style(column, row[column]), text) for column, text in enumerate(filled)) + "│"
    yield f"└{'┴'.join(lines)}┘"


def columns(header: Row, rows: Sequence[Row], *, limit: int | None, ink: Ink, style: Style) -> Iterator[str]:
    """Yield the lines of a table without a frame, two blanks between columns; its first one gives way when it must."""
    widths = [_widest(header, rows, column) for column in range(len(header))]
    _give_way(widths, limit, between=2 * (len(header) - 1), column=0, spare=0)
    first, widths[-1] = widths[0], 0  # nothing follows the last one, so nothing is filled up
    for number, row in enumerate([header, *rows]):
        cells = (shorten(row[0], first), *row[1:])
        filled = (pad(cell, columns) for cell, columns in zip(cells, widths, strict=True))
        parts = (ink(style(at, row[at]) if number else "bold", text) for at, text in enumerate(filled))
        yield "  ".join(parts).rstrip()


def _widest(header: Row, rows: Sequence[Row], column: int) -> int:
    return max(width(header[column]), max((width(row[column]) for row in rows), default=0))


def _give_way(widths: list[int], limit: int | None, *, between: int, column: int, spare: int) -> None:
    """Let a column be as narrow as it must, but not unreadable: then lines are longer than the terminal."""
    excess = 0 if limit is None else sum(widths) + between - limit
    if excess > 0:
        widths[column] = max(widths[column] - excess, min(widths[column], _SMALLEST_COLUMN + spare))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "step"), counted(1200, "step")
    ('1 step', '1,200 steps')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
