"""Exchanging what a task needs, with the counters of all who wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from tasktrail.engine.additions import distinct, named_by, waits_of
from tasktrail.model.draft import TaskDraft
from tasktrail.model.graph import Need, dead_needs, unmet
from tasktrail.model.run import Run
from tasktrail.model.task import Status, Task
from tasktrail.store.transaction import Row, Transaction


def own_needs(tx: Transaction, task: Task) -> list[Need]:
    """Return what a step or a part needs of other steps; a mapped step needs its parts besides."""
    rows = tx.rows("needs_of_task", task_id=task.id)
    return [Need(str(row[0]), bool(row[1])) for row in rows if not _is_part(task, row)]


def set_needs(tx: Transaction, run: Run, task: Task, needs: Sequence[Need]) -> None:
    """Let a task need these tasks of its run. One that does not exist, as a document may say, is never met.

    Args:
        task: As it stands now.
    """
    had, after = tx.rows("needs_of_task", task_id=task.id), list(distinct(needs))
    existing = named_by(tx, run, [TaskDraft(task.key, task.item, needs=tuple(after))])
    parts = [(row[0], row[2], bool(row[1])) for row in had if _is_part(task, row)]
    before = [(row[0], row[2], bool(row[1])) for row in had if not _is_part(task, row)]
    rows = [(need.key, existing[need.key].id if need.key in existing else None, need.optional) for need in after]
    if before == rows:
        return
    was = _waits(tx, run, task, own_needs(tx, task)) if parts else (task.unmet, task.dead_needs)
    now = _waits(tx, run, task, after)
    tx.execute("drop_needs", {"task_id": task.id})
    tx.execute_many(
        "add_need",
        (
            {"task_id": task.id, "position": place, "needed_key": key, "needed_id": row_id, "optional": optional}
            for place, (key, row_id, optional) in enumerate([*rows, *parts])
        ),
    )
    tx.count(run.id, n_needs=len(after) - len(before))
    tx.shift(task, now[0] - was[0], now[1] - was[1])


def write_needs(tx: Transaction, run: Run, said: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Let the tasks of a run need what a document says, be it tasks that do not exist, themselves or each other.

    Args:
        said: The needs of all its tasks, by name. A run's task that is not there needs nothing and is needed by none.

    Returns:
        What those tasks needed before that need something else now, by name.
    """
    tasks = tx.tasks("steps_of_run", run_id=run.id)
    ids = {task.name: task.id for task in tasks if task.name in said}
    had = _needed(tx, run)
    wanted = {task.id: [(key, ids.get(key)) for key in dict.fromkeys(said.get(task.name, ()))] for task in tasks}
    changed = [task for task in tasks if had.get(task.id, []) != wanted[task.id]]
    tx.execute_many("drop_needs", [{"task_id": task.id} for task in changed])
    tx.execute_many(
        "add_need",
        [
            {"task_id": task.id, "position": place, "needed_key": key, "needed_id": needed_id, "optional": False}
            for task in changed
            for place, (key, needed_id) in enumerate(wanted[task.id])
        ],
    )
    if changed:
        tx.count(run.id, n_needs=sum(len(wanted[task.id]) - len(had.get(task.id, ())) for task in changed))
        _recount(tx, run, tasks, wanted)
    names = {task.name: [key for key, _ in had.get(task.id, ())] for task in changed}
    return {key: names[key] for key in names if names[key] != list(dict.fromkeys(said.get(key, ())))}


def recount(tx: Transaction, run: Run) -> None:
    """Write what the tasks of a run wait for anew, since other statuses meet needs in it now."""
    _recount(tx, run, tx.tasks("steps_of_run", run_id=run.id), _needed(tx, run))


def _needed(tx: Transaction, run: Run) -> dict[int, list[tuple[str, int | None]]]:
    """What each task of a run needs, by row id: how it is written, and its row id where there is such a task."""
    found: dict[int, list[tuple[str, int | None]]] = {}
    for task_id, key, needed_id, _ in tx.rows("needs_of_run", run_id=run.id):
        found.setdefault(cast(int, task_id), []).append((str(key), cast("int | None", needed_id)))
    return found


def _recount(
    tx: Transaction, run: Run, tasks: Sequence[Task], needed: Mapping[int, Sequence[tuple[str, int | None]]]
) -> None:
    """Write the counters of a run's tasks anew: what hand-written needs do to each other follows no order."""
    statuses: dict[str, Status] = {str(task.id): task.status for task in tasks}
    needs = {
        str(task_id): [Need(f"no task: {key}" if row_id is None else str(row_id)) for key, row_id in rows]
        for task_id, rows in needed.items()
    }
    waiting, dead = unmet(statuses, needs, met_by=run.met_by), dead_needs(statuses, needs, met_by=run.met_by)
    shifts, n_unreachable = [], 0
    for task in tasks:
        now = len(waiting.get(str(task.id), ())), len(dead.get(str(task.id), ()))
        if now != (task.unmet, task.dead_needs):
            shifts.append({"id": task.id, "unmet": now[0] - task.unmet, "dead_needs": now[1] - task.dead_needs})
        if task.status == "pending":
            n_unreachable += (now[1] > 0) - (task.dead_needs > 0)
    tx.execute_many("shift_needs", shifts)
    tx.count(run.id, n_unreachable=n_unreachable)


def _is_part(task: Task, row: Row) -> bool:
    """Whether a need is that of a mapped step: a part has its step's key. In a document a task may need itself."""
    return row[0] == task.key and row[2] != task.id


def _waits(tx: Transaction, run: Run, task: Task, needs: Sequence[Need]) -> tuple[int, int]:
    draft = TaskDraft(task.key, task.item, needs=tuple(needs))
    return waits_of(run, [draft], named_by(tx, run, [draft]))[0] if needs else (0, 0)
