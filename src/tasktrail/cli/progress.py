"""What is going on while a run is executed, on stderr: a line per change, or what the live table needs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Final, Protocol, TextIO

from tasktrail.cli.text import Ink, clock, error_words, first_line, named, pad, plain, span, width
from tasktrail.engine.errors import known_error
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Event, events_after, history
from tasktrail.engine.lookup import Found as _Found
from tasktrail.model.errors import TasktrailError
from tasktrail.model.reference import format_task
from tasktrail.model.run import Run

EVERY_S: Final = 0.1
_AT_MOST_EVERY_S: Final = 0.02
_PAGE: Final = 1000
STYLES: Final[Mapping[str, str]] = {
    "start": "dim", "complete": "green", "fail": "red", "retry": "yellow", "lapse": "yellow", "skip": "dim",
    "cancel": "dim", "block": "magenta", "late": "yellow",
}  # fmt: skip


class View(Protocol):
    """What shows progress."""

    def changed(self, event: Event, name: str) -> None:
        """A step moved, or steps were added."""

    def say(self, name: str, line: str) -> None:
        """A step printed a line; without a name it was no step."""

    def refresh(self, run: Run) -> None:
        """Time went by."""

    def close(self) -> None:
        """It is over; what is shown of passing interest goes away."""


class Follower:
    """Reads the history of a run from where it begins to follow, and tells a view."""

    def __init__(self, ledger: Ledger, run: Run, view: View) -> None:
        self._ledger = ledger
        self._run = run
        self._view = view
        seen = history(ledger, _Found(run), limit=1).events
        self._seq = seen[-1].seq if seen else 0
        self._looked_at = 0.0

    def watch(self, run: Run) -> None:
        """Hear of a commit; looks now unless it looked just before."""
        self._run = run
        if time.monotonic() - self._looked_at >= _AT_MOST_EVERY_S:
            self.look()

    def look(self) -> None:
        """Tell the view what happened since the last look. Whatever goes wrong with showing never stops the work."""
        self._looked_at = time.monotonic()
        with contextlib.suppress(OSError, ValueError, TasktrailError):
            self._tell()

    def _tell(self) -> None:
        while events := events_after(self._ledger, self._run, self._seq, _PAGE):
            self._seq = events[-1].seq
            for event in events:
                if event.key is not None or event.verb == "added":
                    self._view.changed(event, event_name(event))
            if len(events) < _PAGE:
                break
        self._view.refresh(self._run)


def event_name(event: Event) -> str:
    """Return how the task of an event is called: the key, and of a part its title."""
    index = -1 if event.map_index is None else event.map_index
    return named(format_task("", event.key or "", event.item or "", index)[1:], event.title if index >= 0 else None)


def told(ledger: Ledger, event: Event) -> str | None:
    """Return the words of an event; a failure comes with its error, and how often that was seen."""
    words, fingerprint = words_of(event), _new(event, "fingerprint")
    if words is None or not isinstance(fingerprint, str):
        return words
    error = ledger.store.read(lambda tx: known_error(tx, fingerprint))
    if error is None or error.status == "ignored":
        return words
    again = f", seen {error.occurrences:,} times" if error.occurrences > 1 else ""
    return f"{words}; error {fingerprint}{again}{', regressed' if error.status == 'regressed' else ''}"


def words_of(event: Event) -> str | None:
    """Return what a step's event means to who looks on; None for what is of no interest."""
    again = f" (attempt {event.attempt})" if event.attempt is not None and event.attempt > 1 else ""
    if event.verb == "start":
        return f"started{again}"
    if event.verb in ("fail", "retry"):
        return _failure(event)
    said = {
        "complete": f"completed{again}", "lapse": "its process died; it can start again", "skip": "skipped",
        "cancel": "cancelled", "block": "blocked", "late": "answered too late; the answer is void",
        "release": "stopped; it can start again", "reopen": "reopened",
    }  # fmt: skip
    words = said.get(event.verb)
    reason = _new(event, "reason")
    return f"{words}: {first_line(str(reason))}" if words and reason else words


def _new(event: Event, column: str) -> object:
    """What a column was changed to; None when it was not."""
    return event.changes.get(column, (None, None))[1]


def _failure(event: Event) -> str | None:
    kind, error, due = _new(event, "error_type"), _new(event, "error"), _new(event, "not_before")
    if event.verb == "retry" and error is None:
        return "is tried again" if event.from_status == "failed" else None
    which = "" if event.attempt is None else f" (attempt {event.attempt})"
    words = f"failed{which}: {error_words(str(kind or ''), str(error or ''))}"
    if event.verb == "retry" and isinstance(due, int):
        return f"{words}; next try in {span(max(0, due - event.at))}"
    return words


class Lines:
    """A line per change: for logs, pipes and CI."""

    def __init__(self, stream: TextIO, ledger: Ledger, ink: Ink) -> None:
        self._stream = stream
        self._ledger = ledger
        self._ink = ink
        self._lock = threading.RLock()
        self._columns = 12

    def changed(self, event: Event, name: str) -> None:
        """Write the change."""
        if words := told(self._ledger, event):
            self.write(event.at, name, words, STYLES.get(event.verb))

    def write(self, at: int, name: str, words: str, style: str | None = None) -> None:
        """Write words about a step, with the time."""
        self._write(f"{clock(at)}  {self._padded(name)}  {self._ink(style, words)}")

    def say(self, name: str, line: str) -> None:
        """Write what a step printed, behind its name."""
        self._write(f"{name} | {overdrawn(line)}" if name else overdrawn(line))

    def refresh(self, run: Run) -> None:
        """Nothing moves here."""

    def close(self) -> None:
        """Nothing to take back."""

    def _padded(self, name: str) -> str:
        self._columns = min(max(self._columns, width(name)), 40)
        return pad(name, self._columns)

    def _write(self, line: str) -> None:
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


def overdrawn(line: str) -> str:
    """Return what stays of a line: with a carriage return progress bars draw over themselves."""
    return plain(line.rstrip("\r").rpartition("\r")[2].expandtabs())


def view_for(stream: TextIO, ledger: Ledger, run: Run, ink: Ink) -> View:
    """Return the view that fits where it is shown."""
    if not stream.isatty():
        return Lines(stream, ledger, ink)
    from tasktrail.cli.live import Table

    return Table(stream, ledger, run, color=ink.on)
