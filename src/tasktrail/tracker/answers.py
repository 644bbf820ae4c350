"""How the tools of trackers answer: what went well, and errors as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Annotated, Final, ParamSpec

from tasktrail.model.errors import BadInput, TasktrailError
from tasktrail.tools import Shape, Words, refusal
from tasktrail.tracker.backend import TrackerBackend
from tasktrail.tracker.words import TaskStatus

__all__ = ["Hints", "Statuses", "answering", "check_page", "done", "updated"]

Hints = Mapping[type[TasktrailError], str]
"""What to do, by the kind of error, where its own hint names functions that no tool is called like."""
Statuses = Annotated[str, Shape({"type": "string", "enum": [status.value for status in TaskStatus]})]
P = ParamSpec("P")

_NO_HINTS: Final[Hints] = MappingProxyType({})


def answering(hints: Hints = _NO_HINTS) -> Callable[[Callable[P, Words]], Callable[P, Words]]:
    """Let a method answer with an error instead of raising it."""

    def decorate(method: Callable[P, Words]) -> Callable[P, Words]:
        @wraps(method)
        def answer(*args: P.args, **named: P.kwargs) -> Words:
            try:
                return method(*args, **named)
            except TasktrailError as error:
                ours = [hint for kind, hint in hints.items() if isinstance(error, kind)]
                return {**refusal(error), "hint": ours[0]} if ours else refusal(error)

        return answer

    return decorate


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


def check_page(limit: int, most: int) -> None:
    """Refuse what no page is as long as.

    Raises:
        BadInput: It is below 1, or above the most.
    """
    if not 1 <= limit <= most:
        raise BadInput(f"expected limit to be 1 to {most}, got: {limit!r}")
