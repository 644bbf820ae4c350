"""Every execution on record: the door of document 001. Each name is resolved at first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasktrail.executions.backfilling import BackfillCounts, backfill
    from tasktrail.executions.decorating import recorded
    from tasktrail.executions.exceptions import DuplicateExperience, ImmutabilityViolation, RawStoreError
    from tasktrail.executions.factory import create_task_execution_experience, idempotency_key
    from tasktrail.executions.recording import Recorder, record
    from tasktrail.executions.records import Content, Experience, Provenance
    from tasktrail.executions.store import RawStore
    from tasktrail.executions.words import Actor, CaptureMethod, ExperienceType

__all__ = [
    "Actor",
    "BackfillCounts",
    "CaptureMethod",
    "Content",
    "DuplicateExperience",
    "Experience",
    "ExperienceType",
    "ImmutabilityViolation",
    "Provenance",
    "RawStore",
    "RawStoreError",
    "Recorder",
    "backfill",
    "create_task_execution_experience",
    "idempotency_key",
    "record",
    "recorded",
]

_HOMES = {
    name: home
    for home, names in {
        "backfilling": ["BackfillCounts", "backfill"],
        "decorating": ["recorded"],
        "exceptions": ["DuplicateExperience", "ImmutabilityViolation", "RawStoreError"],
        "factory": ["create_task_execution_experience", "idempotency_key"],
        "records": ["Content", "Experience", "Provenance"],
        "recording": ["Recorder", "record"],
        "store": ["RawStore"],
        "words": ["Actor", "CaptureMethod", "ExperienceType"],
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
