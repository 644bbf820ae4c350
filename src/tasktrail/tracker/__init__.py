"""Items × task types, week by week, in files that people edit or in a store: the door of document 002.

Each name is resolved at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasktrail.tracker.backend import TrackerBackend
    from tasktrail.tracker.config import (
        DEFAULT_ITEM_TASKS,
        DEFAULT_WEEK_TASKS,
        TASK_TYPES,
        TaskTypeConfig,
        get_task_config,
        grid_of,
        is_valid_task_type,
    )
    from tasktrail.tracker.documents import JSONTrackerBackend, YAMLTrackerBackend
    from tasktrail.tracker.events import TaskEvent, tell_events
    from tasktrail.tracker.exceptions import (
        Conflict,
        DependencyNotMetError,
        InvalidTaskTypeError,
        InvalidWeekError,
        ItemNotFoundError,
        ItemRemovedError,
        TrackerAccessError,
        TrackerError,
        TrackerFileError,
        UnknownFieldError,
        WeekNotFoundError,
    )
    from tasktrail.tracker.execution import execute_tasks, run_tasks
    from tasktrail.tracker.factory import UnsupportedBackend, get_tracker
    from tasktrail.tracker.groups import Letters, Named
    from tasktrail.tracker.matrix_tools import MatrixTools
    from tasktrail.tracker.models import ItemTasks, TaskProgress, TaskRecord, WeekTasks, WeekTracker
    from tasktrail.tracker.settings import TrackerSettings, load_settings
    from tasktrail.tracker.stores import StoreTrackerBackend
    from tasktrail.tracker.tools import TOOLS, TrackerTools
    from tasktrail.tracker.words import ReadyTask, TaskStatus

__all__ = [
    "DEFAULT_ITEM_TASKS",
    "DEFAULT_WEEK_TASKS",
    "TASK_TYPES",
    "TOOLS",
    "Conflict",
    "DependencyNotMetError",
    "InvalidTaskTypeError",
    "InvalidWeekError",
    "ItemNotFoundError",
    "ItemRemovedError",
    "ItemTasks",
    "JSONTrackerBackend",
    "Letters",
    "MatrixTools",
    "Named",
    "ReadyTask",
    "StoreTrackerBackend",
    "TaskEvent",
    "TaskProgress",
    "TaskRecord",
    "TaskStatus",
    "TaskTypeConfig",
    "TrackerAccessError",
    "TrackerBackend",
    "TrackerError",
    "TrackerFileError",
    "TrackerSettings",
    "TrackerTools",
    "UnknownFieldError",
    "UnsupportedBackend",
    "WeekNotFoundError",
    "WeekTasks",
    "WeekTracker",
    "YAMLTrackerBackend",
    "execute_tasks",
    "get_task_config",
    "get_tracker",
    "grid_of",
    "is_valid_task_type",
    "load_settings",
    "run_tasks",
    "tell_events",
]

_HOMES = {
    name: home
    for home, names in {
        "backend": ["TrackerBackend"],
        "config": [
            "DEFAULT_ITEM_TASKS",
            "DEFAULT_WEEK_TASKS",
            "TASK_TYPES",
            "TaskTypeConfig",
            "get_task_config",
            "grid_of",
            "is_valid_task_type",
        ],
        "documents": ["JSONTrackerBackend", "YAMLTrackerBackend"],
        "exceptions": [
            "Conflict",
            "DependencyNotMetError",
            "InvalidTaskTypeError",
            "InvalidWeekError",
            "ItemNotFoundError",
            "ItemRemovedError",
            "TrackerAccessError",
            "TrackerError",
            "TrackerFileError",
            "UnknownFieldError",
            "WeekNotFoundError",
        ],
        "events": ["TaskEvent", "tell_events"],
        "execution": ["execute_tasks", "run_tasks"],
        "factory": ["UnsupportedBackend", "get_tracker"],
        "groups": ["Letters", "Named"],
        "matrix_tools": ["MatrixTools"],
        "models": ["ItemTasks", "TaskProgress", "TaskRecord", "WeekTasks", "WeekTracker"],
        "settings": ["TrackerSettings", "load_settings"],
        "stores": ["StoreTrackerBackend"],
        "tools": ["TOOLS", "TrackerTools"],
        "words": ["ReadyTask", "TaskStatus"],
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
