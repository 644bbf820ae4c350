"""`reopen --stale`: all that stands on what is another one now is taken up again."""

from __future__ import annotations

import sys

from tasktrail.cli.documents import emit
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import counted, plain
from tasktrail.engine.lookup import find_run, task_reference
from tasktrail.engine.reopening import reopen_stale


def reopen_all_stale(session: Session, reference: str, *, note: str | None, dry_run: bool) -> None:
    """Reopen what is stale of a run, or say what it would be."""
    ledger = session.ledger()
    run = find_run(ledger, reference)
    reopened = reopen_stale(ledger, run, note=note, dry_run=dry_run)
    names = [task_reference(run.name, task) for task in reopened.tasks]
    if session.json:
        emit("reopened@1", {"run": run.name, "dry_run": dry_run, "tasks": names})
        return
    sys.stdout.writelines(f"{plain(name)}\n" for name in names)
    sys.stdout.flush()
    if not names:
        tell(f"nothing of {run.kind} {run.name} is stale")
    elif dry_run:
        tell("nothing was changed: these would be pending again")
    else:
        tell(f"{counted(len(names), 'task')} of {run.kind} {run.name} to do again")
