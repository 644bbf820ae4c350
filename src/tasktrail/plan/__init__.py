"""Plans that agents work through: the door of document 000. Each name is resolved at first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasktrail.plan.tools import DEFAULT_TOOLS, TOOLS, PlanTools

__all__ = ["DEFAULT_TOOLS", "TOOLS", "PlanTools"]

_HOMES = {"DEFAULT_TOOLS": "tools", "PlanTools": "tools", "TOOLS": "tools"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
