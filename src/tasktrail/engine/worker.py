"""A worker: a process that executes tasks of pooled runs beside others, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from tasktrail.engine.execution import come_back, retire, worker_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.pooling import PoolRunner, Share, take_over
from tasktrail.model.errors import TasktrailError, Unreachable
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

LOOK_EVERY_S: Final = 0.5
"""How often an idle worker looks for work, and for the dead."""
_TRY_CODE_AGAIN_S: Final = 30.0
"""When a run whose code was not there is looked at again."""

Open = Callable[[Run], Plan]
"""Gives what a runner goes by in a run; a TasktrailError says that its code is not here."""

_log = logging.getLogger("tasktrail.worker")


class PoolWorker:
    """Serves queues.

    Args:
        open_run: Finds the code of a run.
        drain: Whether to end once nothing of its queues is unfinished.
        grace_s: How long what runs may go on after `stop`.
    """

    def __init__(
        self, ledger: Ledger, share: Share, open_run: Open, *, drain: bool = False, grace_s: float = 30.0
    ) -> None:
        self._ledger, self._share, self._open_run = ledger, share, open_run
        self._drain, self._grace_s = drain, grace_s
        self._serving: dict[int, tuple[PoolRunner, asyncio.Task[Run]]] = {}
        self._strange: dict[int, float] = {}
        """Runs whose code is not here, and when to look again."""
        self._left: set[int] = set()
        """Runs that ended with an error here; what of them is still in progress, nobody executes."""
        self._seen: object = None
        self._due: int | None = None

    async def serve(self) -> None:
        """Execute tasks until `stop`, or until all is drained; then finish what runs, or give it back."""
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        worker_of(self._ledger, serves=(self._share.queues, self._share.labels))
        try:
            while not self._share.is_closed:
                if not self._look() and self._drain and not self._serving and self._is_drained():
                    break
                await self._rest()
            await self._finish()
        finally:
            for _, task in self._serving.values():
                task.cancel()
            await asyncio.gather(*(task for _, task in self._serving.values()), return_exceptions=True)
            retire(self._ledger)

    def stop(self) -> None:
        """Take nothing more; what runs may finish."""
        self._share.is_closed = True
        self._woken.set()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), LOOK_EVERY_S)
        self._woken.clear()

    async def _finish(self) -> None:
        tasks = [task for _, task in self._serving.values()]
        if tasks:
            for runner, _ in self._serving.values():
                runner.wake()
            await asyncio.wait(tasks, timeout=self._grace_s)

    # looking for work

    def _look(self) -> bool:
        """Take over from the dead, and serve the runs that have something to do; return whether one has."""
        try:
            lost = take_over(self._ledger, self._left)
            self._left.clear()
            for task in lost:
                _log.warning("took over %s: its worker died", task.key)
            if not (lost or self._has_changed()):
                return False
            return self._serve_runs()
        except Unreachable as error:
            _log.warning("%s; waiting for it", error)
            return True

    def _has_changed(self) -> bool:
        now, seen = self._ledger.clock.now(), self._ledger.store.changed_token()
        changed = seen != self._seen or (self._due is not None and self._due <= now) or self._knows_again()
        self._seen = seen
        return changed

    def _knows_again(self) -> bool:
        """Whether it is time to look again for the code of a run."""
        over = [run_id for run_id, at in self._strange.items() if at <= self._loop.time()]
        for run_id in over:
            del self._strange[run_id]
            self._share.passed_over.discard(str(run_id))
        return bool(over)

    def _serve_runs(self) -> bool:
        come_back(self._ledger)
        if self._share.room <= 0:
            return True
        tasks = self._ledger.store.read(self._next)
        for run_id in dict.fromkeys(task.run_id for task in tasks):
            self._serve(run_id)
        return bool(tasks)

    def _next(self, tx: Transaction) -> list[Task]:
        rows = [tx.row("next_pooled_due", queue=queue) for queue in self._share.queues]
        times = [int(str(row[0])) for row in rows if row is not None and row[0] is not None]
        self._due = min(times, default=None)
        return self._share.next(tx, self._share.concurrency, self._ledger.clock.now())

    def _serve(self, run_id: int) -> None:
        if run_id in self._serving:
            self._serving[run_id][0].wake()
            return
        run = self._ledger.store.read(lambda tx: tx.run(run_id))
        try:
            plan = self._open_run(run)
        except TasktrailError as error:
            _log.warning("run %s is left to others: %s", run.name, error.message)
            self._strange[run_id] = self._loop.time() + _TRY_CODE_AGAIN_S
            self._share.passed_over.add(str(run_id))
            return
        runner = PoolRunner(self._ledger, run_id, plan, self._share)
        self._share.runners.append(runner)
        task = self._loop.create_task(runner.execute())
        self._serving[run_id] = (runner, task)
        task.add_done_callback(lambda done: self._served(run_id, runner, done))

    def _served(self, run_id: int, runner: PoolRunner, task: asyncio.Task[Run]) -> None:
        self._serving.pop(run_id, None)
        self._share.runners.remove(runner)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a run was left: %s", error)
            self._left.add(run_id)
        self._seen = None
        self._woken.set()

    def _is_drained(self) -> bool:
        def work(tx: Transaction) -> bool:
            return all(tx.row("unfinished_pooled", queue=queue) is None for queue in self._share.queues)

        return self._ledger.store.read(work)
