"""DAG runs with steps that survive anything: the door of document 003. Each name is resolved at first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasktrail.dag.interface import IDAGRunner, IDAGRunnerFactory
    from tasktrail.dag.retries import RetryBackoffStrategy
    from tasktrail.dag.runner import DAGRunnerFactory, ParallelStatefulDAGRunner, StatefulDAGRunner
    from tasktrail.dag.states import (
        DAGRun,
        DAGRunStatus,
        DAGStepState,
        DAGStepStatus,
        validate_dag_run,
        validate_dag_step_state,
    )

__all__ = [
    "DAGRun",
    "DAGRunStatus",
    "DAGRunnerFactory",
    "DAGStepState",
    "DAGStepStatus",
    "IDAGRunner",
    "IDAGRunnerFactory",
    "ParallelStatefulDAGRunner",
    "RetryBackoffStrategy",
    "StatefulDAGRunner",
    "validate_dag_run",
    "validate_dag_step_state",
]

_HOMES = {
    "DAGRun": "states",
    "DAGRunStatus": "states",
    "DAGRunnerFactory": "runner",
    "DAGStepState": "states",
    "DAGStepStatus": "states",
    "IDAGRunner": "interface",
    "IDAGRunnerFactory": "interface",
    "ParallelStatefulDAGRunner": "runner",
    "RetryBackoffStrategy": "retries",
    "StatefulDAGRunner": "runner",
    "validate_dag_run": "states",
    "validate_dag_step_state": "states",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
