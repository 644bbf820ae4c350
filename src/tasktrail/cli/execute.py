"""Executes a run whose code the command imports: progress while it works, its output apart, Ctrl-C, and the table."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, TextIO

from tasktrail.cli import errors, status, targets
from tasktrail.cli.folders import OutputFolder
from tasktrail.cli.progress import EVERY_S, Follower, View, view_for
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import local
from tasktrail.dag.interface import IDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.dag.states import DAGRun
from tasktrail.engine.capture import captured
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Found, find_run
from tasktrail.engine.reading import OutputReader
from tasktrail.engine.values import decode
from tasktrail.model.errors import BadInput, TasktrailError
from tasktrail.model.reference import check_run_id, format_task
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_STOPPING: Final = "stopping; what steps still finish is kept (Ctrl-C again: leave at once)"
_LEFT: Final = "\x1b[?25h\nleft at once; what was acknowledged is kept\n"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be executed.

    Args:
        run_id: Public id of the run that is created or gone on with; None lets the code name it, or draws one.
        output_dir: Where each step's result and output go; None keeps no files.
    """

    target: targets.Target
    run_id: str | None = None
    output_dir: Path | None = None


def execute(session: Session, order: Order) -> int:
    """Execute a run as far as it goes, print where it then stands, and return the exit code."""
    if order.run_id is not None:
        check_run_id(order.run_id)
    targets.locate(order.target)  # before a store is made for what is not there
    ledger = session.ledger(create=True)
    session.log()
    stage = _Stage(session, ledger, order, sys.stderr)
    with captured(stage.say):
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
        self._view: View | None = None
        self._follower: Follower | None = None

    def load(self) -> IDAGRunner:
        """Import the code; runners that it makes take our store and run id.

        Raises:
            BadInput: The code names another run than the command.
        """
        stored = self.order.target.stored(self.session.config.store.root)
        with bound(Binding(self.ledger, self.order.run_id, stored, self._watch, self._say_of)):
            runner = targets.load(self.order.target)
        name = runner.dag_run.run_id
        if self.order.run_id not in (None, name):
            raise BadInput(
                f"{stored} names its run itself: {name}, not {self.order.run_id}",
                hint="leave --run-id out, or make the runner without a run id",
            )
        # A runner that was given a store of its own keeps its run there.
        self.ledger = getattr(runner, "_ledger", self.ledger)
        return runner

    def run_of(self, runner: IDAGRunner) -> Run:
        """Return the run as it stands."""
        return find_run(self.ledger, runner.dag_run.run_id, "dag")

    def execute(self, runner: IDAGRunner) -> bool:
        """Execute the run with everything around it; return whether it was interrupted."""
        run = self.run_of(runner)
        folder = OutputFolder(self.order.output_dir, run.name) if self.order.output_dir else None
        self.say("", _beginning(run))
        try:
            with self._shown(run):
                return asyncio.run(self._drive(runner))
        finally:
            if folder:
                _put_files(self.ledger, run, folder)

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

    def say(self, name: str, line: str) -> None:
        """Show a line that a step printed; without a name it was no step.

        While code is imported there is no view yet; where nobody reads any more, the work goes on.
        """
        with contextlib.suppress(OSError, ValueError):
            if self._view is not None:
                self._view.say(name, line)
            else:
                self.stderr.write(f"{line}\n")

    def _say_of(self, task: Task, line: str) -> None:
        self.say(format_task("", task.key, task.item, task.map_index)[1:], line)

    def _watch(self, run: Run) -> None:
        if self._follower is not None:
            self._follower.watch(run)

    async def _drive(self, runner: IDAGRunner) -> bool:
        work = asyncio.ensure_future(runner.execute())
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
            self.say("", _STOPPING)
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


def _beginning(run: Run) -> str:
    done = run.n_completed + run.n_skipped
    if run.started_at is None:
        return f"run {run.name}"
    return f"going on with run {run.name}: {done} of {run.n_tasks} steps are done"


def _put_files(ledger: Ledger, run: Run, folder: OutputFolder) -> None:
    """Write results and output as the store has them, of earlier executions too."""

    def work(tx: Transaction) -> None:
        for key, output in tx.execute("outputs_of_run", {"run_id": run.id}):
            folder.put_result(str(key), decode(None if output is None else str(output), tx))

    try:
        ledger.store.read(work)
        _put_output(ledger, run, folder)
        folder.close()
    except OSError as error:
        raise TasktrailError(f"cannot write results to {folder.path}: {error.strerror}; the store has them") from error


def _put_output(ledger: Ledger, run: Run, folder: OutputFolder) -> None:
    rows = ledger.store.read(lambda tx: tx.rows("attempts_with_output", run_id=run.id))
    for _, attempts in groupby(rows, key=lambda row: row[0]):
        names = [(str(key), int(str(task_id)), int(str(attempt))) for task_id, attempt, key in attempts]
        folder.put_output(names[0][0], _all_lines(ledger, run, names))


def _all_lines(ledger: Ledger, run: Run, names: Sequence[tuple[str, int, int]]) -> Iterator[str]:
    """A line with the time stands between two attempts."""
    for place, (_, task_id, attempt) in enumerate(names):
        task = ledger.store.read(lambda tx: tx.task("task_by_id", id=task_id))  # noqa: B023 - used at once
        for number, line in enumerate(OutputReader(ledger, Found(run, task), attempt).lines()):
            if place and not number:
                yield f"--- again, {local(line.at)} ---"
            yield line.text
