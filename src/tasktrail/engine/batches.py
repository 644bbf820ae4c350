"""Batches: many changes of a plan in one call, and the event by which they are found again together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tasktrail.engine.failures import told_failure
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plans import Marked, Said, cleaned, mark_in, plan_in, task_in
from tasktrail.model.errors import BadInput, TasktrailError
from tasktrail.model.run import Run
from tasktrail.model.task import Status
from tasktrail.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class TaskMark:
    """Where one task is to stand; note, result and error as for `mark_task`."""

    key: str
    status: Status
    note: str = ""
    result: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class BatchMarked:
    """What came of each mark, in their order, and the number of the event that holds them together.

    Args:
        batch: None where fewer than two events were written.
    """

    items: Sequence[Marked | TasktrailError]
    batch: int | None


def mark_tasks(ledger: Ledger, name: str, marks: Sequence[TaskMark], *, partial: bool = False) -> BatchMarked:
    """Mark many tasks of a plan in one commit, all or none of them.

    Args:
        partial: Mark those that can be; the others have their error in the answer.

    Raises:
        NoPlan: There is none.
        BadInput: Not partial, and some cannot be marked; the details name all of them.
    """
    clean = [(mark, cleaned(ledger, mark.note, mark.result, told_failure(mark.error, mark.status))) for mark in marks]
    times = Counter(mark.key for mark in marks)

    def one(tx: Transaction, run: Run, mark: TaskMark, said: Said) -> Marked | TasktrailError:
        """Whatever can be wrong is found before the first move."""
        if times[mark.key] > 1:
            return BadInput(f"task {mark.key} is given {times[mark.key]} times")
        try:
            return mark_in(tx, ledger, task_in(tx, run, mark.key), mark.status, said)
        except TasktrailError as error:
            return error

    def work(tx: Transaction) -> BatchMarked:
        run = plan_in(tx, name)
        before = open_batch(tx, run)
        items = [one(tx, run, *said) for said in clean]
        faults = [item.message for item in items if isinstance(item, TasktrailError)]
        if faults and not partial:
            raise BadInput("these tasks cannot be marked, nothing was changed", details=list(dict.fromkeys(faults)))
        done = len(items) - len(faults)
        return BatchMarked(items, close_batch(tx, ledger, run.id, before, f"{done} tasks were marked"))

    return ledger.commit(work)


def open_batch(tx: Transaction, run: Run) -> int:
    """Return after which event of a run the batch begins; the run is held, so that nobody else appends to it."""
    rows = tx.rows("latest_events_of_run", id=run.id, before=None, limit=1)
    return int(str(rows[0][0])) if rows else 0


def close_batch(tx: Transaction, ledger: Ledger, run_id: int, after: int, note: str) -> int | None:
    """Hold what was written since together by an event, and return its number; one event is no batch."""
    if len(tx.rows("told_of_run", run_id=run_id, after=after, before=None)) < 2:
        return None
    first = json.dumps({"after": [None, after]})
    tx.record_run(run_id, "batch", ledger.clock.now(), ledger.actor, changes=first, note=note)
    return open_batch(tx, tx.run(run_id))
