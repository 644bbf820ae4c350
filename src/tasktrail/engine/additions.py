"""Tasks that are about to be added: whether they can be a graph, what they wait for, and their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasktrail.model.draft import TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need, check_graph, dead_needs, unmet
from tasktrail.model.reference import check_key
from tasktrail.model.run import Run
from tasktrail.model.task import Status, Task
from tasktrail.store.transaction import Transaction


def check_tasks(drafts: Sequence[TaskDraft], known: Sequence[str] = ()) -> None:
    """Refuse tasks that cannot be a graph: every bad key, unknown need and cycle is named.

    Raises:
        BadInput: Something is wrong; the details say what.
    """
    faults = [fault for draft in drafts if (fault := key_fault(draft.key))]
    items = dict.fromkeys(draft.item for draft in drafts if draft.item)
    faults += [fault for item in items if (fault := key_fault(item, "item"))]
    if any(draft.needs for draft in drafts) or _repeats(known, drafts):
        needs: dict[str, tuple[Need, ...]] = {}
        for draft in drafts:  # one that comes twice has faults each time
            needs[draft.name] = needs.get(draft.name, ()) + draft.needs
        faults += check_graph([*known, *(draft.name for draft in drafts)], needs)
    if faults:
        raise BadInput("these tasks cannot be a graph", details=faults)


def named_by(tx: Transaction, run: Run, drafts: Sequence[TaskDraft]) -> dict[str, Task]:
    """Return the run's tasks that drafts share a name with, or need, by name."""
    if not run.n_tasks:
        return {}
    keys = dict.fromkeys(key for draft in drafts for key in (draft.name, *(need.key for need in draft.needs)))
    if run.kind == "matrix":  # its items come and go with many tasks at once
        return {task.name: task for task in tx.tasks("steps_of_run", run_id=run.id) if task.name in keys}
    found = (tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1) for key in keys)
    return {task.key: task for task in found if task}


def distinct(needs: Sequence[Need]) -> Sequence[Need]:
    """Return the needs with each task once; one that is needed and optionally needed is needed."""
    if len({need.key for need in needs}) == len(needs):
        return needs
    by_key: dict[str, Need] = {}
    for need in needs:
        if need.key not in by_key or not need.optional:
            by_key[need.key] = need
    return list(by_key.values())


def key_fault(key: str, what: str = "key") -> str | None:
    """Return what is wrong with a key, None when nothing is."""
    try:
        check_key(key, what)
    except BadInput as error:
        return error.message
    return None


def _repeats(known: Sequence[str], drafts: Sequence[TaskDraft]) -> bool:
    return len({*known, *(draft.name for draft in drafts)}) < len(known) + len(drafts)


def waits_of(run: Run, drafts: Sequence[TaskDraft], existing: Mapping[str, Task]) -> list[tuple[int, int]]:
    """Return of each draft how many of its needs are unmet, and how many can no longer be met."""
    if not existing:
        return [(len(distinct(draft.needs)), 0) for draft in drafts]
    # As a need, a task that is unreachable stands like one that failed.
    statuses: dict[str, Status] = {key: "failed" if task.unreachable else task.status for key, task in existing.items()}
    statuses.update({draft.name: "pending" for draft in drafts})
    needs = {draft.name: distinct(draft.needs) for draft in drafts}
    waiting, dead = unmet(statuses, needs, met_by=run.met_by), dead_needs(statuses, needs, met_by=run.met_by)
    return [(len(waiting.get(draft.name, ())), len(dead.get(draft.name, ()))) for draft in drafts]


def task_row(
    draft: TaskDraft, task_id: int, run_id: int, position: int, waits: tuple[int, int], now: int
) -> dict[str, object]:
    """Return the row of a new task."""
    return {
        "id": task_id,
        "run_id": run_id,
        "key": draft.key,
        "item": draft.item,
        "map_index": draft.map_index,
        "position": position,
        "unmet": waits[0],
        "dead_needs": waits[1],
        "priority": draft.priority,
        "critical": draft.critical,
        "queue": draft.queue,
        "labels": draft.labels,
        "max_retries": draft.max_retries,
        "retry": draft.retry,
        "timeout_ms": draft.timeout_ms,
        "code_version": draft.code_version,
        "title": draft.title,
        "metadata": draft.metadata,
        "at": now if draft.created_at is None else draft.created_at,
    }
