"""`list-tasks` and `search`: tasks of many runs, a page at a time."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import columns, plain, shorten, width
from tasktrail.engine.lookup import find_run, task_reference
from tasktrail.engine.task_views import Listed, TaskList, list_tasks, open_runs
from tasktrail.json_records import listed_record
from tasktrail.model.plan import percent_done
from tasktrail.model.run import KINDS, STOPPING_KINDS, Kind, Run
from tasktrail.model.task import STATUSES, Status

COLORS: Final[Mapping[str, str]] = {
    "in_progress": "blue", "completed": "green", "failed": "red", "blocked": "magenta", "pending": "dim",
    "skipped": "dim", "cancelled": "dim",
}  # fmt: skip
_HEADER: Final = ("TASK", "STATUS", "PRIORITY", "AFTER", "TITLE")
_MOST_AFTER: Final = 20
_NARROWEST_TITLE: Final = 16
_BY_HAND: Final = tuple(kind for kind in KINDS if kind not in STOPPING_KINDS)

_FILTERS: Final = (
    click.option("--plan", metavar="NAME", help="Only tasks of this plan, also when nothing of it is left to do."),
    click.option("--kind", type=click.Choice(KINDS), help="Of runs of this kind: dag has the steps of DAG runs."),
    click.option("--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only tasks that stand so."),
    click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Tasks on a page."),
    click.option("--cursor", metavar="CURSOR", help="Go on after the page that named it."),
)


def _filtered(command: Any) -> Any:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.command("list-tasks", cls=SessionCommand)
@_filtered
@click.option("--all", "over", is_flag=True, help="Also of runs in which nothing is left to do.")
def list_tasks_command(session: Session, plan: str | None, kind: Kind | None, over: bool, **page: Any) -> None:
    """List tasks of plans in which something is left to do, in the order of each plan, and how much is done."""
    runs = _runs(session, plan, kind, over=over)
    listed = list_tasks(session.ledger(), runs, **page)
    _show(session, listed, _again("list-tasks", plan, kind, page["status"], over=over))
    if not (session.json or listed.tasks):
        tell(_nothing(listed, bool(open_runs(session.ledger(), (kind,) if kind else _BY_HAND, over=True))))


def _nothing(listed: TaskList, has_runs: bool) -> str:
    if listed.n_tasks:
        return "no tasks here"
    if has_runs:
        return "nothing is left to do; what was done: tasktrail list-tasks --all"
    return 'no tasks here; to begin: tasktrail add "What is to be done"'


@click.command("search", cls=SessionCommand)
@click.argument("text")
@_filtered
def search_command(session: Session, text: str, plan: str | None, kind: Kind | None, **page: Any) -> None:
    """Find the tasks whose id, title or result has TEXT in it, in lower or upper case; also of plans that are done."""
    if not text.strip():
        raise click.UsageError("say what to look for")
    runs = _runs(session, plan, kind, over=True)
    listed = list_tasks(session.ledger(), runs, words=text, **page)
    _show(session, listed, _again(f"search {shlex.quote(text)}", plan, kind, page["status"]))
    if not (session.json or listed.tasks):
        tell(f"no task has {plain(text)!r} in its id, title or result")


def _runs(session: Session, plan: str | None, kind: Kind | None, *, over: bool) -> list[Run]:
    if plan is not None and kind not in (None, "plan"):
        raise click.UsageError("give one of --plan and --kind, not both")
    if plan is not None:
        return [find_run(session.ledger(), f"plan/{plan}")]
    return open_runs(session.ledger(), (kind,) if kind else _BY_HAND, over=over)


def _again(command: str, plan: str | None, kind: str | None, status: Status | None, *, over: bool = False) -> str:
    """Return the command that gets the next page, up to its cursor."""
    given = {"--plan": plan, "--kind": kind, "--status": status}
    options = [f" {name} {value}" for name, value in given.items() if value]
    return f"tasktrail {command}{''.join(options)}{' --all' if over else ''}"


def _show(session: Session, listed: TaskList, again: str) -> None:
    if session.json:
        emit("task-list@1", [listed_record(one) for one in listed.tasks], listed.cursor)
        return
    if listed.tasks:
        lines = columns(_HEADER, _rows(listed.tasks, session.width), limit=None, ink=session.ink(), style=_style)
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    if listed.n_tasks:
        completed, total = listed.counts.get("completed", 0), listed.n_tasks
        tell(f"{completed:,} of {total:,} completed ({percent_done(completed, total):g} %)")
    if listed.cursor:
        tell(f"more: {again} --cursor {shlex.quote(listed.cursor)}")


def _rows(tasks: Sequence[Listed], limit: int | None) -> list[Sequence[str]]:
    """On a terminal titles are cut, so that each task has one line."""
    bare = len({one.run.id for one in tasks}) == 1 and tasks[0].run.kind == "plan"
    rows = [_row(one, bare=bare) for one in tasks]
    if limit is None:
        return rows
    others = sum(max(width(row[column]) for row in (_HEADER, *rows)) + 2 for column in range(len(_HEADER) - 1))
    room = max(limit - others, _NARROWEST_TITLE)
    return [(*row[:-1], shorten(row[-1], room)) for row in rows]


def _row(one: Listed, *, bare: bool) -> Sequence[str]:
    """Where all are of one plan, keys say enough."""
    name = one.task.key if bare else task_reference(one.reference, one.task)
    after = shorten(plain(", ".join(one.needs)), _MOST_AFTER) or "-"
    return (plain(name), one.task.status, str(one.task.priority), after, plain(one.title) or "-")


def _style(column: int, cell: str) -> str | None:
    return COLORS.get(cell) if column == 1 else None
