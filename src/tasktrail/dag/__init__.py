"""DAG runs with steps that survive anything: the door of document 003. Each name is resolved at first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasktrail.dag.interface import IDAGRunner, IDAGRunnerFactory
    from tasktrail.dag.resume import DAGResumeManager
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
    from tasktrail.dag.store import DAGRunStore
    from tasktrail.dag.trace import DAGTraceCollector, TraceEvent, TraceEventType

__all__ = [
    "DAGResumeManager",
    "DAGRun",
    "DAGRunStatus",
    "DAGRunStore",
    "DAGRunnerFactory",
    "DAGStepState",
    "DAGStepStatus",
    "DAGTraceCollector",
    "IDAGRunner",
    "IDAGRunnerFactory",
    "ParallelStatefulDAGRunner",
    "RetryBackoffStrategy",
    "StatefulDAGRunner",
    "TraceEvent",
    "TraceEventType",
    "validate_dag_run",
    "validate_dag_step_state",
]

_HOMES = {
    "DAGResumeManager": "resume",
    "DAGRun": "states",
    "DAGRunStatus": "states",
    "DAGRunStore": "store",
    "DAGRunnerFactory": "runner",
    "DAGStepState": "states",
    "DAGStepStatus": "states",
    "DAGTraceCollector": "trace",
    "IDAGRunner": "interface",
    "IDAGRunnerFactory": "interface",
    "ParallelStatefulDAGRunner": "runner",
    "RetryBackoffStrategy": "retries",
    "StatefulDAGRunner": "runner",
    "TraceEvent": "trace",
    "TraceEventType": "trace",
    "validate_dag_run": "states",
    "validate_dag_step_state": "states",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
