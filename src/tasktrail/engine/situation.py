"""A run with its tasks, what they need and who executes it, on one snapshot: what explanations and drawings go by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tasktrail.engine.leases import Holding, holdings
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.limits import Limits, limited_steps, limits_now
from tasktrail.engine.lookup import owners, run_reference, shared_names, stale_of, task_reference
from tasktrail.engine.ownership import is_pooled
from tasktrail.engine.workers import WorkerView, living
from tasktrail.model.graph import Need
from tasktrail.model.run import Run
from tasktrail.model.task import FINAL, Task
from tasktrail.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Edge:
    """A need: the row id of what is needed, None when the run has no such task."""

    key: str
    needed_id: int | None
    optional: bool = False


@dataclass(frozen=True)
class Situation:
    """Where a run stands.

    Args:
        reference: How the run is written.
        needs: What each task needs, by row id.
        owner: Who executes the run now, in words.
        began: By row id of the tasks in progress: when the attempt began, and who began it.
        now: Microseconds UTC.
        stale: Row ids of tasks that are stale, as `stale_of` says.
        claims: What agents hold of a plan, by key.
        limits: What its steps ask for, and who has it.
        workers: Those that live and serve queues; None where the run is not pooled.
    """

    run: Run
    reference: str
    tasks: Sequence[Task]
    needs: Mapping[int, Sequence[Edge]] = field(default_factory=dict)
    owner: str | None = None
    began: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    now: int = 0
    stale: Collection[int] = ()
    limits: Limits = field(default_factory=Limits)
    workers: Sequence[WorkerView] | None = None
    claims: Mapping[str, Holding] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> dict[int, Task]:
        """The tasks by row id."""
        return {task.id: task for task in self.tasks}

    @cached_property
    def waiting_needs(self) -> dict[str, list[Need]]:
        """What the pending tasks that wait need of each other, by name."""
        waits = {task.id: task.name for task in self.tasks if task.status == "pending" and task.unmet}
        edges = {name: self.needs.get(task_id, ()) for task_id, name in waits.items()}
        return {name: [Need(edge.key) for edge in listed if edge.needed_id in waits] for name, listed in edges.items()}

    def name(self, task: Task) -> str:
        """Return what a task is called within its run."""
        return task_reference("", task)[1:]

    def refer(self, task: Task) -> str:
        """Return how a task is written."""
        return task_reference(self.reference, task)

    def is_due(self, task: Task) -> bool:
        """Whether nothing of the task's own keeps it from starting."""
        return task.status == "pending" and not task.unmet and (task.not_before or 0) <= self.now

    def is_served(self, task: Task) -> bool:
        """Whether a living worker may take a task; one that is not pooled needs none."""
        return self.workers is None or any(worker.takes(task) for worker in self.workers)

    def waits_for_time(self, task: Task) -> bool:
        """Whether only its time has to come."""
        return task.status == "pending" and not task.unmet and (task.not_before or 0) > self.now

    def absent(self, task: Task) -> list[str]:
        """Return the keys that a task needs and the run does not have."""
        return [edge.key for edge in self.needs.get(task.id, ()) if edge.needed_id is None]

    def is_unmet(self, edge: Edge) -> bool:
        """Whether a need is not met now; one on a task that does not exist never is."""
        needed = self.by_id.get(edge.needed_id) if edge.needed_id is not None else None
        if needed is None:
            return True
        if edge.optional and (needed.status in FINAL or needed.unreachable):
            return False
        return needed.status not in self.run.met_by


def situation(ledger: Ledger, run: Run) -> Situation:
    """Read where a run stands now."""
    owner = owners(ledger, [run]).get(run.id)
    limits = limits_now(ledger, limited_steps(ledger, run))
    workers = living(ledger) if is_pooled(ledger.store, run) else None

    def work(tx: Transaction) -> Situation:
        current = tx.run(run.id)
        reference = run_reference(current, shared_names(tx, [current]))
        tasks = tx.tasks("tasks_of_run", run_id=run.id)
        needs: dict[int, list[Edge]] = {}
        for task_id, key, needed_id, optional in tx.rows("needs_of_run", run_id=run.id):
            edge = Edge(str(key), int(str(needed_id)) if needed_id is not None else None, bool(optional))
            needs.setdefault(int(str(task_id)), []).append(edge)
        active = (task for task in tasks if task.status == "in_progress")
        last = {task.id: tx.attempts("attempts_of_task", task_id=task.id)[-1] for task in active if task.open_attempt}
        began = {task_id: (attempt.started_at, attempt.actor or "somebody") for task_id, attempt in last.items()}
        claims = {one.key: one for one in holdings(tx, ledger, current)} if run.kind == "plan" else {}
        return Situation(
            current, reference, tasks, needs, owner, began, ledger.clock.now(), stale_of(tx, current), limits, workers,
            claims,
        )  # fmt: skip

    return ledger.store.read(work)
