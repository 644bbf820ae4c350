"""`note`, `edit`, `rm`: what a task is, what is written on it, and whether it is in its plan at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from tasktrail.cli.arguments import TASK, SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.plan import PRIORITY, keys_of, plan_record
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import plain
from tasktrail.engine.lookup import Found, find_task, task_reference
from tasktrail.model.errors import BadInput, WrongState


@click.command("note", cls=SessionCommand)
@click.argument("reference", metavar="REF", type=TASK)
@click.argument("text")
@click.option("--token", metavar="TOKEN", help="Of the claim on it, whose lease is renewed.")
def note_command(session: Session, reference: str, text: str, token: str | None) -> None:
    """Write a note on a task."""
    if not text.strip():
        raise BadInput("expected the note to be a text, got nothing")
    ledger = session.ledger()
    found = find_task(ledger, reference)
    assert found.task is not None
    if found.run.kind == "plan":
        from tasktrail.engine.plans import add_note

        add_note(ledger, found.run.name, found.task.key, text, token)
    elif token is not None:
        raise click.UsageError("--token goes with a task of a plan")
    else:
        ledger.note(found.task, text)
    _say(session, found, "noted")


def _say(session: Session, found: Found, what: str, **more: object) -> None:
    assert found.task is not None
    name = task_reference(found.run.name, found.task)
    if session.json:
        emit(f"task-{what}@1", {"id": name, "run": found.run.name, **more})
        return
    sys.stdout.write(f"{plain(name)} is {what}\n")


@click.command("edit", cls=SessionCommand)
@click.argument("reference", metavar="REF", type=TASK)
@click.option("--title", metavar="TEXT", help="What is to be done.")
@PRIORITY
@click.option("--after", metavar="REF,…", multiple=True, help="What it needs besides; may be given again.")
@click.option("--not-after", metavar="REF,…", multiple=True, help="What it needs no more; may be given again.")
@click.option("--set", "values", metavar="KEY=VALUE", multiple=True, help="Anything else; VALUE is JSON, or a text.")
@click.option("--token", metavar="TOKEN", help="Of the claim on it, whose lease is renewed.")
def edit_command(
    session: Session,
    reference: str,
    title: str | None,
    priority: int | None,
    after: Sequence[str],
    not_after: Sequence[str],
    values: Sequence[str],
    token: str | None,
) -> None:
    """Change what a task of a plan is, not where it stands.

    \b
    tasktrail edit T2 --after T1 --priority HIGH --set module=login
    """
    from tasktrail.engine.plan_lists import PlanTaskEdit, edit_task

    if title is None and priority is None and not (after or not_after or values):
        raise click.UsageError("say what to change: --title, --priority, --after, --not-after or --set")
    ledger = session.ledger()
    found = _of_plan(find_task(ledger, reference), "edit")
    assert found.task is not None
    plan = found.run.name
    also, no_longer = keys_of(after, plan), keys_of(not_after, plan)
    edit = PlanTaskEdit(title, priority, extra=_extra(values), also=also, no_longer=no_longer)
    task = edit_task(ledger, plan, found.task.key, edit, token)
    if session.json:
        emit("plan-task@1", plan_record(task, plan))
        return
    sys.stdout.write(f"{plain(task_reference(plan, found.task))} is edited\n")


def _of_plan(found: Found, verb: str) -> Found:
    """What a step is its workflow says."""
    if found.run.kind != "plan":
        hint = f"tasktrail list-tasks --kind {found.run.kind}"
        raise WrongState(f"{found.run.kind} run {found.run.name} is no plan; {verb} needs a task of a plan", hint=hint)
    return found


def _extra(texts: Sequence[str]) -> Mapping[str, Any]:
    from tasktrail.plan.words import OURS

    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals):
            raise BadInput(f"expected --set to be KEY=VALUE, got: {text[:60]!r}")
        values[key] = _value(value)
    if ours := [key for key in values if key in OURS]:
        raise BadInput(f"--set cannot change {', '.join(ours)}", hint="tasktrail edit --help")
    return values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@click.command("rm", cls=SessionCommand)
@click.argument("reference", metavar="REF", type=TASK)
@click.option("--force", is_flag=True, help="Also where others need it; they then need it no more.")
def rm_command(session: Session, reference: str, force: bool) -> None:
    """Take a task out of its plan. Its history is kept, and its id stays taken."""
    from tasktrail.engine.plan_tasks import remove_task

    ledger = session.ledger()
    found = _of_plan(find_task(ledger, reference), "rm")
    assert found.task is not None
    unlinked = remove_task(ledger, found.run.name, found.task.key, unlink=force)
    _say(session, found, "removed", unlinked=[f"{found.run.name}:{key}" for key in unlinked])
    if unlinked and not session.json:
        tell(f"no longer needed by {plain(', '.join(unlinked))}")
