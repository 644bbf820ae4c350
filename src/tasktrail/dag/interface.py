"""What every DAG runner can do, and what makes them. Source: document 003, TASK-161FC."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from tasktrail.dag.retries import RetryBackoffStrategy
from tasktrail.dag.states import DAGRun


class IDAGRunner(ABC):
    """The contract of a runner."""

    @property
    @abstractmethod
    def dag_run(self) -> DAGRun:
        """The run, as an object that people read and assign to."""

    @abstractmethod
    def register_step(
        self,
        step_id: str,
        executor: Callable[..., Any],
        max_retries: int = 3,
        retry_delay: float | None = None,
        retry_backoff: RetryBackoffStrategy | None = None,
        critical: bool = True,
    ) -> None:
        """Say what executes a step."""

    @abstractmethod
    async def execute(self, step_order: Sequence[str] | None = None) -> DAGRun:
        """Execute the run as far as it goes."""

    @abstractmethod
    async def cancel(self) -> None:
        """Call the run off."""

    @abstractmethod
    def get_status(self) -> dict[str, Any]:
        """Return where the run and its steps stand."""


class IDAGRunnerFactory(ABC):
    """The contract of what makes runners."""

    @abstractmethod
    def create_runner(self, dag_id: str, store: Any = None, run_id: str | None = None) -> IDAGRunner:
        """Make a runner for a new run, or for an existing one."""

    @abstractmethod
    def resume_runner(self, run_id: str, store: Any = None) -> IDAGRunner:
        """Make a runner for a run that exists."""
