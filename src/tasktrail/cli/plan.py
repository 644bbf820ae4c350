"""`write-tasks` and `next`: a plan from a file, and what comes next of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import counted, named, plain, utc
from tasktrail.model.errors import NotFound
from tasktrail.model.reference import check_run_id

if TYPE_CHECKING:
    from tasktrail.engine.plans import NextTask
    from tasktrail.model.plan import PlanTask

_PLAN = click.option("--plan", default="main", show_default=True, metavar="NAME", help="Which plan.")


@click.command("write-tasks", cls=SessionCommand)
@click.argument("file", type=click.Path(path_type=Path))
@_PLAN
def write_tasks_command(session: Session, file: Path, plan: str) -> None:
    """Create a plan from FILE, or bring the one that exists to it; what its tasks have reached is kept.

    FILE is a task-breakdown.json, what `tasktrail export` wrote, a check list in Markdown, or what Task Master,
    Backlog.md, beads, Taskwarrior or a spreadsheet (CSV) wrote. A task that is no longer in it is taken out.
    """
    from tasktrail.engine.plan_lists import take_over
    from tasktrail.formats.imports import detect

    imported = detect.read(file)[1]
    written = take_over(session.ledger(create=True), check_run_id(plan), imported.tasks)
    for note in imported.notes:
        tell(plain(note))
    if session.json:
        changes = {"added": written.added, "changed": written.changed, "removed": written.removed}
        emit("plan-written@1", {"id": plan, "tasks": len(imported.tasks), **changes, "notes": imported.notes})
        return
    sys.stdout.write(f"{plan}\n")
    words = [f"{len(keys):,} {word}" for word, keys in _told(written.added, written.changed, written.removed) if keys]
    tell(f"{counted(len(imported.tasks), 'task')}: {', '.join(words) or 'nothing changed'}")


def _told(*lists: Any) -> zip[tuple[str, Any]]:
    return zip(("added", "changed", "removed"), lists, strict=True)


@click.command("next", cls=SessionCommand)
@_PLAN
@click.option("--skip-dependencies", is_flag=True, help="Also a task that waits for others.")
def next_command(session: Session, plan: str, skip_dependencies: bool) -> None:
    """Show the most urgent task that can start now. Where there is none, say why, and exit with 3."""
    from tasktrail.engine.plans import next_task

    found = next_task(session.ledger(), plan, skip_needs=skip_dependencies)
    if found.task is None:
        raise _nothing(found, plan)
    if session.json:
        emit("plan-task@1", _record(found.task))
        return
    sys.stdout.write(f"{named(found.task.key, found.task.title)}\n")
    if found.task.needs:
        tell(f"after {plain(', '.join(found.task.needs))}")


def _nothing(found: NextTask, plan: str) -> NotFound:
    if not found.n_tasks:
        return NotFound(f"there is no plan {plan}", hint=f"tasktrail write-tasks FILE --plan {plan}")
    blocked = [f"{one.key} {one.reason}" for one in found.blocked]
    return NotFound(f"nothing of plan {plan} can start now", details=blocked, hint=f"tasktrail explain plan/{plan}")


def _record(task: PlanTask) -> dict[str, Any]:
    return {
        "id": task.key, "title": task.title, "status": task.status, "priority": task.priority, "needs": task.needs,
        "attempts": task.attempts, "created_at": utc(task.created_at), "started_at": utc(task.started_at),
        "notes": [{"at": utc(note.at), "note": note.text, "actor": note.actor} for note in task.notes],
        "extra": dict(task.extra),
    }  # fmt: skip
