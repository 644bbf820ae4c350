"""`undo`: takes back one change, a batch, or all that somebody changed since a time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tasktrail.cli.arguments import TASK, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import plain
from tasktrail.model.errors import BadInput

if TYPE_CHECKING:
    from tasktrail.engine.ledger import Ledger
    from tasktrail.engine.undo import Select, TaskUndone, Undone


@click.command("undo", cls=SessionCommand)
@click.argument("reference", metavar="[EVENT|REF]", type=TASK, required=False)
@click.option("--actor", "changed_by", metavar="A", help="All that A changed since --since, in REF or everywhere.")
@click.option("--since", metavar="T", help="A time such as 2026-01-31T12:00:00+00:00, or a span such as 2h.")
@click.option(
    "--batch", metavar="N", type=click.IntRange(1), help="All that one call changed: its event, or any in it."
)
@click.option("--dry-run", is_flag=True, help="Say what would be undone, and change nothing.")
def undo_command(
    session: Session, reference: str | None, changed_by: str | None, since: str | None, batch: int | None, dry_run: bool
) -> None:
    """Take changes back; the history keeps both. All is undone or nothing.

    EVENT is a number that `history` shows; of a task, REF, the last change is undone (RUN:1 is a task, 1 an event).
    Undone are moves, edits, notes
    and added tasks. It is refused where a later event stands on the change, or a task that needs it was started since.
    No claim is brought back: what was in progress comes back as pending. Undoing an undo does it again.
    """
    from tasktrail.engine.undo import undo

    ledger = session.ledger()
    undone = undo(ledger, _selected(ledger, reference, changed_by, since, batch), dry_run=dry_run)
    if session.json:
        emit("undone@1", undone_record(undone, dry_run=dry_run))
    else:
        _show(undone, dry_run=dry_run)


def _selected(
    ledger: Ledger, reference: str | None, changed_by: str | None, since: str | None, batch: int | None
) -> Select:
    from tasktrail.engine.undo import of_actor, of_batch, of_event

    _check_usage(reference, changed_by, since, batch)
    if batch is not None:
        return of_batch(batch)
    if changed_by is not None:
        from tasktrail.engine.lookup import find_run

        run = find_run(ledger, reference) if reference else None
        return of_actor(changed_by, moment_of(ledger, str(since)), run)
    assert reference is not None
    return of_event(int(reference)) if _is_number(reference) else _last_of(ledger, reference)


def _check_usage(reference: str | None, changed_by: str | None, since: str | None, batch: int | None) -> None:
    if (changed_by is None) != (since is None):
        raise click.UsageError("--actor and --since belong together")
    if batch is not None and (reference or changed_by):
        raise click.UsageError("--batch says all: leave the others out")
    if not (reference or changed_by or batch is not None):
        raise click.UsageError(
            "name the number of an event (history shows them), a task, --batch N, or --actor A --since T"
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _last_of(ledger: Ledger, reference: str) -> Select:
    from tasktrail.engine.lookup import find
    from tasktrail.engine.undo import of_task

    found = find(ledger, reference)
    if found.task is None:
        hint = f"tasktrail history {reference} shows numbers of events and batches"
        raise BadInput(f"{reference} is a run; undo takes one task, or the number of an event", hint=hint)
    return of_task(found)


def moment_of(ledger: Ledger, text: str) -> int:
    from tasktrail.formats.moment import parse_moment
    from tasktrail.model.duration import parse_duration_ms

    at = parse_moment(text)
    return ledger.clock.now() - 1_000 * parse_duration_ms(text, "--since") if at is None else at


def _show(undone: Undone, *, dry_run: bool) -> None:
    sys.stdout.writelines(f"{_line(one)}\n" for one in undone.tasks)
    sys.stdout.flush()
    tell(*map(plain, undone.effects))
    if dry_run:
        tell("nothing was changed: this is what undo would do")
    for number in undone.batches:
        tell(f"to do it again: tasktrail undo {number}")


def _line(one: TaskUndone) -> str:
    """What became of one task."""
    events = ", ".join(map(str, one.events))
    said = [f"{one.from_status} → {one.to_status}"] if one.from_status != one.to_status else []
    if one.fields:
        said.append(f"{', '.join(one.fields)} as before")
    words = "; ".join([*said, *([one.remark] if one.remark else [])])
    return plain(f"{one.run}:{one.task}  undo of {events}  {words}")


def undone_record(undone: Undone, *, dry_run: bool) -> dict[str, Any]:
    """Return what was undone as a record."""
    tasks = [
        {
            "task": f"{one.run}:{one.task}", "events": list(one.events), "from_status": one.from_status,
            "to_status": one.to_status, "fields": list(one.fields), "remark": one.remark,
        }
        for one in undone.tasks
    ]  # fmt: skip
    return {"dry_run": dry_run, "tasks": tasks, "effects": list(undone.effects), "batches": list(undone.batches)}
