"""What is going on while a run is executed, on stderr: a live table on a terminal, a line per change elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from tasktrail.cli.text import Ink, clock, error_words, first_line, pad, plain, shorten, span, width
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Event, events_after, history
from tasktrail.engine.lookup import Found as _Found
from tasktrail.model.errors import TasktrailError
from tasktrail.model.reference import format_task
from tasktrail.model.run import Run

if TYPE_CHECKING:
    from rich.text import Text

EVERY_S: Final = 0.1
_AT_MOST_EVERY_S: Final = 0.02
_PAGE: Final = 1000
_RUNNING_SHOWN: Final = 8
_NAME_COLUMNS: Final = 28
_STYLES: Final[Mapping[str, str]] = {
    "start": "dim", "complete": "green", "fail": "red", "retry": "yellow", "lapse": "yellow", "skip": "dim",
    "cancel": "dim", "block": "magenta", "late": "yellow",
}  # fmt: skip


class View(Protocol):
    """What shows progress."""

    def changed(self, event: Event, name: str) -> None:
        """A step moved."""

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
                if event.key is not None:
                    self._view.changed(event, _name(event))
            if len(events) < _PAGE:
                break
        self._view.refresh(self._run)


def _name(event: Event) -> str:
    index = -1 if event.map_index is None else event.map_index
    return format_task("", event.key or "", event.item or "", index)[1:]


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

    def __init__(self, stream: TextIO, ink: Ink) -> None:
        self._stream = stream
        self._ink = ink
        self._lock = threading.RLock()
        self._columns = 12

    def changed(self, event: Event, name: str) -> None:
        """Write the change."""
        if words := words_of(event):
            self.write(event.at, name, words, _STYLES.get(event.verb))

    def write(self, at: int, name: str, words: str, style: str | None = None) -> None:
        """Write words about a step, with the time."""
        self._write(f"{clock(at)}  {self._padded(name)}  {self._ink(style, words)}")

    def say(self, name: str, line: str) -> None:
        """Write what a step printed, behind its name."""
        self._write(f"{name} | {_shown(line)}" if name else _shown(line))

    def refresh(self, run: Run) -> None:
        """Nothing moves here."""

    def close(self) -> None:
        """Nothing to take back."""

    def _padded(self, name: str) -> str:
        self._columns = min(max(self._columns, width(name)), 40)
        return pad(plain(name), self._columns)

    def _write(self, line: str) -> None:
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


@dataclass(slots=True)
class _Moving:
    """A step that is under way, or waits for its next try."""

    began: int
    attempt: int | None
    due: int | None = None
    error: str = ""


class Table:
    """A live table: how far the run is, what is running, what is tried again; lines scroll above it."""

    def __init__(self, stream: TextIO, ledger: Ledger, *, color: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._ledger = ledger
        self._console = Console(file=stream, highlight=False, force_terminal=True, no_color=not color)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False,
                          redirect_stderr=False)  # fmt: skip
        self._moving: dict[str, _Moving] = {}
        self._last: deque[str] = deque(maxlen=3)
        self._live.start()

    def changed(self, event: Event, name: str) -> None:
        """Keep the table's rows; failures stay readable above it."""
        self._moving.pop(name, None)
        if event.verb == "start":
            self._moving[name] = _Moving(event.at, event.attempt)
        elif event.verb == "retry" and event.to_status == "pending":
            due, error = _new(event, "not_before"), _new(event, "error")
            moving = _Moving(event.at, event.attempt, due if isinstance(due, int) else None, str(error or ""))
            self._moving[name] = moving
        elif event.verb in ("fail", "lapse", "late"):
            self._print(f"{clock(event.at)}  {plain(name)}  {words_of(event)}", _STYLES[event.verb])

    def say(self, name: str, line: str) -> None:
        """Print what a step printed above the table."""
        self._print(f"{name} | {_shown(line)}" if name else _shown(line), "default")

    def refresh(self, run: Run) -> None:
        """Draw it again."""
        self._live.update(self._drawn(run), refresh=True)

    def close(self) -> None:
        """Take the table away."""
        self._live.stop()

    def _print(self, line: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(line, style=style), soft_wrap=True)

    def _drawn(self, run: Run) -> Text:
        from rich.text import Text

        now = self._ledger.clock.now()
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{run.name}  ", "bold")
        text.append_text(_bar(run))
        text.append(f"  {_done(run)}/{run.n_tasks}", "bold")
        text.append(_also(run), "red" if run.n_failed else "dim")
        text.append(f"  {span(now - run.started_at) if run.started_at else ''}", "dim")
        shown = list(self._moving.items())[:_RUNNING_SHOWN]
        for name, moving in shown:
            text.append("\n  ")
            text.append_text(_row(name, moving, now))
        if len(self._moving) > len(shown):
            text.append(f"\n  … and {len(self._moving) - len(shown)} more", "dim")
        return text


def _bar(run: Run, columns: int = 24) -> Text:
    from rich.text import Text

    done = columns * _done(run) // max(1, run.n_tasks)
    return Text.assemble(("━" * done, "green"), ("━" * (columns - done), "bright_black"))


def _done(run: Run) -> int:
    return run.n_completed + run.n_skipped + run.n_failed + run.n_cancelled


def _also(run: Run) -> str:
    return f"  {run.n_failed} failed" if run.n_failed else ""


def _row(name: str, moving: _Moving, now: int) -> Text:
    from rich.text import Text

    shown = pad(shorten(plain(name), _NAME_COLUMNS), _NAME_COLUMNS)
    if moving.due is not None:
        words = f"next try in {span(max(0, moving.due - now))}  {first_line(moving.error)}"
        return Text.assemble(("↻ ", "yellow"), shown, (f"  {words}", "yellow"))
    attempt = f"  attempt {moving.attempt}" if (moving.attempt or 1) > 1 else ""
    return Text.assemble(("● ", "blue"), shown, (f"  {span(now - moving.began)}{attempt}", "dim"))


def _shown(line: str) -> str:
    """A carriage return is how progress bars draw over themselves: the last of them counts."""
    return plain(line.rstrip("\r").rpartition("\r")[2].expandtabs())


def view_for(stream: TextIO, ledger: Ledger, ink: Ink) -> View:
    """Return the view that fits where it is shown."""
    return Table(stream, ledger, color=ink.on) if stream.isatty() else Lines(stream, ink)
