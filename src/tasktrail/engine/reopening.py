"""Taking up again what is stale: what is completed and stands on something that is another one now."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import task_reference
from tasktrail.model.errors import WrongState
from tasktrail.model.lifecycle import Ask, decide
from tasktrail.model.run import STOPPING_KINDS, Run
from tasktrail.model.task import Task
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Reopened:
    """What was taken up again, or would be: the tasks as they stood, in order, and the run as it is then."""

    run: Run
    tasks: Sequence[Task]

    @property
    def names(self) -> list[str]:
        """The tasks as they are written within their run."""
        return [task_reference("", task)[1:] for task in self.tasks]


def stale_tasks(tx: Transaction, run: Run) -> list[Task]:
    """Return what is stale of a run, and what is completed and stands on it; in order."""
    ids = [row[0] for row in tx.rows("stale_with_what_stands_on_it", run_id=run.id)]
    return tx.tasks("tasks_by_ids", ids=json.dumps(ids)) if ids else []


def reopen_stale(ledger: Ledger, run: Run, *, note: str | None = None, dry_run: bool = False) -> Reopened:
    """Let all that is stale be done again: it is pending then, its history is kept. All or nothing.

    Args:
        note: Why, for the history.
        dry_run: Change nothing, and return the same.

    Raises:
        WrongState: Code executes the run; its steps are done again by `retry`.
    """
    if run.kind in STOPPING_KINDS:
        hint = f"tasktrail retry {run.name} --from STEP"
        raise WrongState(f"code executes the steps of run {run.name}; retry does them again", hint=hint)
    mark = Mark(ledger.actor, note=ledger.clean_text(note) or "it was stale")

    def work(tx: Transaction) -> Reopened:
        tasks, now = stale_tasks(tx, tx.run(run.id)), ledger.clock.now()
        if tasks and not dry_run:
            tx.apply([(decide(task, Ask("reopen"), now), mark) for task in tasks])
            tx.set_run(run.id, cancelled_at=None)
            tx.settle()
        return Reopened(tx.settled(run.id), tasks)

    if dry_run:
        return ledger.store.read(work)
    return ledger.commit(work, documents=run.documents)


def again_words(run: Run, reference: str, task: Task) -> str:
    """Return what to type to do a stale task again, with what stands on it."""
    if run.kind in STOPPING_KINDS:
        return f"tasktrail retry {reference} --from {shlex.quote(task.key)}"
    return f"tasktrail reopen --stale {reference}"
