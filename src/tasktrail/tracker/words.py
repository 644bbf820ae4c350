"""Words of trackers that need no models: statuses, what is ready, items of a list."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from tasktrail.formats.tracker_codec import WORDS
from tasktrail.model.task import Status

__all__ = ["EtlItem", "ReadyTask", "TaskStatus", "word_of"]

EtlItem = str | Mapping[str, Any]
"""An item of a list: its name, or `{"name": …, "content_hash": …}` with its attributes."""


class TaskStatus(str, Enum):
    """Where a task stands. What waits for a person is pending here, what was cancelled is skipped."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class ReadyTask(NamedTuple):
    """A task that may start now. `item_name` is None for a task of the week itself."""

    week_letter: str
    item_name: str | None
    task_type: str
    agent: str | None


def word_of(status: Status) -> TaskStatus:
    """Return a tracker's word for where a task stands."""
    return TaskStatus(WORDS[status])
