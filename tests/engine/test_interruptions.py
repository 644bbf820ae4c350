"""An execution that is cancelled: what ended is recorded, what did not is given back, nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from typing import Any

import pytest

from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import step
from tasktrail.model.draft import TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask
from tasktrail.model.run import Run
from tests.engine.executing import SOON_S, Engine, one, until


async def interrupted(
    engine: Engine, run_id: int, functions: dict[str, Any], began: asyncio.Event, **options: Any
) -> None:
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


async def test_an_interruption_during_a_back_off_leaves_at_once(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept, run_id = asyncio.Event(), engine.new(TaskDraft("a", max_retries=3))

    async def failing() -> None:
        raise ValueError("again")

    async def sleep(seconds: float) -> None:
        slept.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(engine.clock, "sleep", sleep)
    plan = Plan({"a": step("a", failing)}, order=["a"])
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


async def test_a_cancelled_run_does_not_wait_for_ever_for_a_thread_that_hangs(
    engine: Engine, gate: threading.Event
) -> None:
    began, run_id = asyncio.Event(), engine.new(TaskDraft("a"), TaskDraft("b"))
    loop = asyncio.get_running_loop()

    def hanging() -> str:
        loop.call_soon_threadsafe(began.set)
        gate.wait(SOON_S)
        return "too late"

    steps = {"a": step("a", hanging), "b": step("b", one)}
    runner = Runner(engine.ledger, run_id, Plan(steps, order=["a", "b"], grace_s=0.02))
    execution = asyncio.create_task(runner.execute())
    await asyncio.wait_for(began.wait(), SOON_S)
    engine.ledger.cancel_run(run_id)
    runner.cancel()

    run = await asyncio.wait_for(execution, SOON_S)

    assert (run.status, run.worker_id, engine.task(run_id, "b").attempts) == ("cancelled", None, 0)
    gate.set()
    await until(lambda: "late" in engine.verbs(run_id))
    assert (engine.task(run_id, "a").status, engine.task(run_id, "a").output) == ("cancelled", None)
    assert "late" in engine.verbs(run_id)


async def test_a_thread_whose_step_was_ended_by_hand_does_not_hold_up_the_run(engine: Engine, gate: threading.Event):
    run_id = engine.new(TaskDraft("deaf"), TaskDraft("next", needs=(Need("deaf"),)))
    functions = {"deaf": gate.wait, "next": lambda: 2}
    executing = asyncio.create_task(engine.execute(run_id, functions, order=None, grace_s=0.01))
    await until(lambda: engine.task(run_id, "deaf").status == "in_progress")

    engine.ledger.ask(engine.task(run_id, "deaf").id, Ask("skip"))

    assert (await executing).status == "completed"
