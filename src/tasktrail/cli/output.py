"""`logs`: what steps printed, from any process, while they run and afterwards."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from tasktrail.cli.arguments import RUN, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import Ink, named, pad, plain, shorten, width
from tasktrail.engine.lookup import Found, find, shared_names
from tasktrail.engine.lookup import run_reference as reference_of
from tasktrail.engine.reading import Following, Line, OutputReader, last_attempt
from tasktrail.json_records import line_record

if TYPE_CHECKING:
    from tasktrail.engine.ledger import Ledger

_EVERY_S: Final = 0.2
_NAME_COLUMNS: Final = 28
_STREAMS: Final = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be printed, and how."""

    found: Found
    attempt: int | None
    stream: str | None
    follow: bool


@click.command("logs", cls=SessionCommand)
@click.argument("reference", metavar="RUN[:STEP]", type=RUN)
@click.option("-f", "--follow", is_flag=True, help="Go on until the attempt, or the run, is over.")
@click.option("--attempt", metavar="N", type=click.IntRange(1), help="Which attempt of the step; else the last one.")
@click.option("--stream", type=click.Choice(_STREAMS), help="Only what was printed there.")
def logs_command(session: Session, reference: str, follow: bool, attempt: int | None, stream: str | None) -> None:
    """Show what a step printed (RUN:STEP), or all steps of a run, each line behind the name of its step.

    Output is scrubbed before it is stored, and of very long output the middle is left out. With --follow and --json
    every line is a document of its own.
    """
    ledger = session.ledger()
    found = find(ledger, reference)
    if found.task is None and attempt is not None:
        raise click.UsageError("--attempt needs a step: RUN:STEP")
    if found.task is not None and not (attempt is None and follow):
        attempt = last_attempt(found.task, attempt)
    wish = Wish(found, attempt, stream, follow)
    lines = (line for line in _lines(ledger, wish) if stream is None or line.stream in (None, stream))
    if session.json:
        _print_json(ledger, wish, lines)
    else:
        _print(lines, session.ink() if found.task is None else None)


def _lines(ledger: Ledger, wish: Wish) -> Iterator[Line]:
    if not wish.follow:
        yield from OutputReader(ledger, wish.found, wish.attempt).lines()
        return
    following = Following(ledger, wish.found, wish.attempt)
    while True:
        yield from following.lines()
        if following.is_over:
            break
        sys.stdout.flush()
        time.sleep(_EVERY_S)
    if following.words:
        tell(following.words)


def _print(lines: Iterator[Line], ink: Ink | None) -> None:
    """A step's own lines stand alone; those of a run stand behind its steps' names."""
    shown: Callable[[Line], str] = (lambda line: plain_text(line.text)) if ink is None else _Named(ink)
    for line in lines:
        sys.stdout.write(f"{shown(line)}\n")


class _Named:
    """Puts the step's name in front of a line, in a column that grows with the names."""

    def __init__(self, ink: Ink) -> None:
        self._ink = ink
        self._columns = 4

    def __call__(self, line: Line) -> str:
        name = shorten(named(line.step, line.title), _NAME_COLUMNS)
        self._columns = max(self._columns, width(name))
        style = {"stderr": "yellow", "stdout": "cyan"}.get(line.stream or "", "dim")
        return f"{self._ink(style, pad(name, self._columns))} | {plain_text(line.text)}"


def plain_text(line: str) -> str:
    """Return a line as it may be shown: tabs are blanks, and nothing steers the terminal."""
    return plain(line.expandtabs())


def _print_json(ledger: Ledger, wish: Wish, lines: Iterator[Line]) -> None:
    run = reference_of(wish.found.run, ledger.store.read(lambda tx: shared_names(tx, [wish.found.run])))
    records = (line_record(line, run) for line in lines)
    if not wish.follow:
        emit("output-line-list@1", list(records))
        return
    for record in records:
        sys.stdout.write(json.dumps({"schema": "tasktrail/output-line@1", "data": record}, ensure_ascii=False) + "\n")
        sys.stdout.flush()
