"""Workflows in Python: functions marked with `@step`, and a function marked with `@workflow` that says how they go.

A step is called with values and gives a value, so it is tested like any function, without a store. Inside a workflow
the same call gives a `Node`: what the step will give. The workflow's function runs once, to draw the graph; what is
executed, stored and gone on with is that graph, the same value that a workflow file ends in.
"""

from tasktrail.workflows.node import Node
from tasktrail.workflows.options import Retry
from tasktrail.workflows.steps import StepFunction, step
from tasktrail.workflows.workflow import Result, WorkflowFunction, workflow

__all__ = ["Node", "Result", "Retry", "StepFunction", "WorkflowFunction", "step", "workflow"]
