"""A matrix in lines: a word per cell where there is room, else a mark, which is explained below."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tasktrail.cli.tasks import COLORS
from tasktrail.cli.text import Ink, columns, counted, pad, plain, shorten, width
from tasktrail.model.plan import percent_done

if TYPE_CHECKING:
    from tasktrail.engine.matrix_views import CellView, Counts, ItemRow
    from tasktrail.tracker.views import Table

MARKS: Final[Mapping[str, str]] = {
    "completed": "✓", "in_progress": "▶", "failed": "✗", "ready": "○", "pending": "·", "blocked": "■",
    "skipped": "–", "cancelled": "–", "stale": "!", "none": " ",
}  # fmt: skip
STYLES: Final[Mapping[str, str]] = {**COLORS, "ready": "cyan", "stale": "yellow"}
_STYLES_OF_MARKS: Final = {mark: STYLES[word] for word, mark in MARKS.items() if word in STYLES}
_NARROWEST_ITEM: Final = 20
_NARROWEST_TYPE: Final = 3
_BAR: Final = 10
_NONE: Final = "-"


def word_of(view: CellView | None, now: int) -> str:
    """Return where a cell stands: its status, ready where it may start, stale where it is to be done again."""
    if view is None:
        return _NONE
    if view.stale:
        return "stale"
    is_ready = view.task.status == "pending" and not view.task.unmet and (view.task.not_before or 0) <= now
    return "ready" if is_ready else view.task.status


def lines_of(table: Table, limit: int | None, ink: Ink) -> Iterator[str]:
    """Yield the lines of a matrix.

    Args:
        limit: Columns there are; None for any number.
    """
    types, rows = table.page.types, [*table.page.rows, *table.removed]
    words = [[word_of(row.cells.get(key), table.now) for key in types] for row in rows]
    names = [_name(row) for row in rows]
    if rows and types:
        totals = ["done", *(_done(table.page.totals[key]) for key in types)]
        yield from _grid(names, words, types, totals, limit, ink)
    elif rows:
        yield from names
    yield from _own(table, ink)
    yield said(table.counts)


def _grid(
    names: Sequence[str],
    words: Sequence[Sequence[str]],
    types: Sequence[str],
    totals: Sequence[str],
    limit: int | None,
    ink: Ink,
) -> Iterator[str]:
    widest = max(width(name) for name in names)
    needed = sum(2 + max(width(text) for text in column) for column in zip(types, *words, totals[1:], strict=True))
    if limit is None or min(widest, _NARROWEST_ITEM) + needed <= limit:
        rows = [(name, *line) for name, line in zip(names, words, strict=True)]
        yield from columns(("ITEM", *types), [*rows, totals], limit=limit, ink=ink, style=_style)
        return
    room = max((limit - _NARROWEST_ITEM) // len(types) - 2, _NARROWEST_TYPE)
    header = ("ITEM", *(shorten(key, max(room, width(total))) for key, total in zip(types, totals[1:], strict=True)))
    rows = [(name, *(MARKS.get(word, " ") for word in line)) for name, line in zip(names, words, strict=True)]
    yield from columns(header, [*rows, totals], limit=limit, ink=ink, style=_style)
    used = {word for line in words for word in line}
    yield "  ".join(f"{mark} {word}" for word, mark in MARKS.items() if word in used)


def _style(column: int, cell: str) -> str | None:
    return (STYLES.get(cell) or _STYLES_OF_MARKS.get(cell)) if column else None


def _name(row: ItemRow) -> str:
    name = plain(row.item.name)
    return f"{name} (removed)" if row.item.removed_at is not None else name


def _own(table: Table, ink: Ink) -> Iterator[str]:
    """The group's own tasks."""
    own = {key: word_of(view, table.now) for key, view in table.page.group.items()}
    widest = max(map(width, own), default=0)
    for key, word in own.items():
        yield f"{pad(plain(key), widest)}  {ink(STYLES.get(word), word)}"


def _done(counts: Counts) -> str:
    return f"{counts['completed']:,}/{counts.total():,}"


def said(counts: Counts) -> str:
    """Return how much is done, in words."""
    completed, total = counts["completed"], counts.total()
    rest = [f"{n:,} {word}" for word, n in counts.items() if word not in ("completed", "pending") and n]
    done = f"{completed:,} of {counted(total, 'task')} completed ({percent_done(completed, total):g} %)"
    return ", ".join([done, *rest])


def bar(counts: Counts) -> str:
    """Return how much is done as a bar; a full one is all."""
    total = counts.total()
    full = _BAR * counts["completed"] // total if total else 0
    return "█" * full + "░" * (_BAR - full)


def csv_of(pages: Sequence[Table]) -> str:
    """Return a matrix as CSV: a row per item, a column per type; the group's own tasks are in a row without an item."""
    first, out = pages[0].page, io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["item", *first.types, *first.group])
    for page in pages:
        for row in (*page.page.rows, *page.removed):
            cells = [_status(row.cells.get(key)) for key in first.types]
            writer.writerow([row.item.name, *cells, *("" for _ in first.group)])
    if first.group:
        writer.writerow(["", *("" for _ in first.types), *map(_status, first.group.values())])
    return out.getvalue()


def _status(view: CellView | None) -> str:
    return "" if view is None else view.task.status
