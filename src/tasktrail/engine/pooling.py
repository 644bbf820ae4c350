"""What workers share: which task of all pooled runs is next, and what a dead one of them leaves behind."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tasktrail.engine.execution import Claiming, Joining, Turn, lapse_in
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import dead_workers, worker_of
from tasktrail.engine.picking import ByNeeds, Picker
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.workflows import stored
from tasktrail.model.errors import Busy, Unreachable
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

_AGAIN_S: Final = 0.2

_log = logging.getLogger("tasktrail.worker")


class Executing(Protocol):
    """Something of which attempts run."""

    @property
    def n_running(self) -> int:
        """How many."""


@dataclass(slots=True)
class Share:
    """What one worker may take of the pool.

    Args:
        queues: Which queues it serves.
        labels: What it offers; a task that asks for something else is left to others.
        concurrency: How many tasks it executes at the same time.

    Attributes:
        passed_over: What it cannot take just now: a run whose code it does not have, a step whose limit is full.
        is_closed: It takes nothing more.
        is_careful: It executes a task that cost a worker its life before, and nothing beside it.
    """

    queues: Sequence[str]
    labels: Sequence[str] = ()
    concurrency: int = 8
    passed_over: set[str] = field(default_factory=set)
    runners: list[Executing] = field(default_factory=list)
    is_closed: bool = False
    is_careful: bool = False

    @property
    def n_running(self) -> int:
        """How many tasks it executes now."""
        return sum(runner.n_running for runner in self.runners)

    @property
    def room(self) -> int:
        """How many more it may take."""
        n_running = self.n_running
        self.is_careful = self.is_careful and n_running > 0
        return 0 if self.is_closed or self.is_careful else self.concurrency - n_running

    def forget(self, run_id: int) -> None:
        """Pass nothing of a run over any more: it is looked at again, or nothing of it is executed here."""
        own = f"{run_id}:"
        self.passed_over = {one for one in self.passed_over if one != str(run_id) and not one.startswith(own)}

    def next(self, tx: Transaction, limit: int, now: int) -> list[Task]:
        """Return what may start now, the most urgent first, the oldest of those: nothing is passed over for ever."""
        words: dict[str, object] = {"labels": json.dumps(self.labels), "limit": limit, "passed_over": None}
        if self.passed_over:
            words["passed_over"] = json.dumps(sorted(self.passed_over))
        found: list[Task] = []
        asked = [
            tx.execute(name, {**words, "queue": queue, "now": now})
            for queue in self.queues
            for name in ("pooled_ready", "pooled_due")
        ]
        found += (Task._make(row) for rows in asked for row in rows.fetchall())
        found.sort(key=lambda task: (task.priority, task.id))
        return self._careful(found[:limit])

    def _careful(self, found: list[Task]) -> list[Task]:
        """What was lost with its worker is executed alone: it may well take the next one with it."""
        place = next((place for place, task in enumerate(found) if task.losses), None)
        if place is None:
            return found
        return found[:1] if place == 0 and not self.n_running else found[:place]


class FromPool(ByNeeds):
    """What of one pooled run is next among all that a worker may take.

    What it cannot take is passed over from then on: it must not hide what other runs have.

    Attributes:
        is_full: As many of its tasks are in progress, wherever, as its workflow lets run at the same time.
    """

    def __init__(self, ledger: Ledger, run: Run, plan: Plan, share: Share) -> None:
        super().__init__(ledger, run.id, plan)
        self._share = share
        self.is_full = False

    def pick(self, tx: Transaction, n_running: int) -> list[Task]:
        """Return as many as there is room for."""
        self._share.forget(self._run_id)
        self.held.clear()
        picked = super().pick(tx, n_running)
        if not self.is_outdated and len(picked) < self._free(tx, n_running) and tx.meet():
            picked = super().pick(tx, n_running)
        self.is_full = self._places(tx) <= len(picked)
        if self.is_full:
            self._share.passed_over.add(str(self._run_id))
        self._share.passed_over |= {f"{self._run_id}:{key}" for key in self.held}
        self._share.is_careful |= any(task.losses for task in picked)
        return picked

    def _free(self, tx: Transaction, n_running: int) -> int:  # noqa: ARG002 - those of other runs count as well
        return min(self._share.room, self._places(tx))

    def _places(self, tx: Transaction) -> int:
        """How many more of the run its workflow lets run at the same time, wherever they do."""
        return self._plan.max_parallel - tx.run(self._run_id).n_in_progress

    def _ready(self, tx: Transaction, limit: int) -> list[Task]:
        self._share.passed_over |= {f"{self._run_id}:{key}" for key in self.held}
        found = self._share.next(tx, limit, self._ledger.clock.now())
        return [task for task in found if task.run_id == self._run_id]


class PoolRunner(Runner):
    """Executes of one pooled run what its worker may take, for as long as there is something."""

    def __init__(self, ledger: Ledger, run: Run, plan: Plan, share: Share) -> None:
        self._share, self._run = share, run
        super().__init__(ledger, run.id, plan)

    @property
    def n_running(self) -> int:
        """How many of its attempts run now."""
        return len(self._running)

    def wake(self) -> None:
        """Look whether there is more to do."""
        self._woken.set()

    async def _commit(self, call: Callable[[float | None], Turn]) -> Turn:
        """A worker outlives its server: what it has to hand in waits until somebody takes it."""
        while True:
            try:
                return await super()._commit(call)
            except (Busy, Unreachable) as error:
                if self._share.is_closed:
                    raise
                _log.warning("%s; it is tried again", error)
                assert isinstance(self._execution, Joining)
                self._execution.known = {*self._running, *(answer.claim.task.id for answer in self._answers)}
                await asyncio.sleep(_AGAIN_S)

    def _claiming(self, run_id: int) -> Claiming:
        joining = Joining(self._ledger, run_id, self._code_version)
        joining.most = self._plan.max_parallel
        return joining

    def _picking(self, _: int) -> Picker:
        self._next = FromPool(self._ledger, self._run, self._plan, self._share)
        return self._next

    def _begin(self, patience_s: float | None) -> Turn:
        assert isinstance(self._execution, Joining)
        return self._execution.begin(self._pick, patience_s=patience_s)

    def _waits_for_time(self, run: Run) -> bool:  # noqa: ARG002 - the worker looks for what comes due
        return False

    def _waits(self, run: Run) -> bool:
        """For a place alone: what a person or time must move is in nobody's hands until it is ready."""
        if self._share.is_closed or self._next.is_outdated:
            return False
        return run.accepts_starts and (self._next.is_full or bool(self._next.held))


def take_over(ledger: Ledger, left: Collection[int] = ()) -> tuple[list[Task], int]:
    """Give back what workers that died had in progress, so that others take it up; return it, and how many live.

    A task that must not be done twice waits for a person; one that was lost for the third time fails.

    Args:
        left: Runs that this process could not go on with; what it had of them in progress is given back too.
    """
    (ids, n_living), own = dead_workers(ledger), worker_of(ledger).id
    dead = set(ids)

    def is_lost(task: Task) -> bool:
        return task.queue is not None and (task.worker_id in dead or (task.worker_id == own and task.run_id in left))

    def held(tx: Transaction) -> list[Task]:
        lost = tx.tasks("orphaned_tasks")
        if dead or left:
            lost += [task for task in tx.tasks("held_by_workers") if is_lost(task)]
        return lost

    found = ledger.store.read(held)
    if not dead and not found:
        return [], n_living
    once = {run_id: _once(ledger, run_id) for run_id in {task.run_id for task in found}}

    def work(tx: Transaction) -> list[Task]:
        now, lost = ledger.clock.now(), []
        for run_id in sorted(once):
            tx.run(run_id)
            tasks = [task for task in held(tx) if task.run_id == run_id]
            lapse_in(tx, ledger, tasks, once[run_id])
            lost += tasks
        for worker_id in sorted(dead):
            tx.execute("stop_worker", {"id": worker_id, "at": now, "died": True})
        return lost

    return ledger.commit(work), n_living


def _once(ledger: Ledger, run_id: int) -> Collection[str]:
    """Return the keys of a run's tasks that must not be done twice."""
    run = ledger.store.read(lambda tx: tx.run(run_id))
    if run.definition_id is None:
        return ()
    return [spec.id for spec in stored(ledger, run)[0].steps if spec.effect == "at_most_once"]
