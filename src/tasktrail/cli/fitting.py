"""Tables of executions that fit a terminal: times, fingerprints and names get shorter, errors go below, columns go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tasktrail.cli.text import Ink, Row, Style, columns, shorten, width

_TIMES: Final = frozenset({"STARTED", "FIRST SEEN", "LAST SEEN"})
_FINGERPRINT_SHOWN: Final = 12
"""Characters; the beginning of a fingerprint names it, too."""
_NARROWEST_TASK: Final = 12
_NARROWEST_ERROR: Final = 24


def execution_table(header: Row, rows: Sequence[Row], limit: int | None, ink: Ink, style: Style) -> Iterator[str]:
    """Yield the lines of a table that has a column of tasks, and errors in the last one; cut for a terminal alone."""
    if limit is None:
        yield from columns(header, rows, limit=None, ink=ink, style=style)
        return
    header, rows = _with_short_times(header, [_with_short_fingerprint(header, row) for row in rows])
    at = header.index("TASK")
    longest = max(limit - _taken(header, rows, without=(at, len(header) - 1)) - 2, _NARROWEST_TASK)
    rows = [(*row[:at], shorten(row[at], longest), *row[at + 1 :]) for row in rows]
    room = limit - _taken(header, rows, without=(len(header) - 1,)) - 2
    if room >= _NARROWEST_ERROR:
        rows = [(*row[:-1], shorten(row[-1], room)) for row in rows]
        yield from columns(header, rows, limit=None, ink=ink, style=style)
        return
    bare = columns(header[:-1], [row[:-1] for row in rows], limit=None, ink=ink, style=style)
    yield next(bare)
    for line, row in zip(bare, rows, strict=True):
        yield line
        if row[-1]:
            yield f"  {ink('dim', shorten(row[-1], limit - 2))}"


def narrowed(header: Row, rows: Sequence[Row], limit: int | None, dispensable: Sequence[str]) -> tuple[Row, list[Row]]:
    """Return a table without as many dispensable columns, the first ones first, as it takes to fit."""
    kept = list(range(len(header)))
    for name in dispensable:
        if (
            limit is None
            or _taken([header[at] for at in kept], [[row[at] for at in kept] for row in rows]) - 2 <= limit
        ):
            break
        kept.remove(header.index(name))
    return [header[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _taken(header: Row, rows: Sequence[Row], without: Sequence[int] = ()) -> int:
    """Return the columns of a terminal that a table takes, with two behind each of its own."""
    kept = (at for at in range(len(header)) if at not in without)
    return sum(max(width(row[at]) for row in (header, *rows)) + 2 for at in kept)


def _with_short_fingerprint(header: Row, row: Row) -> Row:
    return [
        cell[:_FINGERPRINT_SHOWN] if name == "FINGERPRINT" and cell.startswith("fp") else cell
        for name, cell in zip(header, row, strict=True)
    ]


def _with_short_times(header: Row, rows: Sequence[Row]) -> tuple[Row, Sequence[Row]]:
    """A day that all share stands in the head of their only time; else the year and the seconds give way."""
    times = [at for at, name in enumerate(header) if name in _TIMES]
    days = {row[at][:10] for row in rows for at in times}
    is_one = len(days) == 1 and len(times) == 1
    shown = slice(11, 19) if is_one else slice(5, 16)
    if is_one:
        header = [days.pop() if at in times else name for at, name in enumerate(header)]
    return header, [[cell[shown] if at in times else cell for at, cell in enumerate(row)] for row in rows]
