"""Steps whose time is up: coroutines are cancelled, threads abandoned and named, and late answers void."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any

import pytest

from tasktrail.model.draft import TaskDraft
from tests.engine.executing import SOON_S, Engine, one, until


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
        await until(lambda: "late" in engine.verbs(run_id))
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
    await until(lambda: "late" in engine.verbs(task.run_id), 1)

    assert "late" in engine.verbs(task.run_id)
    assert engine.task(task.run_id, "a").status == "failed"


async def test_a_late_answer_does_not_answer_for_the_next_attempt(engine: Engine, gate: threading.Event) -> None:
    """The thread of attempt 1 answers while attempt 2 runs: that one's own answer counts."""
    calls: list[int] = []

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
