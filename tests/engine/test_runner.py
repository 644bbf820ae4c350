"""The runner: whatever a step does, retries as rows, the watcher and the threads."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import step
from tasktrail.engine.threads import Threads
from tasktrail.model.draft import TaskDraft
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock
from tests.engine.executing import SOON_S, Engine, one

# ---------------------------------------------------------------------------------------------------- odd ends of steps


class Abort(BaseException):
    """Not an Exception: what `except Exception` lets through."""


class Unspeakable(Exception):
    """Its own text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


ODD_ENDS: list[tuple[BaseException, str]] = [
    (SystemExit(3), "3"), (Abort("enough"), "enough"), (GeneratorExit(), ""), (StopIteration(5), ""),
    (MemoryError(), ""), (RecursionError("too deep"), "too deep"), (Unspeakable(), "cannot be read"),
    (asyncio.CancelledError("me"), "me"), (ValueError("half a pair \udcff and \0"), "half a pair"),
    (ValueError("x" * 1_000_000), "characters left out"),
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


# ----------------------------------------------------------------------------------------------------- retries, as rows


async def test_nobody_sleeps_before_the_next_time_is_stored(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §5.7: a process that dies while it sleeps leaves the time behind."""
    seen: list[tuple[object, ...]] = []
    run_id = engine.new(TaskDraft("a", max_retries=1))
    calls = []

    async def failing_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("again")

    wait = engine.clock.sleep

    async def sleep(seconds: float) -> None:
        task = engine.task(run_id, "a")
        seen.append((task.status, task.tries, task.not_before is not None))
        await wait(seconds)

    monkeypatch.setattr(engine.clock, "sleep", sleep)
    plan = Plan({"a": step("a", failing_once)}, order=["a"])
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


async def test_a_clock_that_is_set_forward_makes_the_retry_due(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
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

    monkeypatch.setattr(engine.clock, "sleep", sleep)
    plan = Plan({"a": step("a", failing_once)}, order=["a"])
    run = await asyncio.wait_for(Runner(engine.ledger, run_id, plan).execute(), SOON_S)

    assert run.status == "completed"


# ------------------------------------------------------------------------------------------ the watcher and the threads


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


async def test_nothing_is_logged_when_all_goes_well(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    run_id = engine.new(TaskDraft("a"), TaskDraft("b"))

    await engine.execute(run_id, {"a": one, "b": lambda a: a})

    assert caplog.text == ""
