"""`history`: who changed what in a run or a task, from which value to which, when and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Final

import click

from tasktrail.cli.arguments import RUN, SessionCommand
from tasktrail.cli.documents import emit, event_records
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Ink, columns, first_line, local, plain, width
from tasktrail.engine.lookup import Event, EventPage, Found, find, history, shared_names
from tasktrail.model.reference import format_task

_UNTOLD: Final = frozenset({
    "attempts", "completed_at", "error_type", "fence", "last_outcome", "started_at", "summary", "tries",
})  # fmt: skip
"""Columns that the verb says already, or that only the engine looks at; --json has them all."""
_LONGEST_VALUE: Final = 100
_NARROWEST: Final = 24
_HEADER: Final = ("TIME", "WHO", "WHAT", "EVENT", "CHANGE")
_COLORS: Final[Mapping[str, str]] = {
    "start": "blue", "complete": "green", "fail": "red", "retry": "yellow", "lapse": "yellow", "cancel": "dim",
}  # fmt: skip


@click.command("history", cls=SessionCommand)
@click.argument("reference", type=RUN)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Events on a page.")
@click.option("--cursor", metavar="CURSOR", help="Go back from the page that named it.")
def history_command(session: Session, reference: str, limit: int, cursor: str | None) -> None:
    """Show who changed what in a run or a task (RUN:STEP), the newest at the end."""
    ledger = session.ledger()
    found = find(ledger, reference)
    page = history(ledger, found, limit=limit, cursor=cursor)
    if session.json:
        shared = ledger.store.read(lambda tx: shared_names(tx, [found.run]))
        emit("event-list@1", event_records(found, page.events, shared), page.cursor)
        return
    if page.cursor:
        tell(f"earlier: tasktrail history {reference} --cursor {page.cursor}")
    sys.stdout.writelines(f"{line}\n" for line in _lines(found, page, session.ink(), session.width))


def _lines(found: Found, page: EventPage, ink: Ink, limit: int | None) -> Iterator[str]:
    """On a terminal a day that all events share stands in the head, and long changes go on below."""
    rows = [[local(one.at), plain(one.actor), _what(found, one), one.verb, _change(one)] for one in page.events]
    header = list(_HEADER)
    days = {row[0][:10] for row in rows}
    if limit is not None and len(days) == 1:
        header[0] = days.pop()
        rows = [[row[0][11:], *row[1:]] for row in rows]
    return columns(header, _wrapped(rows, header, limit) if limit else rows, limit=None, ink=ink, style=_style)


def _wrapped(rows: list[list[str]], header: list[str], limit: int) -> list[list[str]]:
    from textwrap import wrap

    others = [max(width(row[column]) for row in [header, *rows]) for column in range(len(header) - 1)]
    room = max(_NARROWEST, limit - sum(others) - 2 * len(others))
    lines = []
    for row in rows:
        first, *rest = wrap(row[-1], room) or [""]
        lines += [[*row[:-1], first], *(["", "", "", "", more] for more in rest)]
    return lines


def _style(column: int, cell: str) -> str | None:
    return _COLORS.get(cell) if column == 3 else None


def _what(found: Found, event: Event) -> str:
    """The run itself is named by its id, a task by its key alone: the run is known."""
    if event.key is None:
        return found.run.name
    return format_task("", event.key, event.item or "", -1 if event.map_index is None else event.map_index)[1:]


def _change(event: Event) -> str:
    """Return what changed in one line: the status, the attempt, fields from old to new, and the note."""
    parts = []
    if event.to_status and event.to_status != event.from_status:
        parts.append(f"{event.from_status} → {event.to_status}" if event.from_status else str(event.to_status))
    if event.attempt is not None:
        parts.append(f"attempt {event.attempt}")
    parts += [_field(name, *values) for name, values in event.changes.items() if name not in _UNTOLD]
    if event.note:
        parts.append(f"“{first_line(event.note)}”")
    return "; ".join(part for part in parts if part)


def _field(name: str, old: object, new: object) -> str:
    if name == "not_before":
        return f"next try at {local(new)[11:]}" if isinstance(new, int) else ""
    if old == new or (name in ("error", "reason") and new is None):
        return ""
    if old is None or name in ("error", "reason"):
        return f"{name} {_value(new)}"
    return f"{name} {_value(old)} → {_value(new)}"


def _value(value: object) -> str:
    text = plain(value) if isinstance(value, str) else json.dumps(value)
    if text.startswith("@"):
        text = f"{text[:13]}…"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
