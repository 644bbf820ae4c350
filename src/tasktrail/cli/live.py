"""The live tables of `watch` and of who executes a run: counts above, then the rows that are worth looking at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TextIO

from rich import live
from rich.console import Console
from rich.text import Text

from tasktrail.cli.board import Board, Member, Row
from tasktrail.cli.progress import STYLES, overdrawn, told
from tasktrail.cli.text import clock, first_line, pad, plain, shorten, span, width
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.limits import held_back, limited_steps
from tasktrail.engine.lookup import Event, task_reference
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Status, Task

_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "running": ("●", "blue"), "retrying": ("↻", "yellow"), "blocked": ("■", "magenta"), "failed": ("✗", "red"),
    "waiting": ("○", "bright_black"), "done": ("✓", "green"),
}  # fmt: skip
_COUNTED: Final[tuple[tuple[Status, str, str], ...]] = (
    ("in_progress", "running", "blue"), ("blocked", "blocked", "magenta"), ("failed", "failed", "red"),
    ("skipped", "skipped", "bright_black"), ("cancelled", "cancelled", "bright_black"),
)  # fmt: skip
_BAR: Final = 20
_MOST_HELD: Final = 3
_SMALLEST_NAME: Final = 12
_OWN_ROWS: Final = 8
_TITLES_SHOWN: Final = 5
_ROUNDING: Final = 1e-9
"""A sum of thirds is not quite one."""
_OTHER_LINES: Final = 4
"""Head, footer, the count of rows that are not shown, and the line of the cursor."""


class _Screen:
    """A board, drawn where it stood before.

    Args:
        transient: Whether the last picture goes away.
    """

    def __init__(self, ledger: Ledger, run: Run, console: Console, *, transient: bool) -> None:
        self._ledger, self._run = ledger, run
        self.board = Board.of(ledger, run)
        self._grew = False
        self.console = console
        self._limited = limited_steps(ledger, run)
        self._live = live.Live(
            console=console, auto_refresh=False, transient=transient, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def changed(self, event: Event) -> None:
        """Take it to the board; where tasks were added, all are looked at once more."""
        self.board.changed(event)
        self._grew |= event.verb == "added"

    def show(self, picture: Callable[[Board, int, int], Text]) -> None:
        """Draw a picture of the board for so many columns and lines."""
        if self._grew:
            self.board.look(self._ledger, self._run)
            self._grew = False
        self._live.update(picture(self.board, *self.console.size), refresh=True)

    def held(self, run: Run) -> list[str]:
        """Return what waits for a limit that is full, a line each."""
        return [f"{_part(task)} waits for {full.words}" for task, full in held_back(self._ledger, run, self._limited)]

    def close(self) -> None:
        """Draw no more."""
        self._live.stop()


class Live:
    """What `watch` shows: as many rows as the terminal has, and at the end the last picture stays."""

    def __init__(self, ledger: Ledger, run: Run, *, color: bool) -> None:
        console = Console(highlight=False, no_color=not color)
        self._screen = _Screen(ledger, run, console, transient=False)
        self.changed, self.close = self._screen.changed, self._screen.close

    def draw(self, run: Run, owner: str | None, now: int) -> None:
        """Draw what is visible."""
        held = self._screen.held(run)
        self._screen.show(lambda board, columns, lines: drawn(board, run, owner, now, columns, lines, held))


class Table:
    """What the process that executes a run shows: a few rows that go away; lines scroll above them."""

    def __init__(self, stream: TextIO, ledger: Ledger, run: Run, *, color: bool) -> None:
        console = Console(file=stream, highlight=False, force_terminal=True, no_color=not color)
        self._ledger = ledger
        self._screen = _Screen(ledger, run, console, transient=True)
        self.close = self._screen.close

    def changed(self, event: Event, name: str) -> None:
        """Take it to the board; failures stay readable above it."""
        self._screen.changed(event)
        if event.verb in ("fail", "lapse", "late"):
            self._print(f"{clock(event.at)}  {name}  {told(self._ledger, event)}", STYLES[event.verb])

    def say(self, name: str, line: str) -> None:
        """Print what a step printed above the table."""
        self._print(f"{name} | {overdrawn(line)}" if name else overdrawn(line), "default")

    def refresh(self, run: Run) -> None:
        """Draw it again."""
        now = self._ledger.clock.now()
        self._screen.show(lambda board, columns, lines: _rows(board, run, now, now, columns, min(_OWN_ROWS, lines)))

    def _print(self, line: str, style: str) -> None:
        self._screen.console.print(Text(line, style=style), soft_wrap=True)


def drawn(
    board: Board, run: Run, owner: str | None, now: int, columns: int, lines: int, held: Sequence[str] = ()
) -> Text:
    """Return the picture: no line is longer than the terminal, and there are fewer lines than it has.

    Args:
        held: What waits for a limit that is full, a line each; the first of them are shown.
    """
    held = held[:_MOST_HELD]
    most = max(1, lines - _OTHER_LINES - len(held))
    text = _rows(board, run, now if owner else run.updated_at, now, columns, most)
    for line in held:
        text.append(f"\n○ {shorten(line, max(8, columns - 3))}", "yellow")
    if run.status not in OVER:
        text.append_text(_footer(run, owner))
    return text


def _rows(board: Board, run: Run, until: int, now: int, columns: int, most: int) -> Text:
    """Return the head, which says how long it takes until then, and so many rows."""
    rows = list(board.shown(most))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append_text(_head(board, run, until))
    names = [_name(row) for row in rows]
    room = max(_SMALLEST_NAME, min(max(map(width, names), default=0), columns // 3))
    for row, name in zip(rows, names, strict=True):
        text.append("\n")
        text.append_text(_line(row, pad(shorten(name, room), room), run, now, columns))
    if (hidden := board.n_filed() - most) > 0:
        text.append(f"\n  … and {hidden:,} more", "bright_black")
    return text


def _head(board: Board, run: Run, until: int) -> Text:
    """Steps and parts are counted apart, so that the bar never goes back when a step is expanded."""
    counts = run.counts
    filled = int(_BAR * board.progress / max(1, board.n_steps) + _ROUNDING)
    lasted = (run.finished_at or until) - run.started_at if run.started_at else None
    text = Text.assemble((run.name, "bold"), "  ", ("━" * filled, "green"), ("━" * (_BAR - filled), "bright_black"))
    text.append(f"  {board.n_steps_done:,}/{board.n_steps:,}", "bold")
    if board.n_parts:
        text.append(f"  {board.n_parts_done:,}/{board.n_parts:,} parts", "bold")
    for status, word, style in _COUNTED:
        if counts[status]:
            text.append(f"  {counts[status]:,} {word}", style)
    if run.n_pending and run.status not in OVER:
        text.append(f"  {run.n_pending:,} waiting", "bright_black")
    return text.append(f"  {run.status}  {span(lasted)}" if run.status in OVER else f"  {span(lasted)}", "bright_black")


def _part(task: Task) -> str:
    return plain(task_reference("", task)[1:])


def _name(row: Row) -> str:
    return f"{plain(row.name)} [{row.n_done}/{row.n_parts}]" if row.n_parts else plain(row.name)


def _line(row: Row, name: str, run: Run, now: int, columns: int) -> Text:
    standing = row.standing
    mark, style = _MARKS[standing]
    parts = [part for part in _facts(row, run, now) if part]
    words = shorten("  ".join(parts), max(8, columns - width(name) - 6))
    return Text.assemble((f"{mark} ", style), name, "  ", (words, "bright_black" if standing == "done" else style))


def _facts(row: Row, run: Run, now: int) -> Iterator[str]:
    standing = row.standing
    if standing == "running":
        yield from _running(row, now)
    elif standing == "retrying" and (member := row.next_due()):
        left_us = (member.due or 0) - now
        yield f"next try in {span(left_us)}" if left_us > 0 else "next try is due"
        yield first_line(member.words)
    elif standing == "blocked" and (member := row.first("blocked")):
        yield f"tasktrail complete {run.name}:{plain(member.name)}"  # first: what is too long is cut off at the end
        yield first_line(member.words)
    elif standing == "failed" and (member := row.first("failed")):
        yield _of_parts(row, ("failed",)) if row.n_parts else ""
        yield first_line(member.words)
    elif standing == "done" and (member := row.members.get(-1)):
        yield member.status if member.status != "completed" else span(row.lasted_us)


def _running(row: Row, now: int) -> Iterator[str]:
    running = [member for member in row.members.values() if member.status == "in_progress"]
    yield span(max(0, now - min(member.since or now for member in running)))
    if not row.n_parts:
        yield _again(running[0])
        return
    yield _of_parts(row, ("in_progress", "blocked", "failed"))
    yield _titles(running)


def _titles(members: Sequence[Member]) -> str:
    titles = [plain(member.title) for member in members if member.title][:_TITLES_SHOWN]
    more = ", …" if titles and len(members) > len(titles) else ""
    return ", ".join(titles) + more


def _again(member: Member) -> str:
    return f"attempt {member.attempt}" if member.attempt > 1 else ""


def _of_parts(row: Row, statuses: tuple[Status, ...]) -> str:
    words = {"in_progress": "running"}
    return ", ".join(f"{row.counts[one]:,} {words.get(one, one)}" for one in statuses if row.counts[one])


def _footer(run: Run, owner: str | None) -> Text:
    if run.paused:
        what = "finishes what runs" if owner and run.n_in_progress else "nothing new starts"
        return Text(f"\npaused: {what}; to go on: tasktrail resume {run.name}", "yellow")
    if owner:
        return Text(f"\nexecuted by {owner}; Ctrl-C leaves it alone", "bright_black")
    how = f"tasktrail resume {run.name}" if run.target else f"tasktrail explain {run.name}"
    return Text(f"\nnobody executes it just now: {how}", "yellow")
