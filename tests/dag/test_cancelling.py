"""Calling a run off: from outside, from inside, before, during and after; and who holds a run."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import DAGRunStatus, DAGStepStatus, ParallelStatefulDAGRunner, StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import Held
from tasktrail.store.clock import SystemClock
from tests.crash.processes import environment
from tests.dag.conftest import NewRunner
from tests.dag.executors import Failing, Recording

SOON_S = 5
"""An execution that was told to end must do so in a fraction of this; it only keeps a broken one from hanging."""

_CANCEL = """
import sys
from tasktrail.engine.ledger import Ledger
from tasktrail.store.opening import open_store
ledger = Ledger(open_store(sys.argv[1]), actor="somebody")
ledger.cancel_run(int(sys.argv[2]), "changed my mind")
"""


class Waiting:
    """A step on the event loop that says when it has begun, and then waits until it is cancelled."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> None:
        """Wait."""
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


class Sleeping(SystemClock):
    """The machine's clock; it says when somebody has begun to wait."""

    def __init__(self) -> None:
        self.slept = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        self.slept.set()
        await super().sleep(seconds)


def words(runner: StatefulDAGRunner) -> list[str]:
    """Return each step's word, in order."""
    return [step.status.value for step in runner.dag_run.steps.values()]


def verbs(ledger: Ledger, runner: StatefulDAGRunner) -> list[object]:
    """Return the verbs of the run's history."""
    return [row[3] for row in ledger.store.read(lambda tx: tx.rows("fold_events", run_id=runner._record.row_id))]


# -------------------------------------------------------------------------------------------------------- by its runner


@pytest.mark.requirement("BL-083")
async def test_cancel_stops_what_runs_and_cancels_what_waits(runner: StatefulDAGRunner) -> None:
    record, waiting = Recording(), Waiting()
    runner.register_step("a", record.step("a"))
    runner.register_step("b", waiting)
    runner.register_step("c", record.step("c"))
    execution = asyncio.create_task(runner.execute())
    await waiting.began.wait()

    await runner.cancel()
    run = await asyncio.wait_for(execution, SOON_S)

    assert (run.status, words(runner)) == (DAGRunStatus.CANCELLED, ["success", "cancelled", "cancelled"])
    assert (waiting.was_cancelled, record.ran) == (True, ["a"])
    assert run.end_time is not None


@pytest.mark.requirement("BL-048", "BL-083")
async def test_cancel_before_anything_ran(runner: StatefulDAGRunner) -> None:
    fetch = Failing(0)
    runner.register_step("fetch", fetch)

    await runner.cancel()

    assert runner.dag_run.status is DAGRunStatus.CANCELLED
    assert (words(runner), fetch.calls) == (["cancelled"], 0)


async def test_a_run_without_steps_can_be_cancelled(runner: StatefulDAGRunner) -> None:
    await runner.cancel()

    assert runner.dag_run.status is DAGRunStatus.CANCELLED


async def test_a_step_registered_before_the_cancel_is_there_after_it(runner: StatefulDAGRunner) -> None:
    runner.register_step("fetch", Failing(0))
    await runner.cancel()

    run = await runner.execute()

    assert (list(run.steps), run.status) == (["fetch"], DAGRunStatus.SUCCESS)


async def test_cancel_twice_is_cancel_once(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    runner.register_step("a", Failing(), max_retries=0, critical=False)
    runner.register_step("b", Failing(0))
    await runner.execute(step_order=["a"])
    await runner.cancel()
    before = verbs(ledger, runner)

    await runner.cancel()

    assert verbs(ledger, runner) == before


async def test_a_run_that_is_over_is_not_called_off_any_more(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    runner.register_step("fetch", Failing(0))
    await runner.execute()
    before = verbs(ledger, runner)

    await runner.cancel()

    assert verbs(ledger, runner) == before
    assert (words(runner), runner.dag_run.steps["fetch"].result) == (["success"], "ok")


@pytest.mark.requirement("BL-076", "BL-083")
async def test_a_cancelled_run_can_go_on(runner: StatefulDAGRunner) -> None:
    record, waiting = Recording(), Waiting()
    runner.register_step("a", record.step("a"))
    runner.register_step("b", waiting)
    execution = asyncio.create_task(runner.execute())
    await waiting.began.wait()
    await runner.cancel()
    await asyncio.wait_for(execution, SOON_S)
    with bound(Binding(runner.ledger)):
        again = StatefulDAGRunner(run_id=runner.run_id)
    again.register_step("a", record.step("a"))
    again.register_step("b", record.step("b"))

    run = await again.execute()

    assert (run.status, record.ran) == (DAGRunStatus.SUCCESS, ["a", "b"])


# --------------------------------------------------------------------------------------------------- from inside a step


async def test_a_step_may_cancel_its_own_run(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    record = Recording()

    async def decide() -> str:
        await runner.cancel()
        return "too late"

    runner.register_step("decide", decide)
    runner.register_step("b", record.step("b"))

    run = await asyncio.wait_for(runner.execute(), SOON_S)

    assert (run.status, words(runner), record.ran) == (DAGRunStatus.CANCELLED, ["cancelled", "cancelled"], [])
    assert run.steps["decide"].result is None
    assert "late" in verbs(ledger, runner)  # its answer is kept as an event, and changes nothing


async def test_a_step_on_a_thread_may_cancel_its_own_run(runner: StatefulDAGRunner) -> None:
    record = Recording()
    runner.register_step("decide", lambda: asyncio.run(runner.cancel()))
    runner.register_step("b", record.step("b"))

    run = await asyncio.wait_for(runner.execute(), SOON_S)

    assert (run.status, record.ran) == (DAGRunStatus.CANCELLED, [])


async def test_a_thread_is_told_that_its_run_was_cancelled(runner: StatefulDAGRunner) -> None:
    began, told = threading.Event(), threading.Event()

    def patient(ctx: Any) -> None:
        began.set()
        while not ctx.cancelled:
            told.wait(0.005)
        told.set()

    runner.register_step("a", patient)
    execution = asyncio.create_task(runner.execute())
    await asyncio.to_thread(began.wait, SOON_S)

    await runner.cancel()
    run = await asyncio.wait_for(execution, SOON_S)

    assert (told.is_set(), run.status) == (True, DAGRunStatus.CANCELLED)


# ----------------------------------------------------------------------------------------------------- by somebody else


@pytest.mark.requirement("BL-083")
async def test_a_cancel_from_another_process_is_noticed(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    waiting = Waiting()
    runner.register_step("a", waiting)
    runner.register_step("b", Failing(0))
    execution = asyncio.create_task(runner.execute())
    await waiting.began.wait()

    await asyncio.to_thread(cancel_elsewhere, ledger.store.path, runner._record.row_id)
    run = await asyncio.wait_for(execution, SOON_S)

    assert (run.status, waiting.was_cancelled) == (DAGRunStatus.CANCELLED, True)


def cancel_elsewhere(store: Path | None, run_id: int) -> None:
    """Cancel a run in a process of its own."""
    arguments = [sys.executable, "-c", _CANCEL, str(store), str(run_id)]
    subprocess.run(arguments, env=environment(), check=True, timeout=60)


async def test_a_cancel_by_another_runner_of_the_same_process_is_noticed(new_runner: NewRunner) -> None:
    waiting, runner = Waiting(), new_runner()
    runner.register_step("a", waiting)
    execution = asyncio.create_task(runner.execute())
    await waiting.began.wait()

    await new_runner(run_id=runner.run_id).cancel()
    run = await asyncio.wait_for(execution, SOON_S)

    assert (run.status, waiting.was_cancelled) == (DAGRunStatus.CANCELLED, True)


async def test_a_cancel_during_a_back_off_is_noticed(ledger: Ledger) -> None:
    """Nothing runs then, but the execution must not wait for an hour to see that there is nothing to do."""
    clock = Sleeping()
    with bound(Binding(Ledger(ledger.store, actor="tester", clock=clock))):
        runner = StatefulDAGRunner("etl")
    runner.register_step("a", Failing(), retry_delay=3600)
    execution = asyncio.create_task(runner.execute())
    await clock.slept.wait()

    await asyncio.to_thread(cancel_elsewhere, ledger.store.path, runner._record.row_id)
    done, _ = await asyncio.wait([execution], timeout=SOON_S)

    execution.cancel()
    assert done, "the execution still waits for the time of a retry that was cancelled"
    assert runner.dag_run.status is DAGRunStatus.CANCELLED


async def test_a_step_that_was_skipped_during_its_back_off_lets_the_next_one_start(ledger: Ledger) -> None:
    clock, record = Sleeping(), Recording()
    with bound(Binding(Ledger(ledger.store, actor="tester", clock=clock))):
        runner = StatefulDAGRunner("etl")
    runner.register_step("a", Failing(), retry_delay=3600)
    runner.register_step("b", record.step("b"))
    execution = asyncio.create_task(runner.execute())
    await clock.slept.wait()
    task = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=runner._record.row_id))[0]

    await asyncio.to_thread(skip_elsewhere, ledger.store.path, task.id)
    done, _ = await asyncio.wait([execution], timeout=SOON_S)

    execution.cancel()
    assert done
    assert record.ran == ["b"]


def skip_elsewhere(store: Path | None, task_id: int) -> None:
    """Skip a task in a process of its own."""
    script = _CANCEL.replace('cancel_run(int(sys.argv[2]), "changed my mind")', "ask(int(sys.argv[2]), Ask('skip'))")
    script = "from tasktrail.model.lifecycle import Ask\n" + script
    arguments = [sys.executable, "-c", script, str(store), str(task_id)]
    subprocess.run(arguments, env=environment(), check=True, timeout=60)


async def test_a_running_task_that_was_taken_away_is_stopped_and_its_answer_is_void(
    parallel: ParallelStatefulDAGRunner, ledger: Ledger
) -> None:
    waiting, record = Waiting(), Recording()
    parallel.register_step("a", waiting, critical=False)
    parallel.register_step("b", record.step("b"))
    execution = asyncio.create_task(parallel.execute())
    await waiting.began.wait()
    task = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=parallel._record.row_id))[0]

    await asyncio.to_thread(skip_elsewhere, ledger.store.path, task.id)
    run = await asyncio.wait_for(execution, SOON_S)

    assert waiting.was_cancelled
    assert run.steps["a"].status is DAGStepStatus.SKIPPED


# ------------------------------------------------------------------------------------------------------------ who holds


async def test_a_run_that_is_being_executed_is_held_and_says_by_whom(new_runner: NewRunner) -> None:
    waiting, runner = Waiting(), new_runner()
    runner.register_step("a", waiting)
    execution = asyncio.create_task(runner.execute())
    await waiting.began.wait()
    other, fetch = new_runner(run_id=runner.run_id), Failing(0)
    other.register_step("a", fetch)

    with pytest.raises(Held, match=r"is being executed by process \d+ on .+"):
        await other.execute()

    await runner.cancel()
    await asyncio.wait_for(execution, SOON_S)
    assert fetch.calls == 0


async def test_the_same_runner_executes_once_at_a_time(runner: StatefulDAGRunner) -> None:
    waiting = Waiting()
    runner.register_step("a", waiting)
    execution = asyncio.create_task(runner.execute())
    await waiting.began.wait()

    with pytest.raises(Held):
        await runner.execute()

    await runner.cancel()
    run = await asyncio.wait_for(execution, SOON_S)
    assert run.status is DAGRunStatus.CANCELLED


async def test_a_run_is_owned_only_while_it_is_executed(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    owners: list[object] = []

    def owner() -> int | None:
        return ledger.store.read(lambda tx: tx.run(runner._record.row_id)).worker_id

    async def look() -> None:
        owners.append(owner())

    runner.register_step("a", look)
    runner.register_step("b", Failing(), max_retries=0, critical=False)
    await runner.execute()

    assert owners[0] is not None
    assert owner() is None


async def test_a_run_that_was_left_running_by_hand_is_given_up_too(new_runner: NewRunner) -> None:
    """BL-079 by hand: RUNNING is a word that somebody assigned; nobody executes it."""
    runner = new_runner()
    fetch = Failing(0)
    runner.register_step("fetch", fetch)
    runner.dag_run.steps["fetch"].status = DAGStepStatus.RUNNING

    run = await runner.execute()

    assert (fetch.calls, run.status, run.steps["fetch"].retry_count) == (1, DAGRunStatus.SUCCESS, 0)
