"""The documented objects of a tracker: pydantic models that people read, build and assign to.

Source: document 002, Data Model.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from tasktrail.engine.cells import CellMove
from tasktrail.formats.json_object import MAX_COUNT
from tasktrail.formats.picture import Picture
from tasktrail.model.matrix import Cell
from tasktrail.tracker.words import TaskStatus

__all__ = ["ItemTasks", "TaskProgress", "TaskRecord", "WeekTasks", "WeekTracker"]


class TaskRecord(BaseModel):
    """What is known of one task. A status that is none is refused, also when it is assigned.

    Times without a zone are UTC. Other fields that a file has are kept, in `model_extra`.

    Attributes:
        output_file: Path of its result, relative.
        retry_count: How often it was started again.
        agent: Who executes it.
    """

    model_config = ConfigDict(validate_assignment=True, extra="allow")

    status: TaskStatus = TaskStatus.PENDING
    started_at: datetime | None = None
    completed_at: datetime | None = None
    output_file: str | None = None
    error_message: str | None = None
    retry_count: int = Field(default=0, ge=0, le=MAX_COUNT)
    agent: str | None = None


class _Tasks(BaseModel):
    """Records by task type, asked for as those of a dict are."""

    model_config = ConfigDict(validate_assignment=True)

    tasks: dict[str, TaskRecord] = Field(default_factory=dict)

    def __getitem__(self, task_type: str) -> TaskRecord:
        """Return the record of a task type."""
        return self.tasks[task_type]

    def __setitem__(self, task_type: str, record: TaskRecord | Mapping[str, Any]) -> None:
        """Let a task type have a record."""
        self.tasks[task_type] = TaskRecord.model_validate(record)

    def __contains__(self, task_type: object) -> bool:
        """Whether there is a record of a task type."""
        return task_type in self.tasks

    def get(self, task_type: str, default: TaskRecord | None = None) -> TaskRecord | None:
        """Return the record of a task type, `default` where there is none."""
        return self.tasks.get(task_type, default)


class ItemTasks(_Tasks):
    """The tasks of one item.

    Attributes:
        removed: Whether the list of items has it no more; its history is kept.
        content_hash: Tells one state of what it stands for from another; None where nobody said.
    """

    model_config = ConfigDict(validate_assignment=True, extra="allow")

    removed: bool = False
    content_hash: str | None = None

    @property
    def attributes(self) -> dict[str, Any]:
        """What else is said of the item, by name."""
        return dict(self.model_extra or {})


class WeekTasks(_Tasks):
    """The tasks of a week itself."""


class WeekTracker(BaseModel):
    """Where everything of a week, or another group, stands.

    What was loaded is remembered, so that saving it changes what you changed and nothing else.

    Attributes:
        version: What a backend of your own knows a state by: an ETag, a number. It sets this when it loads, and gets it
            back to save. Empty: nothing was there. None: somebody made this by hand, and it takes the place of
            whatever is there.
    """

    model_config = ConfigDict(validate_assignment=True)

    items: dict[str, ItemTasks] = Field(default_factory=dict)
    week_tasks: WeekTasks = Field(default_factory=WeekTasks)
    metadata: dict[str, Any] = Field(default_factory=dict)

    _loaded: Picture | None = PrivateAttr(default=None)
    _moves: dict[Cell, CellMove] = PrivateAttr(default_factory=dict)
    _version: Any = PrivateAttr(default=None)

    @property
    def version(self) -> Any:
        """What it was when it was loaded."""
        return self._version

    @version.setter
    def version(self, version: Any) -> None:
        self._version = version

    def __eq__(self, other: object) -> bool:
        """Whether two say the same, wherever they are from."""
        if not isinstance(other, WeekTracker):
            return NotImplemented
        return (self.items, self.week_tasks, self.metadata) == (other.items, other.week_tasks, other.metadata)

    @field_validator("week_tasks", mode="before")
    @classmethod
    def _none_is_empty(cls, value: object) -> object:
        return WeekTasks() if value is None else value


class TaskProgress(BaseModel):
    """How many tasks stand where; those of removed items do not count."""

    total: int = 0
    pending: int = 0
    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def completion_percentage(self) -> float:
        """Completed of total, 0 to 100; 0.0 where there is nothing.

        >>> TaskProgress(total=10, completed=4).completion_percentage
        40.0
        """
        return self.completed / self.total * 100 if self.total else 0.0
