"""The generated reference of the tools that models are offered."""

from __future__ import annotations

import json
from typing import Any

from docs.markdown import code, docstring, table
from tasktrail.executions import tools as execution_tools
from tasktrail.executions.tools import ExecutionTools
from tasktrail.plan import DEFAULT_TOOLS, TOOLS, PlanTools
from tasktrail.tools import Effect, Schema, Tool
from tasktrail.tracker import MatrixTools, TrackerTools, matrix_tools
from tasktrail.tracker import tools as tracker_tools
from tasktrail.workflows import RunTools
from tasktrail.workflows import tools as run_tools


def plan() -> str:
    """Return a section for each tool of a plan: what it may do, its arguments, and what else its docstring says."""
    return "\n\n".join(_section(Tool(getattr(PlanTools, name)), name in DEFAULT_TOOLS) for name in TOOLS)


def tracker() -> str:
    """Return a section for each tool of a tracker; all are offered."""
    return "\n\n".join(_section(Tool(getattr(TrackerTools, name)), False) for name in tracker_tools.TOOLS)


def matrix() -> str:
    """Return a section for each tool of a matrix; all are offered."""
    return "\n\n".join(_section(Tool(getattr(MatrixTools, name)), False) for name in matrix_tools.TOOLS)


def executions() -> str:
    """Return a section for each tool of executions; all are offered."""
    return "\n\n".join(_section(Tool(getattr(ExecutionTools, name)), False) for name in execution_tools.TOOLS)


def runs() -> str:
    """Return a section for each tool of runs; all are offered."""
    return "\n\n".join(_section(Tool(getattr(RunTools, name)), False) for name in run_tools.TOOLS)


def _section(one: Tool, is_default: bool) -> str:
    rows = [
        [code(name), _kind(told), "yes" if name in one.schema["required"] else ""]
        for name, told in one.schema["properties"].items()
    ]
    arguments = table(["argument", "value", "needed"], rows) if rows else "It takes no arguments."
    offered = "Offered by default. " if is_default else ""
    parts = [f"## {one.name}", f"{offered}{_effect(one.effect)}", docstring(one.function.__doc__), arguments]
    return "\n\n".join(parts)


def _effect(effect: Effect) -> str:
    if effect.reads:
        return "Only reads."
    taken = "may take away what was there; " if effect.destroys else ""
    again = "repeating a call changes nothing more" if effect.repeats else "repeating a call may change something again"
    return f"{taken}{again}.".capitalize()


def _kind(told: Schema) -> str:
    if "enum" in told:
        return " or ".join(code(json.dumps(word)) for word in told["enum"])
    if "anyOf" in told:
        return " or ".join(_kind(one) for one in told["anyOf"])
    kind: Any = told["type"]
    return f"list of {_kind(told['items'])}" if kind == "array" else str(kind)
