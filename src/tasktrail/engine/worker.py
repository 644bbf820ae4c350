"""A worker: a process that executes tasks of pooled runs beside others, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Final, TypeVar

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import task_reference
from tasktrail.engine.ownership import renew, retire, worker_of
from tasktrail.engine.plan import Plan
from tasktrail.engine.pooling import PoolRunner, Share, take_over
from tasktrail.model.errors import Busy, TasktrailError, Unreachable
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.seam import LEASE_S
from tasktrail.store.transaction import Transaction

LOOK_EVERY_S: Final = 0.5
"""How often an idle worker looks for work, and for the dead."""
_LOOK_ALWAYS: Final = 4
"""Up to so many workers look for the dead each time that they look for work."""
_TRY_AGAIN_S: Final = 30.0
"""When a run that could not be executed here is looked at again: its code may have come."""

Open = Callable[[Run], Plan]
"""Gives what a runner goes by in a run; a TasktrailError says that its code is not here."""

T = TypeVar("T")

_log = logging.getLogger("tasktrail.worker")


class PoolWorker:
    """Serves queues.

    Args:
        open_run: Finds the code of a run.
        drain: Whether to end once nothing of its queues is unfinished.
        grace_s: How long what runs may go on after `stop`.
        lease_s: How long it may be silent, stopped by a signal or swapped out, before others take it for dead.
    """

    def __init__(
        self,
        ledger: Ledger,
        share: Share,
        open_run: Open,
        *,
        drain: bool = False,
        grace_s: float = 30.0,
        lease_s: float = LEASE_S,
    ) -> None:
        self._ledger, self._share, self._open_run = ledger, share, open_run
        self._drain, self._grace_s, self._lease_s = drain, grace_s, lease_s
        self._renewed_at = float("-inf")
        self._is_leased = False
        self._looks_at = float("-inf")
        self._serving: dict[int, tuple[PoolRunner, asyncio.Task[Run]]] = {}
        self._strange: dict[int, float] = {}
        """Runs that are left to others, and when to look again."""
        self._left: set[int] = set()
        """Runs that ended with an error here; what of them is still in progress, nobody executes."""
        self._seen: object = None
        self._due: int | None = None

    async def serve(self) -> None:
        """Execute tasks until `stop`, or until all is drained; then finish what runs, or give it back."""
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._register()
        try:
            while not self._share.is_closed:
                await self._stay_alive()
                if not self._look() and self._drain and not self._serving and self._is_drained():
                    break
                await self._rest()
            await self._finish()
        finally:
            await self._drop()
            self._tried(lambda: retire(self._ledger), None)  # where it cannot say that it ends, its death tells

    def _tried(self, call: Callable[[], T], otherwise: T) -> T:
        """Outlive a store that is away, or that somebody else writes for long."""
        try:
            return call()
        except (Busy, Unreachable) as error:
            _log.warning("%s; waiting for it", error)
            return otherwise

    def _register(self) -> None:
        worker_of(self._ledger, serves=(self._share.queues, self._share.labels), lease_s=self._lease_s)

    async def _stay_alive(self) -> None:
        """Renew the lease. Who was taken for dead leaves what it runs to others, and comes back as a new worker.

        Who runs nothing has nothing to lose, and needs none: each renewal would let all others look for work.
        """
        is_due = self._loop.time() - self._renewed_at >= self._lease_s / 3
        if not is_due or not (self._serving or self._is_leased):
            return
        try:
            is_well = renew(self._ledger, self._lease_s if self._serving else None)
            if not is_well:
                _log.warning("taken for dead meanwhile: what ran here is left to others")
                await self._drop()
                retire(self._ledger)
                self._register()
        except (Busy, Unreachable) as error:
            _log.warning("%s; waiting for it", error)
            return
        self._renewed_at, self._is_leased = self._loop.time(), is_well and bool(self._serving)

    async def _drop(self) -> None:
        for _, task in self._serving.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._serving.values()), return_exceptions=True)

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
        found = self._tried(self._found, None)
        if found is None:
            self._renewed_at = float("-inf")  # it may have been taken for dead meanwhile
        return found is not False

    def _found(self) -> bool | None:
        self._take_over()
        return self._has_changed() and self._serve_runs()

    def _take_over(self) -> None:
        """Look for the dead. Many workers take turns, so that all of them together look as often as a few do."""
        if self._loop.time() < self._looks_at and not self._left:
            return
        lost, n_living = take_over(self._ledger, self._left)
        self._left.clear()
        for task in lost:
            _log.warning("took over %s: its worker died", self._named(task))
        rest_s = LOOK_EVERY_S * (n_living / _LOOK_ALWAYS - 1)
        self._looks_at = self._loop.time() + max(0.0, rest_s) * random.uniform(0.5, 1.5)

    def _named(self, task: Task) -> str:
        return task_reference(self._ledger.store.read(lambda tx: tx.run(task.run_id)).name, task)

    def _has_changed(self) -> bool:
        """Whether the store did, what is passed over, or what has come due."""
        now = self._ledger.clock.now()
        seen = self._ledger.store.changed_token(), frozenset(self._share.passed_over)
        changed = seen != self._seen or (self._due is not None and self._due <= now) or self._knows_again()
        self._seen = seen
        return changed

    def _knows_again(self) -> bool:
        """Whether it is time to look again for the code of a run."""
        over = [run_id for run_id, at in self._strange.items() if at <= self._loop.time()]
        for run_id in over:
            del self._strange[run_id]
            self._share.forget(run_id)
        return bool(over)

    def _serve_runs(self) -> bool:
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
            self._leave(run, error.message)
            return
        if not self._has_lease():
            return
        runner = PoolRunner(self._ledger, run, plan, self._share)
        self._share.runners.append(runner)
        task = self._loop.create_task(runner.execute())
        self._serving[run_id] = (runner, task)
        task.add_done_callback(lambda done: self._served(run, runner, done))

    def _has_lease(self) -> bool:
        """Take one before anything runs; False for one who was taken for dead, and has to come back first."""
        if not self._is_leased:
            is_well = renew(self._ledger, self._lease_s)
            self._is_leased, self._renewed_at = True, self._loop.time() if is_well else float("-inf")
        if self._renewed_at > float("-inf"):
            return True
        self._seen = None  # it looks again once that is settled
        return False

    def _leave(self, run: Run, why: str) -> None:
        """Leave a run to others for a while."""
        _log.warning("run %s is left to others: %s", run.name, why)
        self._strange[run.id] = self._loop.time() + _TRY_AGAIN_S
        self._share.passed_over.add(str(run.id))

    def _served(self, run: Run, runner: PoolRunner, task: asyncio.Task[Run]) -> None:
        self._serving.pop(run.id, None)
        self._share.runners.remove(runner)
        self._share.forget(run.id)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._left.add(run.id)
        if isinstance(error, (Busy, Unreachable)):
            _log.warning("%s; waiting for it", error)
        elif error is not None:
            self._leave(run, f"{type(error).__name__}: {error}")
        self._seen = None
        self._woken.set()

    def _is_drained(self) -> bool:
        def work(tx: Transaction) -> bool:
            return all(tx.row("unfinished_pooled", queue=queue) is None for queue in self._share.queues)

        return self._tried(lambda: self._ledger.store.read(work), otherwise=False)
