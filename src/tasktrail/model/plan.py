"""A plan as lists, files and imports have it: tasks in the words of those who write them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasktrail.model.task import Status


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
    notes: tuple[Note, ...] = ()
    history: tuple[Move, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
