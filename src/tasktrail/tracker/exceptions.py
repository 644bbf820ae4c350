"""What a tracker refuses. Source: document 002, Error Handling."""

from __future__ import annotations

from tasktrail.model.errors import BadInput, Conflict, NotFound, StoreError, TasktrailError, UnmetNeed, WrongState

__all__ = [
    "Conflict", "DependencyNotMetError", "InvalidTaskTypeError", "InvalidWeekError", "ItemNotFoundError",
    "ItemRemovedError", "TrackerAccessError", "TrackerError", "TrackerFileError", "UnknownFieldError",
    "WeekNotFoundError",
]  # fmt: skip


class TrackerError(TasktrailError):
    """Root of what trackers raise on purpose."""


class WeekNotFoundError(TrackerError, NotFound):
    """There is no tracker of this week, or group, nor the list of tasks of one."""

    code = "week_not_found"


class InvalidWeekError(TrackerError, BadInput):
    """No week, or group, can be called so."""

    code = "invalid_week"


class ItemNotFoundError(TrackerError, NotFound):
    """The tracker has no such item."""

    code = "item_not_found"


class ItemRemovedError(ItemNotFoundError, WrongState):
    """The item was removed from its list; what it has done is kept, and nothing new is."""

    code = "item_removed"


class InvalidTaskTypeError(TrackerError, BadInput):
    """There is no such task type, or not of an item, or not of a week."""

    code = "invalid_task_type"


class DependencyNotMetError(TrackerError, UnmetNeed):
    """The task cannot start: the details name what it needs and where that stands."""

    code = "dependency_not_met"


class UnknownFieldError(TrackerError, BadInput):
    """A record has no such field, or it cannot have such a value."""

    code = "unknown_field"


class TrackerFileError(TrackerError, BadInput):
    """A tracker cannot be read; each line of the details begins with its place. Nothing was changed."""

    code = "tracker_file"


class TrackerAccessError(TrackerError, StoreError):
    """A tracker cannot be reached, read or written; the message names the folder."""

    code = "tracker_access"
