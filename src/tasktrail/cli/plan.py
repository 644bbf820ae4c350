"""`write-tasks`, `add` and `next`: a plan from a file, one task more, and what comes next of it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import counted, memory_lines, named, plain
from tasktrail.formats.moment import iso_utc as utc
from tasktrail.json_records import memory_record
from tasktrail.model.errors import BadInput, NotFound
from tasktrail.model.plan import STANDING_PLAN
from tasktrail.model.reference import check_run_id, format_task, readings
from tasktrail.model.task import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasktrail.engine.claims import Claimed
    from tasktrail.engine.ledger import Ledger
    from tasktrail.engine.plans import NextTask
    from tasktrail.model.plan import PlanTask

PLAN = click.option("--plan", default=STANDING_PLAN, show_default=True, metavar="NAME", help="Which plan.")


_LEASE_S: Final = 900.0


class Priority(click.ParamType[int]):
    """A whole number, smaller is more urgent, or one of four words."""

    name = "N|HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        try:
            number = PRIORITIES.get(str(value).upper()) or int(value)
        except ValueError:
            number = 2**31
        if abs(number) >= 2**31:
            self.fail(
                f"expected a whole number or one of {', '.join(PRIORITIES)}, got: {str(value)[:60]!r}", param, ctx
            )
        return number


PRIORITY = click.option("--priority", type=Priority(), help="Smaller is more urgent; CRITICAL to LOW are 1 to 4.")


@click.command("write-tasks", cls=SessionCommand)
@click.argument("file", type=click.Path(path_type=Path))
@PLAN
@click.option("--yes", is_flag=True, help="Also where FILE has no tasks, so that all are taken out.")
def write_tasks_command(session: Session, file: Path, plan: str, yes: bool) -> None:
    """Create a plan from FILE, or bring the one that exists to it; what its tasks have reached is kept.

    FILE is a task-breakdown.json, what `tasktrail export` wrote, a check list in Markdown, or what Task Master,
    Backlog.md, beads, Taskwarrior or a spreadsheet (CSV) wrote. A task that is no longer in it is taken out.
    """
    from tasktrail.engine.plan_lists import take_over
    from tasktrail.formats.imports import detect

    imported, ledger = detect.read(file)[1], session.ledger(create=True)
    if not (imported.tasks or yes):
        _check_empty(ledger, check_run_id(plan), file)
    written = take_over(ledger, check_run_id(plan), imported.tasks)
    for note in imported.notes:
        tell(plain(note))
    if session.json:
        changes = {"added": written.added, "changed": written.changed, "removed": written.removed}
        emit("plan-written@1", {"id": plan, "tasks": len(imported.tasks), **changes, "notes": imported.notes})
        return
    sys.stdout.write(f"{plan}\n")
    words = [f"{len(keys):,} {word}" for word, keys in _told(written.added, written.changed, written.removed) if keys]
    tell(f"{counted(len(imported.tasks), 'task')}: {', '.join(words) or 'nothing changed'}")


def _check_empty(ledger: Ledger, plan: str, file: Path) -> None:
    """A file that was cut short, or the wrong one, must not cost a plan its tasks."""
    from tasktrail.engine.plans import read_plan

    if (now := read_plan(ledger, plan)) and now.tasks:
        words = f"{file} has no tasks; {counted(len(now.tasks), 'task')} would be taken out of plan {plan}"
        raise BadInput(words, hint=f"tasktrail write-tasks {shlex.quote(str(file))} --plan {plan} --yes")


def _told(*lists: Any) -> zip[tuple[str, Any]]:
    return zip(("added", "changed", "removed"), lists, strict=True)


@click.command("add", cls=SessionCommand)
@click.argument("title")
@PLAN
@click.option("--id", "key", metavar="KEY", default="", help="How it is called; else the next free of T1, T2 ….")
@click.option("--after", metavar="REF,…", multiple=True, help="What must be done before; may be given again.")
@PRIORITY
@click.option("--note", metavar="TEXT", default="", help="The first of its notes.")
def add_command(
    session: Session, title: str, plan: str, key: str, after: Sequence[str], priority: int | None, note: str
) -> None:
    """Add a task behind the others of a plan, and print its id. Where there is no such plan, it is created.

    \b
    tasktrail add "Fix login" --after T3
    """
    from tasktrail.engine.plan_tasks import add_task
    from tasktrail.model.plan import PlanTask

    needs = keys_of(after, check_run_id(plan))
    task = PlanTask(key, title, priority=3 if priority is None else priority, needs=needs)
    added = add_task(session.ledger(create=True), plan, task, note)
    if session.json:
        emit("plan-task@1", plan_record(added, plan))
        return
    sys.stdout.write(f"{plain(added.key)}\n")


def keys_of(references: Sequence[str], plan: str) -> tuple[str, ...]:
    """Return the keys of tasks that another one of the plan is to need.

    Raises:
        BadInput: One is of another run: a task needs tasks of its own plan alone.
    """
    keys = [text.strip() for one in references for text in one.split(",") if text.strip()]
    return tuple(_key(text, plan) for text in keys)


def _key(text: str, plan: str) -> str:
    first = readings(text)[0]
    if first.key is None:
        return text
    if first.run not in (None, plan) or first.kind not in (None, "plan"):
        raise BadInput(f"{text} is not of plan {plan}; a task needs tasks of its own plan", hint="tasktrail list-tasks")
    return text if first.run is None else text.partition(":")[2]


@click.command("next", cls=SessionCommand)
@PLAN
@click.option("--skip-dependencies", is_flag=True, help="Also a task that waits for others.")
@click.option("--claim", is_flag=True, help="Begin it, so that nobody else gets it; prints its token.")
@click.option("--owner", metavar="NAME", help="With --claim: whom the history names; else you.")
@click.option(
    "--lease", "lease_s", type=float, metavar="SECONDS", help="With --claim: how long it lasts without a word."
)
def next_command(
    session: Session, plan: str, skip_dependencies: bool, claim: bool, owner: str | None, lease_s: float | None
) -> None:
    """Show the most urgent task that can start now. Where there is none, say why, and exit with 3.

    With --claim it is yours until you say what became of it, with the token that is printed, or until you were silent
    for longer than the lease: 900 seconds, and each command with the token begins them anew.

    \b
    tasktrail next --claim
    tasktrail complete T1 --token TOKEN --result "It works"
    """
    if claim:
        _claim(session, plan, skip_dependencies, owner, _LEASE_S if lease_s is None else lease_s)
        return
    if owner is not None or lease_s is not None:
        raise click.UsageError(f"{'--lease' if owner is None else '--owner'} goes with --claim")
    from tasktrail.engine.plans import next_task

    found = next_task(session.ledger(), plan, skip_needs=skip_dependencies)
    if found.task is None:
        raise _nothing(session, found, plan)
    if session.json:
        emit("plan-task@1", plan_record(found.task, plan))
        return
    _print(found.task)


def _claim(session: Session, plan: str, skip_needs: bool, owner: str | None, lease_s: float) -> None:
    from tasktrail.engine.claims import claim_next
    from tasktrail.engine.failure_memory import remembered_of_plan

    ledger = session.ledger()
    claimed = claim_next(ledger, plan, owner=owner or ledger.actor, lease_s=lease_s, skip_needs=skip_needs)
    if not session.json and claimed.taken_back:
        tell(f"taken back, since nothing was heard of them: {plain(', '.join(claimed.taken_back))}")
    if claimed.claim is None:
        raise _nothing(session, claimed.next, plan)
    task, token = claimed.claim.task, claimed.claim.token
    memory = remembered_of_plan(ledger, plan, task)
    if session.json:
        known = {"known_error": memory and memory_record(memory)}
        emit("claim@1", {**_claim_record(claimed, plan, lease_s), **known})
        return
    _print(task)
    sys.stdout.write(f"token {token}\n")
    sys.stdout.flush()
    tell(*memory_lines(memory))
    tell(f"when it is done: tasktrail complete {shlex.quote(f'{plan}:{task.key}')} --token {token}")


def _claim_record(claimed: Claimed, plan: str, lease_s: float) -> dict[str, Any]:
    assert claimed.claim is not None
    task = plan_record(claimed.claim.task, plan)
    token = claimed.claim.token
    return {**task, "token": token, "lease_ms": round(lease_s * 1000), "taken_back": list(claimed.taken_back)}


def _print(task: PlanTask) -> None:
    sys.stdout.write(f"{named(task.key, task.title)}\n")
    if task.needs:
        tell(f"after {plain(', '.join(task.needs))}")


def _nothing(session: Session, found: NextTask, plan: str) -> NotFound:
    if not found.n_tasks:
        return NotFound(f"there is no plan {plan}, or it has no tasks", hint=begin(session, plan, "next"))
    blocked = [f"{one.key} {one.reason}" for one in found.blocked]
    return NotFound(f"nothing of plan {plan} can start now", details=blocked, hint=f"tasktrail explain plan/{plan}")


def begin(session: Session, plan: str, command: str) -> str:
    """Return what to type when a plan is not there: where there are others, one of them was probably meant."""
    from tasktrail.engine.task_views import open_runs

    others = [run.name for run in open_runs(session.ledger(), ["plan"]) if run.name != plan]
    return f"tasktrail {command} --plan {others[-1]}" if others else f'tasktrail add "What is to be done" --plan {plan}'


def plan_record(task: PlanTask, plan: str) -> dict[str, Any]:
    """Return a task of a plan as a record."""
    return {
        "id": format_task(plan, task.key), "run": plan, "key": task.key, "title": task.title, "status": task.status,
        "priority": task.priority, "needs": task.needs, "attempts": task.attempts, "result": task.result,
        "created_at": utc(task.created_at), "started_at": utc(task.started_at),
        "completed_at": utc(task.completed_at),
        "notes": [{"at": utc(note.at), "note": note.text, "actor": note.actor} for note in task.notes],
        "extra": dict(task.extra),
    }  # fmt: skip
