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
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TextIO

from tasktrail.cli import errors, status, targets
from tasktrail.cli.folders import OutputFolder
from tasktrail.cli.params import typed
from tasktrail.cli.progress import EVERY_S, Follower, View, view_for
from tasktrail.cli.session import Session, tell
from tasktrail.cli.text import local
from tasktrail.dag.interface import IDAGRunner
from tasktrail.dag.runner import Binding, ParallelStatefulDAGRunner, StatefulDAGRunner, bound
from tasktrail.engine.capture import captured
from tasktrail.engine.execution import MAYBE_DONE
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Found, find_run
from tasktrail.engine.loops import run_to_end
from tasktrail.engine.ownership import is_pooled
from tasktrail.engine.reading import OutputReader
from tasktrail.engine.values import decode
from tasktrail.engine.workflow_files import WorkflowFile
from tasktrail.engine.workflows import find
from tasktrail.model.errors import BadInput, TasktrailError
from tasktrail.model.reference import check_run_id, format_task
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Task
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
        target: None where the run is there, with its code.
        run_id: Public id of the run that is created or gone on with; None lets the code name it, or draws one.
        output_dir: Where each step's result and output go; None keeps no files.
        from_step: The step that is done again with all that follow; None goes on with what is not finished.
        only: The steps that are done again, alone; empty means all that failed.
        params: Of a workflow file, as they were typed: NAME=VALUE.
        waits: Whether to wait for steps that a person must complete.
        accepts: Whether a run goes on by the workflow as it is now where that differs from what it began with.
    """

    target: targets.Target | WorkflowFile | None = None
    run_id: str | None = None
    output_dir: Path | None = None
    from_step: str | None = None
    only: Sequence[str] = ()
    params: Sequence[str] = ()
    waits: bool = True
    accepts: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run whose code is there.

    Args:
        ledger: Where it lives.
        again: How many finished steps are done again.
        says: What its beginning should say beside that.
    """

    ledger: Ledger
    run: Run
    execute: Callable[[], Coroutine[Any, Any, object]]
    again: int = 0
    says: str | None = None


def execute(session: Session, order: Order) -> int:
    """Execute a run as far as it goes, print where it then stands, and return the exit code."""
    if order.run_id is not None:
        check_run_id(order.run_id)
    assert order.target is not None
    order.target.locate()  # before a store is made for what is not there
    if order.params and not isinstance(order.target, WorkflowFile):
        raise BadInput("--param goes with a workflow file; a runner in Python gets its values from its own code")
    session.log()
    if isinstance(order.target, WorkflowFile) and (run := _pooled(session, order.run_id)):
        from tasktrail.cli.worker import go_on_pooled

        return go_on_pooled(session, order, order.target, run)
    stage = Stage(session, session.ledger(), order, sys.stderr)
    with captured(stage.say):
        prepared = stage.prepare()
        interrupted = stage.execute(prepared)
    if interrupted:
        tell("interrupted")
    run = status.show(session, prepared.ledger, find_run(prepared.ledger, prepared.run.name, "dag"))
    tell_what_waits(prepared.ledger, run)
    return errors.INTERRUPTED if interrupted else _exit_code(run)


def _pooled(session: Session, name: str | None) -> Run | None:
    """Return the run of this name where workers execute it."""
    ledger = session.ledger()
    run = find(ledger, name) if name is not None else None
    return run if run is not None and is_pooled(ledger.store, run) else None


def _exit_code(run: Run) -> int:
    """A run that is not over (paused, or a step waits for a person) has not failed."""
    return errors.RUN_FAILED if run.status in OVER and run.status != "completed" else errors.OK


class Stage:
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
        self._asked: set[int] = set()

    def prepare(self) -> Prepared:
        """Import the code, and find or begin the run; for a workflow file that cannot be executed no store is made."""
        target = self.order.target
        assert target is not None
        if isinstance(target, WorkflowFile):
            target.check(self.ledger, self.order.run_id, *typed(target.load(), self.order.params))
        self.ledger = self.session.ledger(create=True)
        prepared = self._of_file(target) if isinstance(target, WorkflowFile) else self._of_runner(target)
        self.ledger = prepared.ledger
        return prepared

    def _of_file(self, file: WorkflowFile) -> Prepared:
        order, flag = self.order, _MAX_PARALLEL in self.session.flags
        opened = file.open(self.ledger, order.run_id, store=self.session.config.store, accepts=order.accepts)
        opened.max_parallel = self.session.config.run_max_parallel if flag else opened.workflow.max_parallel
        opened.max_parallel = opened.max_parallel or self.session.config.run_max_parallel
        opened.waits, opened.watch, opened.say = order.waits, self.watch, self._say_of
        again = opened.take_back(order.from_step) if order.from_step is not None else 0
        if order.only:
            opened.retry_only(order.only)
        return Prepared(self.ledger, opened.run, opened.execute, again)

    def _of_runner(self, target: targets.Target) -> Prepared:
        """Runners that the code makes take our store and run id.

        Raises:
            BadInput: The code names another run than the command.
        """
        stored = target.stored(self.session.config.store)
        with bound(self._binding(stored)):
            runner = targets.load(target)
        name = runner.dag_run.run_id
        if self.order.run_id not in (None, name):
            raise BadInput(
                f"{stored} names its run itself: {name}, not {self.order.run_id}",
                hint="leave --run-id out, or make the runner without a run id",
            )
        # A runner that was given a store of its own keeps its run there.
        ledger = runner.ledger if isinstance(runner, StatefulDAGRunner) else self.ledger
        run, says = find_run(ledger, name, "dag"), None
        if _MAX_PARALLEL in self.session.flags and not isinstance(runner, ParallelStatefulDAGRunner):
            says = _NOT_PARALLEL
        return Prepared(ledger, run, self._work(runner), self._n_again(runner), says)

    def _binding(self, stored: str) -> Binding:
        flag = _MAX_PARALLEL in self.session.flags
        return Binding(
            self.ledger,
            self.order.run_id,
            stored,
            watch=self.watch,
            say=self._say_of,
            max_parallel=self.session.config.run_max_parallel if flag else None,
        )

    def execute(self, prepared: Prepared) -> bool:
        """Execute the run with everything around it; return whether it was interrupted."""
        run = prepared.run
        folder = OutputFolder(self.order.output_dir, run.name) if self.order.output_dir else None
        self.say("", self._beginning(run, prepared.again))
        if prepared.says:
            self.say("", prepared.says)
        try:
            with self._shown(run):
                return run_to_end(self._drive(prepared.execute))
        finally:
            if folder:
                _put_files(self.ledger, run, folder)

    @contextlib.contextmanager
    def _shown(self, run: Run) -> Iterator[None]:
        self._view = view_for(self.stderr, self.ledger, run, self.session.ink(self.stderr))
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

    def watch(self, run: Run) -> None:
        """Hear of a commit."""
        if self._follower is not None:
            self._follower.watch(run)
        if self.order.waits and run.n_blocked and not run.n_in_progress:
            self._ask(run)

    def _ask(self, run: Run) -> None:
        """The execution waits for people: say once of each step what to type."""
        for task in blocked_steps(self.ledger, run):
            if task.id not in self._asked:
                self._asked.add(task.id)
                self.say("", what_to_type(run, task))

    def _work(self, runner: IDAGRunner) -> Callable[[], Coroutine[Any, Any, object]]:
        if self.order.from_step is None and not self.order.only:
            return runner.execute
        if not isinstance(runner, StatefulDAGRunner):
            flag = "--only" if self.order.only else "--from"
            words = f"the runner of run {self.order.run_id} is of the class {type(runner).__name__}"
            raise BadInput(f"{flag} needs a StatefulDAGRunner; {words}", hint=f"leave {flag} out")
        return partial(runner.retry, self.order.from_step, only=self.order.only)

    def _n_again(self, runner: IDAGRunner) -> int:
        if self.order.from_step is None or not isinstance(runner, StatefulDAGRunner):
            return 0
        return len(runner.steps_from(self.order.from_step))

    def _beginning(self, run: Run, again: int) -> str:
        done = run.n_completed + run.n_skipped
        if self.order.from_step is not None:
            return f"run {run.name}: from {self.order.from_step} on, {again} of {run.n_tasks} steps are done again"
        if run.started_at is None:
            return f"run {run.name}"
        return f"going on with run {run.name}: {done} of {run.n_tasks} steps are done"

    async def _drive(self, execute: Callable[[], Coroutine[Any, Any, object]]) -> bool:
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
    def _stoppable(self, work: asyncio.Future[object]) -> Iterator[None]:
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


def tell_what_waits(ledger: Ledger, run: Run) -> None:
    """Say of every step that waits for a person what to type, when nobody executes the run any more."""
    if not run.n_blocked or run.status in OVER:
        return
    for task in blocked_steps(ledger, run):
        tell(what_to_type(run, task))
    tell(f"then: tasktrail resume {run.name}")


def blocked_steps(ledger: Ledger, run: Run) -> list[Task]:
    """Return the steps of a run that wait for a person."""
    return ledger.store.read(lambda tx: tx.tasks("tasks_of_run_in", run_id=run.id, statuses='["blocked"]'))


def what_to_type(run: Run, task: Task) -> str:
    """Return what a step waits for, and the command that says it is done."""
    reference = format_task(run.name, task.key, task.item, task.map_index)
    said = f"{task.name} waits for a person: {task.reason or ''}\n  tasktrail complete {reference}"
    if task.reason != MAYBE_DONE:
        return said
    return f"{said}    it was done\n  tasktrail unblock {reference}    it was not: do it\n  tasktrail skip {reference}"


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
