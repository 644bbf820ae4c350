"""What a new list would take away from a plan, in words, for a person who is asked before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from tasktrail.engine.plan_lists import check_list
from tasktrail.engine.plans import PlanNow
from tasktrail.model.plan import PlanTask
from tasktrail.plan.words import tasks_of

_SHOWN: Final = 10


def keys_of(tasks: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the ids of a list; nobody is asked about one that would be refused.

    Raises:
        BadInput: It cannot be a plan; the details name all that is wrong.
    """
    read, _ = tasks_of(tasks)
    check_list(read)
    return {task.key for task in read}


def of_removal(now: PlanNow | None, kept: Collection[str]) -> str:
    """Say which tasks are taken out; empty where none is."""
    gone = [task for task in (now.tasks if now else ()) if task.key not in kept]
    if not gone:
        return ""
    begun = sum(map(_is_begun, gone))
    words = f", {begun} of them begun" if begun else ""
    return f"{_n_tasks(len(gone))} would be taken out of the plan{words}: {_named(gone)}"


def of_starting_over(now: PlanNow | None, kept: Collection[str]) -> str:
    """Say of which tasks it is forgotten where they stood, and which are taken out; empty where nothing is lost."""
    begun = [task for task in (now.tasks if now else ()) if task.key in kept and _is_begun(task)]
    forgotten = f"where {_n_tasks(len(begun))} stood is forgotten: {_named(begun)}" if begun else ""
    return "; ".join(filter(None, (forgotten, of_removal(now, kept))))


def _is_begun(task: PlanTask) -> bool:
    return task.status != "pending" or task.attempts > 0


def _n_tasks(n: int) -> str:
    return "1 task" if n == 1 else f"{n:,} tasks"


def _named(tasks: Sequence[PlanTask]) -> str:
    more = f" and {len(tasks) - _SHOWN:,} more" if len(tasks) > _SHOWN else ""
    return ", ".join(task.key for task in tasks[:_SHOWN]) + more
