"""`watch`: follow a run that somebody executes, until it is over."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Protocol

import click

from tasktrail.cli import errors
from tasktrail.cli.arguments import RUN, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.explain import tell_reasons
from tasktrail.cli.progress import Lines, event_name
from tasktrail.cli.session import Session, tell
from tasktrail.engine.explaining import explain_run
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.limits import held_back, limited_steps
from tasktrail.engine.lookup import Event, events_after, find_run, list_runs, outcomes, overview, owners, task_reference
from tasktrail.engine.situation import situation
from tasktrail.json_records import overview_record
from tasktrail.model.errors import NotFound
from tasktrail.model.run import OVER, Run

if TYPE_CHECKING:
    from tasktrail.store.transaction import Transaction

LOOK_EVERY_S: Final = 0.25
_DRAW_ANYWAY_S: Final = 1.0
"""Time goes by also while nothing changes: durations and countdowns move once in a second."""
_PAGE: Final = 2000


class View(Protocol):
    """What shows a run to a watcher."""

    def changed(self, event: Event) -> None:
        """Something happened in the run."""

    def draw(self, run: Run, owner: str | None, now: int) -> None:
        """Show where it stands now."""

    def close(self) -> None:
        """Nothing more comes."""


@click.command("watch", cls=SessionCommand)
@click.argument("reference", metavar="[RUN]", required=False, type=RUN)
def watch_command(session: Session, reference: str | None) -> int:
    """Follow a run until it is over: what runs, what is tried again and when, what waits for a person, and for what.

    Without RUN it is the newest that is running. On a terminal a live table, elsewhere a line per change; with --json
    one document at the end. Ctrl-C leaves the run alone. Exit code 5: it did not complete.
    """
    ledger = session.ledger()
    return follow(session, ledger, find_run(ledger, reference) if reference else _newest_running(ledger))


def follow(session: Session, ledger: Ledger, run: Run) -> int:
    """Show what happens in a run until it is over; return the exit code."""
    seq = ledger.store.read(_last_event)  # before a view loads the steps, so that it misses nothing
    watcher = Watcher(ledger, run, _view(session, ledger, run), seq)
    try:
        run = watcher.until_over()
    finally:
        watcher.view.close()
    if session.json:
        last = overview(ledger, run)
        emit("run@1", overview_record(last, outcomes(ledger, last)))
    else:
        seen = situation(ledger, run)
        tell_reasons(explain_run(seen), seen.now)
    return errors.OK if run.status == "completed" else errors.RUN_FAILED


def _newest_running(ledger: Ledger) -> Run:
    runs = list_runs(ledger, status="running", limit=1).runs
    if not runs:
        raise NotFound("no run is running", hint="tasktrail watch RUN")
    return runs[0]


class Watcher:
    """Reads what changed in a run, and lets a view show it."""

    def __init__(self, ledger: Ledger, run: Run, view: View, seq: int) -> None:
        self.view = view
        self._ledger, self._run, self._seq = ledger, run, seq
        self._owner: str | None = None
        self._token: object = None
        self._drawn_at = self._asked_at = 0.0

    def until_over(self) -> Run:
        """Look, draw and wait, until nothing more comes."""
        while True:
            self.look()
            if self._run.status in OVER:
                return self._run
            time.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Read what is new, if anything is, and draw if that is worth it."""
        token, now = self._ledger.store.changed_token(), time.monotonic()
        changed = token != self._token
        if changed:
            self._token = token
            self._read()
        if changed or now - self._drawn_at >= _DRAW_ANYWAY_S:
            if now - self._asked_at >= _DRAW_ANYWAY_S:
                self._owner, self._asked_at = owners(self._ledger, [self._run]).get(self._run.id), now
            self.view.draw(self._run, self._owner, self._ledger.clock.now())
            self._drawn_at = now

    def _read(self) -> None:
        """The run is read before its events, so that of one that is over all was told."""
        run = self._ledger.store.read(lambda tx: tx.run(self._run.id))
        while events := events_after(self._ledger, run, self._seq, _PAGE):
            self._seq = events[-1].seq
            for event in events:
                self.view.changed(event)
            if len(events) < _PAGE:
                break
        self._run = run


def _last_event(tx: Transaction) -> int:
    row = tx.row("last_event")
    return int(str(row[0])) if row else 0


class Plain:
    """A line per change, on stdout."""

    def __init__(self, session: Session, ledger: Ledger, run: Run) -> None:
        self._lines = Lines(sys.stdout, ledger, session.ink())
        self._ledger = ledger
        self._limited = limited_steps(ledger, run)
        self._held: set[tuple[str, str]] = set()

    def changed(self, event: Event) -> None:
        """Write the change."""
        if event.key is not None:
            self._lines.changed(event, event_name(event))

    def draw(self, run: Run, owner: str | None, now: int) -> None:  # noqa: ARG002 - a view's
        """Write which limit became full for a step that is ready; it is no change of the step, so no event tells it."""
        found = {(task.key, full.name): (task, full) for task, full in held_back(self._ledger, run, self._limited)}
        for pair in found.keys() - self._held:
            task, full = found[pair]
            self._lines.write(now, task_reference("", task)[1:], f"waits for {full.words}")
        self._held = set(found)

    def close(self) -> None:
        """Nothing to take back."""


class Silent(Plain):
    """Nothing until the end."""

    def changed(self, event: Event) -> None:
        """Say nothing."""

    def draw(self, run: Run, owner: str | None, now: int) -> None:
        """Nothing moves here."""


def _view(session: Session, ledger: Ledger, run: Run) -> View:
    if session.json:
        return Silent(session, ledger, run)
    if not sys.stdout.isatty():
        done = run.n_completed + run.n_skipped
        tell(f"following run {run.name}: {done:,} of {run.n_tasks:,} steps are done")
        return Plain(session, ledger, run)
    from tasktrail.cli.live import Live

    return Live(ledger, run, color=session.ink().on)
