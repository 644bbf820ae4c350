"""The runner: time-outs, odd ends of steps, interruptions, abandoned threads, and other processes that write."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.runner import Plan, Runner
from tasktrail.engine.steps import step
from tasktrail.engine.threads import Threads
from tasktrail.engine.verification import verify
from tasktrail.model.attempt import Attempt
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock
from tests.crash.processes import environment

SOON_S = 5
"""What takes longer than this hangs."""


@dataclass
class Engine:
    """A store, and runs of it that are executed with this or that code."""

    ledger: Ledger
    clock: FakeClock

    def new(self, *drafts: TaskDraft) -> int:
        """Store a run and return its row id."""
        return self.ledger.create_run(RunDraft("dag", f"run-{len(self.rows('run_ids'))}", "etl", drafts)).id

    async def execute(self, run_id: int, functions: dict[str, Callable[..., Any]], **options: Any) -> Run:
        """Execute a run, one step after another unless `order` is None."""
        options.setdefault("order", list(functions))
        steps = {key: step(key, function, functions) for key, function in functions.items()}
        plan = Plan(steps, sleep=self.clock.sleep, **options)
        return await asyncio.wait_for(Runner(self.ledger, run_id, plan).execute(), SOON_S)

    async def execute_one(self, function: Callable[..., Any], **options: Any) -> Task:
        """Execute a run of one step without retries, and return how the step stands."""
        run_id = self.new(TaskDraft("a", max_retries=0, **options))
        await self.execute(run_id, {"a": function})
        return self.task(run_id, "a")

    def rows(self, query: str, **parameters: object) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        return self.ledger.store.read(lambda tx: tx.rows(query, **parameters))

    def task(self, run_id: int, key: str) -> Task:
        """Return a task."""
        found = self.ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run_id, item="", map_index=-1))
        assert found is not None
        return found

    def attempts(self, run_id: int, key: str) -> list[Attempt]:
        """Return the attempts of a task."""
        task_id = self.task(run_id, key).id
        return self.ledger.store.read(lambda tx: tx.attempts("attempts_of_task", task_id=task_id))

    def verbs(self, run_id: int) -> list[object]:
        """Return the verbs of the run's history."""
        return [row[3] for row in self.rows("fold_events", run_id=run_id)]

    def run(self, run_id: int) -> Run:
        """Return a run."""
        return self.ledger.store.read(lambda tx: tx.run(run_id))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty store; whatever a test did to it, its history must fold to its rows."""
    clock, store = FakeClock(), open_store(str(tmp_path / "tasks.db"), synchronous="normal")
    yield Engine(Ledger(store, actor="tester", clock=clock), clock)
    assert verify(store) == []
    store.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging threads wait for; opened at the end so that none outlives its test."""
    gate = threading.Event()
    yield gate
    gate.set()


async def one() -> int:
    return 1


# ----------------------------------------------------------------------------------------------------------- time-outs


async def test_a_coroutine_whose_time_is_up_is_cancelled(engine: Engine) -> None:
    cancelled = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    task = await engine.execute_one(slow, timeout_ms=20)

    assert (task.status, task.error_type, cancelled) == ("failed", "TimeoutError", [True])
    assert task.error == "step 'a' did not end within 0.02 s"
    assert [attempt.outcome for attempt in engine.attempts(1, "a")] == ["timeout"]


async def test_a_thread_whose_time_is_up_is_abandoned_and_named(engine: Engine, gate: threading.Event) -> None:
    run_id = engine.new(TaskDraft("a", max_retries=0, critical=False, timeout_ms=20), TaskDraft("b"))

    run = await engine.execute(run_id, {"a": lambda: gate.wait(SOON_S), "b": one})

    assert (run.status, engine.task(run_id, "b").status) == ("partial", "completed")
    assert "its thread cannot be ended and was abandoned" in str(engine.task(run_id, "a").error)


async def test_the_answer_of_an_abandoned_thread_is_a_late_event_and_void(
    engine: Engine, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    answered = threading.Event()

    def hanging() -> str:
        gate.wait(SOON_S)
        return "too late"

    async def wait_for_it() -> None:
        gate.set()
        while "late" not in engine.verbs(run_id):
            await asyncio.sleep(0.001)
        answered.set()

    run_id = engine.new(TaskDraft("a", max_retries=0, critical=False, timeout_ms=20), TaskDraft("b"))
    await engine.execute(run_id, {"a": hanging, "b": wait_for_it})

    assert answered.is_set()
    assert (engine.task(run_id, "a").status, engine.task(run_id, "a").output) == ("failed", None)
    assert "step a: the answer of attempt 1 came too late and is void" in caplog.text


async def test_the_answer_of_an_abandoned_thread_is_a_late_event_even_when_its_run_is_over(
    engine: Engine, gate: threading.Event
) -> None:
    """DESIGN §4: a late answer is an event. The program still lives, so nothing prevents it."""
    ended = threading.Event()

    def hanging() -> str:
        gate.wait(SOON_S)
        ended.set()
        return "too late"

    task = await engine.execute_one(hanging, timeout_ms=20)
    gate.set()
    await asyncio.to_thread(ended.wait, SOON_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while "late" not in engine.verbs(task.run_id):
                await asyncio.sleep(0.001)

    assert "late" in engine.verbs(task.run_id)
    assert engine.task(task.run_id, "a").status == "failed"


async def test_a_late_answer_does_not_answer_for_the_next_attempt(engine: Engine, gate: threading.Event) -> None:
    """The thread of attempt 1 answers while attempt 2 runs: that one's own answer counts."""
    calls = []

    def hanging_once() -> str:
        calls.append(len(calls) + 1)
        if len(calls) == 1:
            gate.wait(SOON_S)
            return "of attempt 1"
        gate.set()
        deadline = time.monotonic() + SOON_S
        while "late" not in engine.verbs(run_id) and time.monotonic() < deadline:
            time.sleep(0.001)
        return "of attempt 2"

    run_id = engine.new(TaskDraft("a", max_retries=1, timeout_ms=100))
    await engine.execute(run_id, {"a": hanging_once})

    assert engine.task(run_id, "a").output == '"of attempt 2"'
    assert [attempt.outcome for attempt in engine.attempts(run_id, "a")] == ["timeout", "ok"]


async def test_a_coroutine_that_does_not_let_itself_be_cancelled_has_failed_nevertheless(engine: Engine) -> None:
    async def stubborn() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "I finish anyway"

    run_id = engine.new(TaskDraft("a", max_retries=0, critical=False, timeout_ms=20), TaskDraft("b"))

    async def a_few_turns() -> None:
        for _ in range(5):
            await asyncio.sleep(0.001)

    await engine.execute(run_id, {"a": stubborn, "b": a_few_turns})

    assert (engine.task(run_id, "a").status, engine.task(run_id, "a").output) == ("failed", None)


async def test_a_time_out_is_tried_again_like_an_error(engine: Engine) -> None:
    calls = []

    async def slow_once() -> str:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return "ok"

    run_id = engine.new(TaskDraft("a", max_retries=1, timeout_ms=20))
    run = await engine.execute(run_id, {"a": slow_once})

    assert (run.status, engine.task(run_id, "a").tries, engine.clock.sleeps) == ("completed", 1, [1.0])


async def test_a_time_out_error_of_the_step_itself_is_an_error(engine: Engine) -> None:
    async def call() -> None:
        raise TimeoutError("the server did not answer")

    task = await engine.execute_one(call, timeout_ms=60_000)

    assert (task.error, engine.attempts(task.run_id, "a")[0].outcome) == ("the server did not answer", "error")


async def test_a_step_that_ends_in_time_leaves_no_timer_behind(engine: Engine) -> None:
    run_id = engine.new(TaskDraft("a", timeout_ms=10), TaskDraft("b"))

    async def longer() -> None:
        await asyncio.sleep(0.03)

    run = await engine.execute(run_id, {"a": one, "b": longer})

    assert (run.status, engine.verbs(run_id).count("fail")) == ("completed", 0)


async def test_progress_of_an_attempt_that_is_over_is_void(engine: Engine, gate: threading.Event) -> None:
    reported = threading.Event()

    def hanging(ctx: Any) -> None:
        gate.wait(SOON_S)
        ctx.progress(1, 1)
        reported.set()

    task = await engine.execute_one(hanging, timeout_ms=20)
    gate.set()
    await asyncio.to_thread(reported.wait, SOON_S)

    assert [row[3:5] for row in engine.rows("details_of_task", id=task.id)] == [(None, None)]


# ------------------------------------------------------------------------------------------------------- odd ends of steps


class Abort(BaseException):
    """Not an Exception: what `except Exception` lets through."""


class Unspeakable(Exception):
    """Its own text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


ODD_ENDS: list[tuple[BaseException, str]] = [
    (SystemExit(3), "3"), (Abort("enough"), "enough"), (GeneratorExit(), ""), (StopIteration(5), ""), (MemoryError(), ""),
    (RecursionError("too deep"), "too deep"), (Unspeakable(), "cannot be read"), (asyncio.CancelledError("me"), "me"),
    (ValueError("half a pair \udcff and \0"), "half a pair"), (ValueError("x" * 1_000_000), "characters left out"),
    (ExceptionGroup("several", [ValueError("one"), OSError("two")]), "several"), (StopAsyncIteration(), ""),
]  # fmt: skip


@pytest.mark.parametrize(("error", "words"), ODD_ENDS, ids=lambda value: type(value).__name__)
async def test_whatever_a_coroutine_raises_is_the_failure_of_its_step(
    engine: Engine, error: BaseException, words: str
) -> None:
    async def work() -> None:
        raise error

    task = await engine.execute_one(work)

    assert task.status == "failed"
    assert words in str(task.error)


@pytest.mark.parametrize(
    ("error", "words"), [*ODD_ENDS, (KeyboardInterrupt("stop"), "stop")], ids=lambda value: type(value).__name__
)
async def test_whatever_a_thread_raises_is_the_failure_of_its_step(
    engine: Engine, error: BaseException, words: str
) -> None:
    def work() -> None:
        raise error

    task = await engine.execute_one(work)

    assert (task.status, task.error_type) == ("failed", type(error).__name__)
    assert words in str(task.error)


async def test_a_coroutine_function_that_fails_when_it_is_called_fails_its_step(engine: Engine) -> None:
    class Odd:
        def __call__(self) -> Any:
            raise TypeError("wrong arguments")

    class OddAsync(Odd):
        async def __call__(self) -> Any:
            raise TypeError("wrong arguments")

    for odd in (Odd(), OddAsync()):
        task = await engine.execute_one(odd)
        assert (task.status, task.error) == ("failed", "wrong arguments")


async def test_a_result_whose_own_methods_fail_fails_its_step(engine: Engine) -> None:
    class Lazy(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("the connection is closed")

    async def fetch() -> Any:
        return Lazy(a=1)

    for fetching in (fetch, lambda: Lazy(a=1)):
        task = await engine.execute_one(fetching)
        assert task.status == "failed"


async def test_a_keyboard_interrupt_inside_a_coroutine_ends_the_program_and_the_run_can_go_on(tmp_path: Path) -> None:
    """Somebody pressed Ctrl-C while the step ran on the loop: it is no failure of the step."""
    clock = FakeClock()
    engine = Engine(Ledger(open_store(str(tmp_path / "tasks.db")), actor="tester", clock=clock), clock)
    run_id = engine.new(TaskDraft("a", max_retries=0))

    async def interrupted() -> None:
        raise KeyboardInterrupt

    def program() -> None:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(engine.execute(run_id, {"a": interrupted}, grace_s=0.05))

    await asyncio.to_thread(program)
    assert engine.task(run_id, "a").status in ("pending", "in_progress")
    assert (await engine.execute(run_id, {"a": one})).status == "completed"
    assert engine.task(run_id, "a").tries == 0


# ----------------------------------------------------------------------------------------------------------- interruptions


async def interrupted(engine: Engine, run_id: int, functions: dict[str, Any], began: asyncio.Event, **options: Any) -> None:
    """Execute, and cancel the execution once `began` is set."""
    execution = asyncio.create_task(engine.execute(run_id, functions, **options))
    await asyncio.wait_for(began.wait(), SOON_S)
    execution.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(execution, SOON_S)


async def test_an_interrupted_coroutine_is_given_back_and_costs_no_try(engine: Engine) -> None:
    began, run_id = asyncio.Event(), engine.new(TaskDraft("a"), TaskDraft("b", max_retries=0), TaskDraft("c"))

    async def waiting() -> None:
        began.set()
        await asyncio.Event().wait()

    await interrupted(engine, run_id, {"a": one, "b": waiting, "c": one}, began)

    task = engine.task(run_id, "b")
    assert (engine.task(run_id, "a").status, task.status, task.tries, task.losses) == ("completed", "pending", 0, 0)
    assert [attempt.outcome for attempt in engine.attempts(run_id, "b")] == ["released"]
    assert engine.run(run_id).worker_id is None
    assert (await engine.execute(run_id, {"a": one, "b": one, "c": one})).status == "completed"


async def test_an_interrupted_coroutine_that_a_lambda_returned_is_given_back_too(engine: Engine) -> None:
    """It did not finish: recorded as completed, its work would be lost for ever."""
    began, run_id = asyncio.Event(), engine.new(TaskDraft("a", max_retries=0))

    async def waiting() -> str:
        began.set()
        await asyncio.Event().wait()
        return "done"

    await interrupted(engine, run_id, {"a": lambda: waiting()}, began)

    assert (engine.task(run_id, "a").status, engine.task(run_id, "a").tries) == ("pending", 0)


async def test_a_coroutine_that_a_lambda_returned_and_whose_time_is_up_has_timed_out(engine: Engine) -> None:
    async def waiting() -> None:
        await asyncio.Event().wait()

    task = await engine.execute_one(lambda: waiting(), timeout_ms=20)

    assert (task.status, task.error_type) == ("failed", "TimeoutError")


async def test_a_thread_that_ends_during_the_grace_time_is_recorded(engine: Engine, gate: threading.Event) -> None:
    began, run_id = asyncio.Event(), engine.new(TaskDraft("a"), TaskDraft("b"))
    loop = asyncio.get_running_loop()

    def saving(ctx: Any) -> str:
        loop.call_soon_threadsafe(began.set)
        while not ctx.cancelled:
            time.sleep(0.001)
        return "saved"

    await interrupted(engine, run_id, {"a": saving, "b": one}, began, grace_s=SOON_S)

    assert (engine.task(run_id, "a").output, engine.task(run_id, "b").status) == ('"saved"', "pending")


async def test_a_thread_that_goes_on_after_the_grace_time_is_given_back_and_named(
    engine: Engine, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    began, run_id = asyncio.Event(), engine.new(TaskDraft("a", max_retries=0))
    loop = asyncio.get_running_loop()

    def hanging() -> str:
        loop.call_soon_threadsafe(began.set)
        gate.wait(SOON_S)
        return "too late"

    await interrupted(engine, run_id, {"a": hanging}, began, grace_s=0.02)

    assert (engine.task(run_id, "a").status, engine.run(run_id).worker_id) == ("pending", None)
    assert "left without waiting for a" in caplog.text


async def test_an_error_of_a_step_during_an_interruption_is_not_lost(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A real error, not the interruption itself: it stands in the history or at least in the log."""
    began, run_id = asyncio.Event(), engine.new(TaskDraft("a", max_retries=0))

    async def cleaning_up() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("the disk is full")

    await interrupted(engine, run_id, {"a": cleaning_up}, began)

    assert "the disk is full" in f"{engine.attempts(run_id, 'a')} {caplog.text}"


async def test_an_interruption_during_a_back_off_leaves_at_once(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    slept, run_id = asyncio.Event(), engine.new(TaskDraft("a", max_retries=3))

    async def failing() -> None:
        raise ValueError("again")

    async def sleep(seconds: float) -> None:
        slept.set()
        await asyncio.Event().wait()

    plan = Plan({"a": step("a", failing)}, order=["a"], sleep=sleep)
    execution = asyncio.create_task(Runner(engine.ledger, run_id, plan).execute())
    await asyncio.wait_for(slept.wait(), SOON_S)
    execution.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(execution, SOON_S)

    task = engine.task(run_id, "a")
    assert (task.status, task.tries) == ("pending", 1)
    assert task.not_before is not None
    assert "left without waiting" not in caplog.text


@pytest.mark.parametrize("turns", range(8))
async def test_an_execution_that_is_cancelled_early_leaves_no_coroutine_behind(engine: Engine, turns: int) -> None:
    """A coroutine that is made and never awaited is a warning on the user's screen, and here an error."""
    run_id = engine.new(TaskDraft("a"), TaskDraft("b"))
    execution = asyncio.create_task(engine.execute(run_id, {"a": one, "b": one}))
    for _ in range(turns):
        await asyncio.sleep(0)
    execution.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await execution
    gc.collect()

    assert (await engine.execute(run_id, {"a": one, "b": one})).status == "completed"


async def test_an_error_of_the_watcher_leaves_no_coroutine_behind(engine: Engine) -> None:
    run_id = engine.new(TaskDraft("a"))

    def broken(run: Run) -> None:
        raise RuntimeError("the display is gone")

    with pytest.raises(RuntimeError, match="display"):
        await engine.execute(run_id, {"a": one}, watch=broken)
    gc.collect()

    assert (await engine.execute(run_id, {"a": one})).status == "completed"


# ------------------------------------------------------------------------------------------------- retries, as rows


async def test_nobody_sleeps_before_the_next_time_is_stored(engine: Engine) -> None:
    """DESIGN §5.7: a process that dies while it sleeps leaves the time behind."""
    seen: list[tuple[object, ...]] = []
    run_id = engine.new(TaskDraft("a", max_retries=1))
    calls = []

    async def failing_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("again")

    async def sleep(seconds: float) -> None:
        task = engine.task(run_id, "a")
        seen.append((task.status, task.tries, task.not_before is not None))
        await engine.clock.sleep(seconds)

    plan = Plan({"a": step("a", failing_once)}, order=["a"], sleep=sleep)
    await asyncio.wait_for(Runner(engine.ledger, run_id, plan).execute(), SOON_S)

    assert seen == [("pending", 1, True)]


async def test_a_clock_that_is_set_back_delays_and_does_not_duplicate(engine: Engine) -> None:
    calls: list[int] = []
    run_id = engine.new(TaskDraft("a", max_retries=2))

    async def failing_twice() -> None:
        calls.append(engine.clock.now())
        if len(calls) == 1:
            engine.clock.set_wall(engine.clock.now() - 3_600_000_000)
        if len(calls) < 3:
            raise ValueError("again")

    run = await engine.execute(run_id, {"a": failing_twice})

    assert (run.status, len(calls)) == ("completed", 3)
    assert max(engine.clock.sleeps) <= 60


async def test_a_clock_that_is_set_forward_makes_the_retry_due(engine: Engine) -> None:
    run_id = engine.new(TaskDraft("a", max_retries=1, retry='{"delay":86400}'))
    calls = []

    async def failing_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            engine.clock.set_wall(engine.clock.now() - 10)
            raise ValueError("again")

    async def sleep(seconds: float) -> None:
        assert seconds <= 60
        engine.clock.advance(90_000)

    plan = Plan({"a": step("a", failing_once)}, order=["a"], sleep=sleep)
    run = await asyncio.wait_for(Runner(engine.ledger, run_id, plan).execute(), SOON_S)

    assert run.status == "completed"


# ------------------------------------------------------------------------------------------ the watcher, threads, others


async def test_the_watcher_is_told_after_every_commit(engine: Engine) -> None:
    run_id, seen = engine.new(TaskDraft("a"), TaskDraft("b")), []

    await engine.execute(run_id, {"a": one, "b": one}, watch=lambda run: seen.append(run.n_completed))

    assert seen[-1] == 2
    assert seen == sorted(seen)


def test_a_thread_that_ends_its_work_after_the_close_ends_too(gate: threading.Event) -> None:
    """The last step of a run: its execution is over before the thread is idle again."""
    threads = Threads("tasktrail-test")
    threads.run(lambda: threads.close())
    for thread in threading.enumerate():
        if thread.name.startswith("tasktrail-test"):
            thread.join(SOON_S)

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("tasktrail-test")] == []


_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


async def test_the_loop_goes_on_while_another_process_writes_for_long(engine: Engine) -> None:
    """For more than a second nothing can be stored; an asynchronous program around the runner must not notice."""
    run_id, gaps = engine.new(TaskDraft("a"), TaskDraft("b")), [0.0]
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(engine.ledger.store.path)],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    async def ticking() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    async def let_go() -> None:
        await asyncio.sleep(1.2)
        await asyncio.to_thread(holder.communicate, "\n")

    async def held() -> str:
        assert holder.stdout is not None
        await asyncio.to_thread(holder.stdout.readline)
        others.append(asyncio.create_task(let_go()))
        return "kept"

    others = [asyncio.create_task(ticking())]
    killer = threading.Timer(20, holder.kill)
    killer.start()
    try:
        steps = {key: step(key, function) for key, function in (("a", held), ("b", one))}
        run = await Runner(engine.ledger, run_id, Plan(steps, order=["a", "b"])).execute()
        await others[1]
    finally:
        killer.cancel()
        holder.kill()
        holder.communicate()
        others[0].cancel()

    assert (run.status, engine.task(run_id, "a").output) == ("completed", '"kept"')
    assert max(gaps) < 0.5, f"the event loop stood still for {max(gaps):.1f} s"


async def test_an_interruption_while_another_process_writes_loses_no_answer(engine: Engine) -> None:
    run_id, ended = engine.new(TaskDraft("a"), TaskDraft("b")), asyncio.Event()
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(engine.ledger.store.path)],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    async def held() -> str:
        assert holder.stdout is not None
        await asyncio.to_thread(holder.stdout.readline)
        ended.set()
        return "kept"

    killer = threading.Timer(20, holder.kill)
    killer.start()
    try:
        execution = asyncio.create_task(engine.execute(run_id, {"a": held, "b": one}))
        await asyncio.wait_for(ended.wait(), SOON_S)
        for _ in range(20):
            await asyncio.sleep(0.01)
        execution.cancel()
        asyncio.get_running_loop().call_later(0.2, holder.kill)
        with contextlib.suppress(asyncio.CancelledError):
            await execution
    finally:
        killer.cancel()
        holder.kill()
        holder.communicate()

    assert engine.task(run_id, "a").output == '"kept"'
    assert (engine.run(run_id).worker_id, engine.task(run_id, "b").status in ("pending", "completed")) == (None, True)
    assert (await engine.execute(run_id, {"a": one, "b": one})).status == "completed"


async def test_nothing_is_logged_when_all_goes_well(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    run_id = engine.new(TaskDraft("a"), TaskDraft("b"))

    await engine.execute(run_id, {"a": one, "b": lambda a: a})

    assert caplog.text == ""
