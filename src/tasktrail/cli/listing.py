"""`list-runs`: runs of all kinds, the newest first."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import columns, local, plain, span
from tasktrail.engine.lookup import RunPage, is_abandoned, lasted_us, list_runs, owners, run_reference
from tasktrail.json_records import run_record
from tasktrail.model.run import KINDS, RUN_STATUSES, Kind, Run, RunStatus

COLORS: Final[Mapping[str, str]] = {
    "created": "dim", "running": "blue", "completed": "green", "failed": "red", "cancelled": "dim", "partial": "yellow",
}  # fmt: skip
_HEADER: Final = ("RUN", "KIND", "WORKFLOW", "STATUS", "DONE", "STARTED", "DURATION")


@click.command("list-runs", cls=SessionCommand)
@click.option("--kind", type=click.Choice(KINDS), help="Only runs of this kind.")
@click.option("--status", type=click.Choice(RUN_STATUSES, case_sensitive=False), help="Only runs that stand so.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow (the dag_id).")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Runs on a page.")
@click.option("--cursor", metavar="CURSOR", help="Go on after the page that named it.")
def list_runs_command(
    session: Session, kind: Kind | None, status: RunStatus | None, workflow: str | None, limit: int, cursor: str | None
) -> None:
    """List runs, the newest first."""
    ledger = session.ledger()
    page = list_runs(ledger, kind=kind, status=status, workflow=workflow, limit=limit, cursor=cursor)
    owner_by_run = owners(ledger, page.runs)
    if session.json:
        emit("run-list@1", [run_record(run, page.shared, owner_by_run.get(run.id)) for run in page.runs], page.cursor)
        return
    now = ledger.clock.now()
    rows = [_row(run, page, owner_by_run.get(run.id), now) for run in page.runs]
    if rows:
        style = {"limit": session.width, "ink": session.ink(), "style": _style}
        sys.stdout.writelines(f"{line}\n" for line in columns(_HEADER, rows, **style))  # type: ignore[arg-type]
    _tell_more(page, [run for run in page.runs if is_abandoned(run, owner_by_run.get(run.id))])


def _row(run: Run, page: RunPage, owner: str | None, now: int) -> Sequence[str]:
    done = run.n_completed + run.n_skipped
    name = run_reference(run, page.shared)
    workflow = "-" if run.workflow == run.name else plain(run.workflow)
    return (
        name,
        run.kind,
        workflow,
        run.status,
        f"{done}/{run.n_tasks}",
        local(run.started_at),
        span(lasted_us(run, owner, now)),
    )


def _style(column: int, cell: str) -> str | None:
    return COLORS.get(cell) if column == 3 else None


def _tell_more(page: RunPage, abandoned: Sequence[Run]) -> None:
    if not page.runs:
        tell("no runs here; to begin one: tasktrail run dag MODULE:RUNNER")
    for run in abandoned[:3]:
        tell(f"nobody executes {run.name}; it stands with: tasktrail run dag --status {run.name}")
    if page.cursor:
        tell(f"more: tasktrail list-runs --cursor {page.cursor}")
