"""Executes a run whose code the command imports: progress while it works, its output apart, Ctrl-C, and the table."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

from tasktrail.cli import errors, status, targets
from tasktrail.cli.folders import OutputFolder
from tasktrail.cli.progress import EVERY_S, Follower, View, view_for
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import local
from tasktrail.dag.interface import IDAGRunner
from tasktrail.dag.runner import Binding, ParallelStatefulDAGRunner, StatefulDAGRunner, bound
from tasktrail.dag.states import DAGRun
from tasktrail.engine.capture import Capture
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import find_run
from tasktrail.engine.values import decode
from tasktrail.model.errors import BadInput, TasktrailError
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import OVER, Run
from tasktrail.store.transaction import Transaction

_MAX_PARALLEL: Final = "run.max_parallel"
_NOT_PARALLEL: Final = "--max-parallel has no effect: this runner is no ParallelStatefulDAGRunner"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_STOPPING: Final = "stopping; what steps still finish is kept (Ctrl-C again: leave at once)"
_LEFT: Final = "\x1b[?25h\nleft at once; what was acknowledged is kept\n"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be executed.

    Args:
        run_id: Public id of the run that is created or gone on with; None lets the code name it, or draws one.
        output_dir: Where each step's result and output go; None keeps no files.
        from_step: The step that is done again with all that follow; None goes on with what is not finished.
        only: Of the failed steps those that are tried again; empty means all.
    """

    target: targets.Target
    run_id: str | None = None
    output_dir: Path | None = None
    from_step: str | None = None
    only: Sequence[str] = ()


def execute(session: Session, order: Order) -> int:
    """Execute a run as far as it goes, print where it then stands, and return the exit code."""
    if order.run_id is not None:
        check_run_id(order.run_id)
    targets.locate(order.target)  # before a store is made for what is not there
    ledger = session.ledger(create=True)
    session.log()
    stage = _Stage(session, ledger, order, sys.stderr)
    with stage.capture.installed():
        runner = stage.load()
        interrupted = stage.execute(runner)
    if interrupted:
        tell("interrupted")
    run = status.show(session, stage.ledger, stage.run_of(runner))
    return errors.INTERRUPTED if interrupted else _exit_code(run)


def _exit_code(run: Run) -> int:
    """A run that is not over (paused, or a step waits for a person) has not failed."""
    return errors.RUN_FAILED if run.status in OVER and run.status != "completed" else errors.OK


class _Stage:
    """One execution by the command.

    Args:
        stderr: Where words go; `sys.stderr` itself belongs to the steps meanwhile.
    """

    def __init__(self, session: Session, ledger: Ledger, order: Order, stderr: TextIO) -> None:
        self.session = session
        self.ledger = ledger
        self.order = order
        self.stderr = stderr
        self.capture = Capture(self._say)
        self._view: View | None = None
        self._follower: Follower | None = None

    def load(self) -> IDAGRunner:
        """Import the code; runners that it makes take our store and run id.

        Raises:
            BadInput: The code names another run than the command.
        """
        stored = self.order.target.stored(self.session.config.store.root)
        with bound(self._binding(stored)):
            runner = targets.load(self.order.target)
        name = runner.dag_run.run_id
        if self.order.run_id not in (None, name):
            raise BadInput(
                f"{stored} names its run itself: {name}, not {self.order.run_id}",
                hint="leave --run-id out, or make the runner without a run id",
            )
        if isinstance(runner, StatefulDAGRunner):
            self.ledger = runner.ledger  # a runner that was given a store of its own keeps its run there
        return runner

    def _binding(self, stored: str) -> Binding:
        flag = _MAX_PARALLEL in self.session.flags
        return Binding(
            self.ledger,
            self.order.run_id,
            stored,
            watch=self._watch,
            around=self.capture.around,
            max_parallel=self.session.config.run_max_parallel if flag else None,
        )

    def run_of(self, runner: IDAGRunner) -> Run:
        """Return the run as it stands."""
        return find_run(self.ledger, runner.dag_run.run_id, "dag")

    def execute(self, runner: IDAGRunner) -> bool:
        """Execute the run with everything around it; return whether it was interrupted."""
        run = self.run_of(runner)
        folder = OutputFolder(self.order.output_dir, run.name) if self.order.output_dir else None
        if folder:
            self.capture.keep = partial(self._keep, folder)
        work = self._work(runner)
        self._say("", self._beginning(runner, run))
        if _MAX_PARALLEL in self.session.flags and not isinstance(runner, ParallelStatefulDAGRunner):
            self._say("", _NOT_PARALLEL)
        try:
            with self._shown(run):
                return asyncio.run(self._drive(work))
        finally:
            if folder:
                self.capture.finish()
                _put_results(self.ledger, run, folder)

    @contextlib.contextmanager
    def _shown(self, run: Run) -> Iterator[None]:
        self._view = view_for(self.stderr, self.ledger, self.session.ink(self.stderr))
        self._follower = Follower(self.ledger, run, self._view)
        try:
            yield
            self._follower.look()
        finally:
            self._view.close()
            self._view = None

    def _say(self, name: str, line: str) -> None:
        """While code is imported there is no view yet; where nobody reads any more, the work goes on."""
        with contextlib.suppress(OSError, ValueError):
            if self._view is not None:
                self._view.say(name, line)
            else:
                self.stderr.write(f"{line}\n")

    def _keep(self, folder: OutputFolder, key: str, text: str) -> None:
        """A full disk costs the file, not the step."""
        try:
            folder.append_output(key, text, local(self.ledger.clock.now()))
        except OSError as error:
            self._say("", f"the output of step {key} cannot be kept: {error.strerror}")

    def _watch(self, run: Run) -> None:
        if self._follower is not None:
            self._follower.watch(run)

    def _work(self, runner: IDAGRunner) -> Callable[[], Coroutine[Any, Any, DAGRun]]:
        if self.order.from_step is None and not self.order.only:
            return runner.execute
        if not isinstance(runner, StatefulDAGRunner):
            flag = "--only" if self.order.only else "--from"
            words = f"the runner of run {self.order.run_id} is of the class {type(runner).__name__}"
            raise BadInput(f"{flag} needs a StatefulDAGRunner; {words}", hint=f"leave {flag} out")
        return partial(runner.retry, self.order.from_step, only=self.order.only)

    def _beginning(self, runner: IDAGRunner, run: Run) -> str:
        done = run.n_completed + run.n_skipped
        if self.order.from_step is not None:
            n_again = len(runner.steps_from(self.order.from_step)) if isinstance(runner, StatefulDAGRunner) else 0
            return f"run {run.name}: from {self.order.from_step} on, {n_again} of {run.n_tasks} steps are done again"
        if run.started_at is None:
            return f"run {run.name}"
        return f"going on with run {run.name}: {done} of {run.n_tasks} steps are done"

    async def _drive(self, execute: Callable[[], Coroutine[Any, Any, DAGRun]]) -> bool:
        work = asyncio.ensure_future(execute())
        ticker = asyncio.create_task(self._tick())
        try:
            with self._stoppable(work):
                await work
        except asyncio.CancelledError:
            return True
        finally:
            ticker.cancel()
        return False

    async def _tick(self) -> None:
        """Time goes by between commits too: a long step shows how long it runs."""
        while self._follower is not None:
            await asyncio.sleep(EVERY_S)
            self._follower.look()

    @contextlib.contextmanager
    def _stoppable(self, work: asyncio.Future[DAGRun]) -> Iterator[None]:
        """The first signal cancels the work, which the runner knows how to end; the second ends the process."""
        loop = asyncio.get_running_loop()
        told: list[int] = []

        def stop() -> None:
            self._say("", _STOPPING)
            work.cancel()

        def handle(number: int, _: object) -> None:
            if told:
                _leave(self.stderr)
            told.append(number)
            loop.call_soon_threadsafe(stop)

        before = {number: signal.signal(number, handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _leave(stderr: TextIO) -> None:
    """Inside a signal handler nothing may be locked, so the file descriptor is written to."""
    with contextlib.suppress(OSError, ValueError):
        os.write(stderr.fileno(), _LEFT.encode() if stderr.isatty() else _LEFT.partition("\n")[2].encode())
    os._exit(errors.INTERRUPTED)


def _put_results(ledger: Ledger, run: Run, folder: OutputFolder) -> None:
    def work(tx: Transaction) -> None:
        for key, output in tx.execute("outputs_of_run", {"run_id": run.id}):
            folder.put_result(str(key), decode(None if output is None else str(output), tx))

    try:
        ledger.store.read(work)
        folder.close()
    except OSError as error:
        raise TasktrailError(f"cannot write results to {folder.path}: {error.strerror}; the store has them") from error
