"""`show` and `task-status`: one task, with all that is said of it, or its status alone."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from tasktrail.cli.arguments import TASK, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.events import change_words
from tasktrail.cli.session import Session, tell
from tasktrail.cli.tasks import COLORS
from tasktrail.cli.text import Ink, error_words, local, memory_lines, plain, span
from tasktrail.engine.lookup import find_task, run_reference, shared_names, task_reference
from tasktrail.engine.task_views import Linked, TaskDetails, details, lasted_us
from tasktrail.json_records import details_record
from tasktrail.model.task import elapsed_us

if TYPE_CHECKING:
    from tasktrail.model.attempt import Attempt


@click.command("show", cls=SessionCommand)
@click.argument("reference", metavar="REF", type=TASK)
def show_command(session: Session, reference: str) -> None:
    """Show all about one task: where it stands, what it needs and who needs it, notes, attempts, its last events."""
    ledger = session.ledger()
    seen = details(ledger, find_task(ledger, reference))
    if session.json:
        emit("task-details@1", details_record(seen))
        return
    sys.stdout.writelines(f"{line}\n" for line in _lines(seen, session.ink()))
    sys.stdout.flush()
    tell(f"why it stands so: tasktrail explain {shlex.quote(task_reference(seen.reference, seen.task))}")


@click.command("task-status", cls=SessionCommand)
@click.argument("reference", metavar="REF", type=TASK)
def task_status_command(session: Session, reference: str) -> None:
    """Print the status of a task, one word."""
    ledger = session.ledger()
    found = find_task(ledger, reference)
    task = found.task
    assert task is not None
    if session.json:
        run = run_reference(found.run, ledger.store.read(lambda tx: shared_names(tx, [found.run])))
        emit("task-status@1", {"id": task_reference(run, task), "run": run, "status": task.status})
        return
    sys.stdout.write(f"{task.status}\n")


def _lines(seen: TaskDetails, ink: Ink) -> Iterator[str]:
    yield ink("bold", f"{plain(task_reference(seen.reference, seen.task))}  {plain(seen.title)}".rstrip())
    for name, text in _facts(seen, ink):
        if text:
            yield f"{name + ':':<11} {text}"
    yield from _section("Notes", [f"{local(note.at)}  {_by(note.actor)}{plain(note.text)}" for note in seen.notes], ink)
    yield from _section("Stack", [plain(line) for line in (seen.stack or "").splitlines()], ink)
    yield from _section("Known error", memory_lines(seen.memory), ink)
    yield from _section("Attempts", [line for one in seen.attempts for line in _attempt(one, seen.now)], ink)
    events = [f"{local(event.at)}  {plain(event.actor)}  {event.verb}  {change_words(event)}" for event in seen.events]
    yield from _section("History", [line.rstrip() for line in events], ink)


def _facts(seen: TaskDetails, ink: Ink) -> Iterator[tuple[str, str]]:
    task = seen.task
    words = [ink(COLORS[task.status], task.status), *(["stale"] if seen.stale else [])]
    yield "Status", ", ".join(words) + (f": {plain(task.reason)}" if task.reason else "")
    if seen.claim:
        silent = "; its lease ran out, whoever claims next takes it over" if seen.claim.ran_out else ""
        yield "Claimed", f"by {plain(seen.claim.owner)}{silent}"
    yield "Priority", str(task.priority)
    yield "Needs", _linked(seen.needs)
    yield "Needed by", _linked(seen.needed_by)
    yield "Started", local(task.started_at) if task.started_at else ""
    elapsed = elapsed_us(task)
    after = f", {span(elapsed)} after it began" if elapsed is not None else ""
    yield "Ended", f"{local(task.completed_at)}{after}" if task.completed_at else ""
    yield "Took", span(seen.worked_us) if seen.attempts else ""
    yield "Result", _value(seen.result)
    yield "Error", error_words(task.error_type, task.error) if task.error else ""
    for name, value in seen.extra.items():
        yield plain(name), _value(value)


def _linked(tasks: Sequence[Linked]) -> str:
    return ", ".join(f"{plain(one.key)} ({one.status or 'does not exist'})" for one in tasks)


def _value(value: object) -> str:
    if value is None:
        return ""
    return plain(value) if isinstance(value, str) else plain(json.dumps(value, ensure_ascii=False))


def _by(actor: str | None) -> str:
    return f"{plain(actor)}: " if actor else ""


def _attempt(attempt: Attempt, now: int) -> Iterator[str]:
    error = f"  {error_words(attempt.error_type, attempt.error)}" if attempt.error or attempt.error_type else ""
    outcome = attempt.outcome or "in progress"
    yield f"{attempt.n}  {local(attempt.started_at)}  {outcome}  {span(lasted_us(attempt, now))}{error}"
    for line in (attempt.stack or "").splitlines():
        yield f"   {plain(line)}"


def _section(title: str, lines: Sequence[str], ink: Ink) -> Iterator[str]:
    if lines:
        yield ""
        yield ink("bold", title)
        yield from (f"  {line}" for line in lines)
