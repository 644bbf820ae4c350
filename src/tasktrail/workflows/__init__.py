"""Workflows in Python: functions marked with `@step`, and a function marked with `@workflow` that says how they go.

A step is called with values and gives a value, so it is tested like any function, without a store. Inside a workflow
the same call gives a `Node`: what the step will give. The workflow's function runs once, to draw the graph; what is
executed, stored and gone on with is that graph, the same value that a workflow file ends in.

`RunTools` lets a language model begin and follow runs; it is imported at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasktrail.workflows.node import Node
from tasktrail.workflows.options import Retry
from tasktrail.workflows.steps import StepFunction, step
from tasktrail.workflows.workflow import Result, WorkflowFunction, workflow

if TYPE_CHECKING:
    from tasktrail.workflows.tools import TOOLS, RunTools

__all__ = [
    "TOOLS",
    "Node",
    "Result",
    "Retry",
    "RunTools",
    "StepFunction",
    "WorkflowFunction",
    "step",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name not in ("TOOLS", "RunTools"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.tools"), name)
