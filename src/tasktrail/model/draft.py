"""Runs and tasks that are about to be created."""

from __future__ import annotations

from dataclasses import dataclass

from tasktrail.model.graph import Need
from tasktrail.model.reference import cell_name
from tasktrail.model.run import Kind


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task that is about to be created.

    Args:
        queue: Which workers execute it; None: whoever owns its run.
        labels: JSON list of what such a worker must offer; None is nothing.
        retry: What `RetryPolicy.to_json` gives; None is the default policy.
        timeout_ms: Per attempt; None means no limit.
        code_version: What tells the code of its function from another; None when nothing does.
        metadata: JSON text of what no column holds.
        created_at: When it was created according to a file; None is now.
    """

    key: str
    item: str = ""
    map_index: int = -1
    title: str | None = None
    needs: tuple[Need, ...] = ()
    priority: int = 3
    critical: bool = True
    queue: str | None = None
    labels: str | None = None
    max_retries: int = 3
    retry: str | None = None
    timeout_ms: int | None = None
    code_version: str | None = None
    metadata: str | None = None
    created_at: int | None = None

    @property
    def name(self) -> str:
        """What tells it from the other tasks of its run; parts of a step have an index besides."""
        return cell_name(self.item, self.key)


@dataclass(frozen=True, slots=True)
class RunDraft:
    """A run that is about to be created.

    Args:
        workflow: The name of what is executed (the dag_id); runs of one workflow share it.
        target: `module:attribute` from which the code can be found again; None when only the creator has it.
        definition_id: Row id of the workflow as it is now, which the run goes by; None when only code says it.
        trace_id: 32 hexadecimal digits (W3C); None is that of the code around it, else a new one.
    """

    kind: Kind
    name: str
    workflow: str
    tasks: tuple[TaskDraft, ...] = ()
    target: str | None = None
    definition_id: int | None = None
    trace_id: str | None = None
    metadata: str | None = None
