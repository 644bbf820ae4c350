"""Which tasks of a run may start now: what is ready by its needs, or the next in order."""

from __future__ import annotations

import json
from collections import deque
from itertools import islice
from typing import Final, Protocol

from tasktrail.engine.execution import Answer
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan, Verdict
from tasktrail.model.task import FINAL, Task
from tasktrail.store.transaction import Transaction

_AHEAD: Final = 32
"""How many rows are read at a time where one comes after the other."""


class Picker(Protocol):
    """Picks what is to start.

    Attributes:
        held: Keys of what could start but for a limit.
        is_outdated: The run goes by another definition than the plan, so that another plan goes on with it.
        retried: Whether tasks may come due: somebody waits for a back-off.
    """

    held: set[str]
    is_outdated: bool
    retried: bool

    def pick(self, tx: Transaction, n_running: int) -> list[Task]:
        """Return the tasks that may start beside those that run."""

    def ended(self, answer: Answer) -> None:
        """Know that an attempt has ended."""

    def again(self, task: Task) -> None:
        """Know that an attempt was for nothing, as its answer came too late."""


class ByNeeds:
    """What is ready, the most urgent first.

    What is held must not hide others, so it is left out. Somebody may have added steps that have no code here: they
    are left alone.
    """

    def __init__(self, ledger: Ledger, run_id: int, plan: Plan) -> None:
        self._ledger, self._run_id, self._plan = ledger, run_id, plan
        self.held: set[str] = set()
        self.retried = self.is_outdated = False

    def pick(self, tx: Transaction, n_running: int) -> list[Task]:
        """Return as many as there is room for."""
        definition_id = self._plan.definition_id
        self.is_outdated = definition_id is not None and tx.run(self._run_id).definition_id != definition_id
        free = 0 if self.is_outdated else self._free(tx, n_running)
        if free <= 0:
            return []
        self.held.clear()
        judge = self._plan.gate(tx) if self._plan.gate else _start
        starts: dict[int, Task] = {}
        while len(starts) < free:
            found = self._ready(tx, limit := free + len(starts))
            moved = False
            for task in found:
                if task.id in starts or len(starts) == free:
                    continue
                verdict = judge(task) if task.key in self._plan.steps and task.key not in self.held else "hold"
                moved |= verdict == "moved"
                if verdict == "start":
                    starts[task.id] = task
                elif verdict == "hold":
                    self.held.add(task.key)
            if len(found) < limit and not moved:
                break  # all that are ready were asked, and none of them made others so
        return list(starts.values())

    def ended(self, answer: Answer) -> None:
        """Nothing to know: the rows say it."""

    def again(self, task: Task) -> None:
        """Nothing to know: the rows say it."""

    def _free(self, _: Transaction, n_running: int) -> int:
        return self._plan.max_parallel - n_running

    def _ready(self, tx: Transaction, limit: int) -> list[Task]:
        without = json.dumps(sorted(self.held)) if self.held else None
        of_run: dict[str, object] = {"run_id": self._run_id, "without": without, "limit": limit}
        if self._plan.items is not None:
            items = json.dumps(sorted(self._plan.items))
            return tx.tasks("ready_of_items", **of_run, items=items, now=self._ledger.clock.now())
        ready = tx.tasks("ready_tasks", **of_run)
        if self.retried:
            ready += tx.tasks("due_tasks", **of_run, now=self._ledger.clock.now())
            ready.sort(key=lambda task: (task.priority, task.position))
        return ready[:limit]


class InOrder:
    """One after the other: the next, once the one before is settled."""

    def __init__(self, ledger: Ledger, run_id: int, plan: Plan) -> None:
        self._ledger, self._run_id = ledger, run_id
        self._order = plan.order or ()
        self._queue: deque[str] = deque(self._order)
        self._n_beside = 0
        """Pending tasks that are in no order: parts, and what others added."""
        self._ahead: dict[str, Task] = {}
        self.held: set[str] = set()
        self.retried = self.is_outdated = False

    def pick(self, tx: Transaction, n_running: int) -> list[Task]:  # noqa: ARG002 - the first in order says it
        """Return the first that is not settled, if it may start."""
        self._queue_again(tx)
        while self._queue:
            task = self._next(tx)
            if task is not None and task.status not in FINAL:
                startable = task.status == "pending" and (task.not_before or 0) <= self._ledger.clock.now()
                return [task] if startable else []
            self._queue.popleft()
        return []

    def _next(self, tx: Transaction) -> Task | None:
        """Return the first in order; some are read ahead, for as long as nobody else changes the run.

        What ends changes the rows of those that need it, so where there are needs nothing is read ahead.
        """
        key = self._queue[0]
        if not tx.is_as_left(self._run_id) or key not in self._ahead:
            n_ahead = 1 if tx.run(self._run_id).n_needs else _AHEAD
            keys = json.dumps([*islice(self._queue, n_ahead)])
            self._ahead = {task.key: task for task in tx.tasks("tasks_by_keys", run_id=self._run_id, names=keys)}
        return self._ahead.pop(key, None)

    def ended(self, answer: Answer) -> None:
        """A final answer settles the first in order, which need not be read again to see it."""
        if self._queue and answer.ask.verb in ("complete", "fail") and self._queue[0] == answer.claim.task.key:
            self._queue.popleft()

    def again(self, task: Task) -> None:
        """It is the next once more."""
        if task.key in self._order:
            self._queue.appendleft(task.key)

    def _queue_again(self, tx: Transaction) -> None:
        """Where more is pending than was left, somebody let a settled step start again: it has its old place."""
        pending = tx.run(self._run_id).n_pending
        if pending <= len(self._queue) + self._n_beside:
            return
        rows = tx.rows("states_of_run", run_id=self._run_id)
        unsettled = {row[1]: row[2] for row in rows if row[2] not in FINAL}
        self._queue = deque(key for key in self._order if key in unsettled)
        self._n_beside = pending - sum(unsettled[key] == "pending" for key in self._queue)


def _start(_: Task) -> Verdict:
    return "start"
