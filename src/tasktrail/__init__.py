"""Tasktrail: one durable record of work, and the engine that gets it done. Each name is resolved at first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasktrail.model.errors import TasktrailError
    from tasktrail.workflows import Retry, step, workflow

__all__ = ["Retry", "TasktrailError", "__version__", "step", "workflow"]

__version__ = "0.1.0"

_HOMES = {"Retry": "workflows", "TasktrailError": "model.errors", "step": "workflows", "workflow": "workflows"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
