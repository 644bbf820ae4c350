"""`history`: who changed what, from which value to which, when and why; of a run or a task, or all that comes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

import click

from tasktrail.cli.arguments import RUN, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Ink, columns, first_line, local, pad, plain, width
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Event, EventPage, Found, find, history, run_reference, shared_names
from tasktrail.engine.readers import Logged, NamedReader, Reader, log_end
from tasktrail.json_records import event_record, event_records
from tasktrail.model.reference import format_task

_UNTOLD: Final = frozenset({
    "after", "attempts", "completed_at", "error_type", "fence", "ignored_at", "last_outcome", "resolved_at", "stack",
    "started_at", "summary", "tries", "undoes",
})  # fmt: skip
"""Columns that the verb says already, or that only the engine looks at; --json has them all."""
_LOOK_EVERY_S: Final = 0.25
_LONGEST_VALUE: Final = 100
_NARROWEST: Final = 24
_HEADER: Final = ("TIME", "SEQ", "WHO", "WHAT", "EVENT", "CHANGE")
_COLORS: Final[Mapping[str, str]] = {
    "start": "blue", "complete": "green", "fail": "red", "retry": "yellow", "lapse": "yellow", "cancel": "dim",
}  # fmt: skip


@click.command("history", cls=SessionCommand)
@click.argument("reference", metavar="[RUN[:STEP]]", type=RUN, required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Events on a page.")
@click.option("--cursor", metavar="CURSOR", help="Go back from the page that named it.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes; without RUN, of all runs. Ctrl-C ends it.")
@click.option("--reader", metavar="NAME", help="With --follow: go on where a reader of this name stopped.")
def history_command(
    session: Session, reference: str | None, limit: int, cursor: str | None, follow: bool, reader: str | None
) -> None:
    """Show who changed what in a run or a task (RUN:STEP), the newest at the end.

    With --follow and --json every event is a document of its own. A --reader gets all events of all runs from the
    beginning, or from behind the last that was printed under this name; after a crash some of them again.
    """
    _check_usage(reference, cursor, follow, reader)
    ledger = session.ledger(create=reference is None)  # who waits for the first run has nothing to look at else
    if reader is not None:
        _follow_as(session, ledger, reader)
    elif reference is None:
        _follow(session, ledger, Reader(ledger, log_end(ledger).seq))
    elif follow:
        _follow_one(session, ledger, find(ledger, reference), limit)
    else:
        _show(session, ledger, reference, limit, cursor)


def _check_usage(reference: str | None, cursor: str | None, follow: bool, reader: str | None) -> None:
    if not follow and reader is not None:
        raise click.UsageError("--reader needs --follow")
    if not follow and reference is None:
        raise click.UsageError("name a run, or take --follow for what comes in all of them")
    if follow and cursor is not None:
        raise click.UsageError("--cursor goes back and --follow forward: leave one out")
    if reader is not None and reference is not None:
        raise click.UsageError("a --reader reads all runs: leave RUN out")


def _show(session: Session, ledger: Ledger, reference: str, limit: int, cursor: str | None) -> None:
    found = find(ledger, reference)
    page = history(ledger, found, limit=limit, cursor=cursor)
    if session.json:
        emit("event-list@1", event_records(found, page.events, _shared(ledger, found)), page.cursor)
        return
    if page.cursor:
        tell(f"earlier: tasktrail history {reference} --cursor {page.cursor}")
    sys.stdout.writelines(f"{line}\n" for line in _lines(found, page, session.ink(), session.width))


def _shared(ledger: Ledger, found: Found) -> Collection[str]:
    return ledger.store.read(lambda tx: shared_names(tx, [found.run]))


def _follow(session: Session, ledger: Ledger, reader: Reader) -> None:
    lines = _Lines(session, None)
    for page in _pages(ledger, reader):
        lines.write(page)


def _follow_one(session: Session, ledger: Ledger, found: Found, limit: int) -> None:
    """Begin with the newest: the events of one run are committed in the order of their numbers."""
    lines, name = _Lines(session, found), run_reference(found.run, _shared(ledger, found))
    shown = history(ledger, found, limit=limit).events
    lines.write([Logged(event, name, found.run.id) for event in shown])
    for page in _pages(ledger, Reader(ledger, shown[-1].seq if shown else 0, found)):
        lines.write(page)


def _follow_as(session: Session, ledger: Ledger, name: str) -> None:
    reader = NamedReader(ledger, name)
    try:
        lines = _Lines(session, None)
        for page in _pages(ledger, reader):
            lines.write(page)
            reader.done()
    except (KeyboardInterrupt, BrokenPipeError):
        reader.close()
        raise


def _pages(ledger: Ledger, reader: Reader) -> Iterator[list[Logged]]:
    """Yield what comes, for ever."""
    seen: object = None
    while True:
        token = ledger.store.changed_token()
        if token != seen or reader.is_behind:
            seen = token
            if page := reader.page():
                yield page
                continue
        time.sleep(_LOOK_EVERY_S)


class _Lines:
    """Writes events as they come: a table whose columns grow, or with --json a document for each."""

    def __init__(self, session: Session, found: Found | None) -> None:
        self._session, self._found = session, found
        self._ink = session.ink()
        self._widths = [0] * len(_HEADER)
        if not session.json:
            sys.stdout.write(self._line(_HEADER) + "\n")
            sys.stdout.flush()

    def write(self, page: Sequence[Logged]) -> None:
        """Write them, and let whoever reads us have them."""
        for one in page:
            if self._session.json:
                emit("event@1", event_record(one.event, one.run))
            else:
                sys.stdout.write(self._line(_row(one.event, self._what(one)), _style) + "\n")
        sys.stdout.flush()

    def _what(self, one: Logged) -> str:
        return _what(self._found, one.event) if self._found else _reference(one)

    def _line(self, row: Sequence[str], style: Callable[[int, str], str | None] = lambda *_: "bold") -> str:
        self._widths = [max(known, width(cell)) for known, cell in zip(self._widths, row, strict=True)]
        self._widths[-1] = 0
        filled = [pad(cell, columns) for cell, columns in zip(row, self._widths, strict=True)]
        return "  ".join(self._ink(style(at, row[at]), text) for at, text in enumerate(filled)).rstrip()


def _lines(found: Found, page: EventPage, ink: Ink, limit: int | None) -> Iterator[str]:
    """On a terminal a day that all events share stands in the head, and long changes go on below."""
    rows = [_row(one, _what(found, one)) for one in page.events]
    header = list(_HEADER)
    days = {row[0][:10] for row in rows}
    if limit is not None and len(days) == 1:
        header[0] = days.pop()
        rows = [[row[0][11:], *row[1:]] for row in rows]
    return columns(header, _wrapped(rows, header, limit) if limit else rows, limit=None, ink=ink, style=_style)


def _row(event: Event, what: str) -> list[str]:
    return [local(event.at), str(event.seq), plain(event.actor), what, event.verb, change_words(event)]


def _wrapped(rows: list[list[str]], header: list[str], limit: int) -> list[list[str]]:
    from textwrap import wrap

    others = [max(width(row[column]) for row in [header, *rows]) for column in range(len(header) - 1)]
    room = max(_NARROWEST, limit - sum(others) - 2 * len(others))
    lines = []
    for row in rows:
        first, *rest = wrap(row[-1], room) or [""]
        lines += [[*row[:-1], first], *([*[""] * len(others), more] for more in rest)]
    return lines


def _style(column: int, cell: str) -> str | None:
    return _COLORS.get(cell) if column == 4 else None


def _what(found: Found, event: Event) -> str:
    """The run itself is named by its id, a task by its key alone: the run is known."""
    if event.key is None:
        return found.run.name
    return format_task("", event.key, event.item or "", -1 if event.map_index is None else event.map_index)[1:]


def _reference(one: Logged) -> str:
    event = one.event
    if event.key is None or one.run is None:
        return one.run or "-"
    return format_task(one.run, event.key, event.item or "", -1 if event.map_index is None else event.map_index)


def change_words(event: Event) -> str:
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
    if name == "items":
        return _value(", ".join(dict.fromkeys(item for both in (old, new) if isinstance(both, dict) for item in both)))
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
