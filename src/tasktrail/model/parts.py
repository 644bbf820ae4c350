"""A step and the parts it was mapped to, as one thing to show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tasktrail.model.task import Status, Task

_SPEAKING: Final[tuple[Status, ...]] = ("in_progress", "failed", "blocked")
"""Whatever stands so among the parts is what to know of a step that waits for them, the first that there is."""


@dataclass(frozen=True, slots=True)
class Group:
    """A task, and its parts where it was mapped."""

    task: Task
    parts: Sequence[Task] = ()

    @property
    def n_done(self) -> int:
        """How many parts need no more work."""
        return sum(part.status in ("completed", "skipped") for part in self.parts)

    @property
    def speaker(self) -> Task:
        """The task whose status says where the group stands: a step that waits for its parts stands as they do."""
        if self.task.status != "pending":
            return self.task
        for status in _SPEAKING:
            found = next((part for part in self.parts if part.status == status), None)
            if found is not None:
                return found
        return next((part for part in self.parts if part.retrying), self.task)


def grouped(tasks: Iterable[Task]) -> list[Group]:
    """Return tasks in their order, parts with their step; a part whose step is not among them stands alone."""
    parts: dict[tuple[str, str], list[Task]] = {}
    alone: dict[tuple[str, str], Task] = {}
    for task in tasks:
        name = (task.key, task.item)
        if task.map_index < 0:
            alone[name] = task
        else:
            parts.setdefault(name, []).append(task)
    strays = [Group(part) for name, found in parts.items() if name not in alone for part in found]
    groups = [Group(task, sorted(parts.get(name, ()), key=_index)) for name, task in alone.items()]
    return sorted([*groups, *strays], key=_position) if strays else groups


def _index(task: Task) -> int:
    return task.map_index


def _position(group: Group) -> int:
    return group.task.position
