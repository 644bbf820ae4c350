"""Items × task types, week by week, in files that people edit or in a store. Source: document 002."""

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
from tasktrail.tracker.factory import get_tracker
from tasktrail.tracker.groups import Letters, Named
from tasktrail.tracker.models import (
    ItemTasks,
    ReadyTask,
    TaskProgress,
    TaskRecord,
    TaskStatus,
    WeekTasks,
    WeekTracker,
)
from tasktrail.tracker.settings import TrackerSettings, load_settings
from tasktrail.tracker.stores import StoreTrackerBackend
from tasktrail.tracker.tools import TOOLS, TrackerTools

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
    "Named",
    "ReadyTask",
    "StoreTrackerBackend",
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
    "WeekNotFoundError",
    "WeekTasks",
    "WeekTracker",
    "YAMLTrackerBackend",
    "get_task_config",
    "get_tracker",
    "grid_of",
    "is_valid_task_type",
    "load_settings",
]
