"""How the tools of trackers answer: what went well, and errors as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from tasktrail.model.errors import TasktrailError
from tasktrail.tools import Shape, Words, refusal
from tasktrail.tracker.backend import TrackerBackend
from tasktrail.tracker.words import TaskStatus

__all__ = ["Hints", "Statuses", "done", "hinting", "updated"]

Hints = Mapping[type[TasktrailError], str]
"""What to do, by the kind of error, where its own hint names functions that no tool is called like."""
Statuses = Annotated[str, Shape({"type": "string", "enum": [status.value for status in TaskStatus]})]


def hinting(hints: Hints) -> Callable[[TasktrailError], Words]:
    """Return how errors are told."""

    def told(error: TasktrailError) -> Words:
        ours = [hint for kind, hint in hints.items() if isinstance(error, kind)]
        return {**refusal(error), "hint": ours[0]} if ours else refusal(error)

    return told


def done(message: str) -> Words:
    """Return that all went well."""
    return {"status": "success", "message": message}


def updated(tracker: TrackerBackend, group: str, item: str, task_type: str, status: str, **said: str) -> Words:
    """Let a task stand at a status, and say so.

    Args:
        said: Other fields of its record; what is empty stays as it was.
    """
    given = {name: text for name, text in said.items() if text}
    tracker.update_task(group, item or None, task_type, status, **given)
    item, _ = tracker.cell_named(item or None, task_type)
    name = item or f"{tracker.groups.word} {tracker.groups.check(group)}"
    return done(f"Updated {name} {task_type} to {status}")
