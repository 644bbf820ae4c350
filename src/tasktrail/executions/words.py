"""Document 001's enumerations."""

from __future__ import annotations

from enum import Enum


class ExperienceType(str, Enum):
    """What an experience is."""

    TASK_EXECUTION = "task_execution"
    OBSERVATION = "observation"


class CaptureMethod(str, Enum):
    """How an execution came about."""

    SCHEDULED_TASK = "scheduled_task"
    MANUAL_TASK = "manual_task"


class Actor(str, Enum):
    """Who had the experience."""

    USER = "user"
    AGENT = "agent"
    SYSTEM = "system"
