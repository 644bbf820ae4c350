"""A plan as lists, files and imports have it: tasks in the words of those who write them down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need, check_graph
from tasktrail.model.reference import check_key
from tasktrail.model.task import Status

STANDING_PLAN: Final = "main"
"""The plan of a store where nobody names one."""


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote about a task.

    Args:
        at: Microseconds UTC; None where nobody says when.
    """

    text: str
    at: int | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a task's status; `at` in microseconds UTC."""

    at: int
    from_status: Status
    to_status: Status
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class PlanTask:
    """One task of a plan. Times are microseconds UTC.

    Args:
        key: By which others need it.
        priority: Smaller is more urgent.
        needs: Keys of what must be done before, as they were written: what they name need not exist.
        result: A sentence on what came of it.
        reason: Why it is blocked, skipped or cancelled.
        extra: What else is said of it, by name: JSON values that we have no word for.
    """

    key: str
    title: str
    status: Status = "pending"
    priority: int = 3
    needs: tuple[str, ...] = ()
    result: str | None = None
    error: str | None = None
    reason: str | None = None
    attempts: int = 0
    created_at: int | None = None
    updated_at: int | None = None
    started_at: int | None = None
    completed_at: int | None = None
    status_updated_at: int | None = None
    notes: tuple[Note, ...] = ()
    history: tuple[Move, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)


def percent_done(completed: int, total: int) -> float:
    """Return how much of a plan is completed, in percent, rounded down to a tenth: 100 is said of all alone, 0 of none.

    >>> percent_done(2, 3), percent_done(99_999, 100_000), percent_done(0, 0)
    (66.6, 99.9, 0.0)
    """
    return 1000 * completed // total / 10 if total else 0.0


def faults_of(tasks: Sequence[PlanTask]) -> list[str]:
    """Return everything for which a new plan is refused, one sentence each; empty when it can be written.

    First tasks without a key that can be one, or without a title; then what is wrong with the graph. A plan that
    somebody wrote by hand may have such faults and is read nevertheless.

    >>> faults_of([PlanTask("T1", "", needs=("T1",))])
    ['task T1 has no description', 'task T1 needs itself']
    """
    faults = [fault for number, task in enumerate(tasks, 1) for fault in _own_faults(number, task)]
    needs: dict[str, list[Need]] = {}
    for task in tasks:
        if task.key:
            needs.setdefault(task.key, []).extend(map(Need, task.needs))
    return faults + check_graph([task.key for task in tasks if task.key], needs)


def _own_faults(number: int, task: PlanTask) -> list[str]:
    """What is wrong with a task by itself; one without a key goes by its number, from 1."""
    faults = []
    try:
        name = check_key(task.key, "id") if task.key else f"number {number}"
    except BadInput as error:
        faults, name = [f"task number {number}: {error.message}"], f"number {number}"
    if not task.key:
        faults.append(f"task {name} has no id")
    if not task.title.strip():
        faults.append(f"task {name} has no description")
    return faults
