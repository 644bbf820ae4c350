"""Exchanging what a task needs, with the counters of all who wait."""

from __future__ import annotations

from collections.abc import Sequence

from tasktrail.engine.additions import distinct, named_by, waits_of
from tasktrail.model.draft import TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction


def own_needs(tx: Transaction, task: Task) -> list[Need]:
    """Return what a step or a part needs of other steps; a mapped step needs its parts besides."""
    rows = tx.rows("needs_of_task", task_id=task.id)
    return [Need(str(row[0]), bool(row[1])) for row in rows if row[0] != task.key]


def set_needs(tx: Transaction, run: Run, task: Task, needs: Sequence[Need]) -> None:
    """Let a task need these tasks of its run, which exist.

    Args:
        task: As it stands now.
    """
    before, after = own_needs(tx, task), list(distinct(needs))
    if before == after:
        return
    was, now = _waits(tx, run, task, before), _waits(tx, run, task, after)
    of_parts = [row for row in tx.rows("needs_of_task", task_id=task.id) if row[0] == task.key]
    existing = named_by(tx, run, [TaskDraft(task.key, needs=tuple(after))])
    tx.execute("drop_needs", {"task_id": task.id})
    rows = [(need.key, existing[need.key].id, need.optional) for need in after]
    rows += [(task.key, int(str(row[2])), bool(row[1])) for row in of_parts]
    tx.execute_many(
        "add_need",
        (
            {"task_id": task.id, "position": place, "needed_key": key, "needed_id": row_id, "optional": optional}
            for place, (key, row_id, optional) in enumerate(rows)
        ),
    )
    tx.count(run.id, n_needs=len(after) - len(before))
    tx.shift(task, now[0] - was[0], now[1] - was[1])


def _waits(tx: Transaction, run: Run, task: Task, needs: Sequence[Need]) -> tuple[int, int]:
    draft = TaskDraft(task.key, needs=tuple(needs))
    return waits_of(run.kind, [draft], named_by(tx, run, [draft]))[0] if needs else (0, 0)
