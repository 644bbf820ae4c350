"""Plans that agents work through: the door of document 000. Each name is resolved at first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasktrail.plan.enhancement import TaskManagementEnhancement
    from tasktrail.plan.orchestrator import Agent, Architect, Orchestrator, execute_orchestrator_tool
    from tasktrail.plan.tools import DEFAULT_TOOLS, TOOLS, PlanTools
    from tasktrail.plan.workspace import (
        get_next_task,
        mark_task_status,
        read_task_breakdown,
        set_workspace,
        update_task,
        write_task_list,
    )

__all__ = [
    "DEFAULT_TOOLS",
    "TOOLS",
    "Agent",
    "Architect",
    "Orchestrator",
    "PlanTools",
    "TaskManagementEnhancement",
    "execute_orchestrator_tool",
    "get_next_task",
    "mark_task_status",
    "read_task_breakdown",
    "set_workspace",
    "update_task",
    "write_task_list",
]

_HOMES = {
    **dict.fromkeys(__all__, "workspace"),
    **dict.fromkeys(("DEFAULT_TOOLS", "TOOLS", "PlanTools"), "tools"),
    **dict.fromkeys(("Agent", "Architect", "Orchestrator", "execute_orchestrator_tool"), "orchestrator"),
    "TaskManagementEnhancement": "enhancement",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
