"""Executors that do not do as they should: what they say counts as much as that of any step, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tasktrail.engine import executors
from tasktrail.engine.executors import Executor, ending, placed
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import step
from tasktrail.executors import Call, PlainContext, StepLost
from tasktrail.model.draft import TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.task import Task
from tests.engine.executing import SOON_S, Engine

CALL = Call(
    "m:f", PlainContext("r1", "a", "r1:a", 1, "1" * 32, "2" * 16, "t" * 32, "00-1-2-01"), (), {}, False, None, print
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_ENDS_WITHIN_S", 0.05)


async def executed(engine: Engine, executor: Executor, **options: Any) -> Task:
    run_id = engine.new(TaskDraft("a", **{"max_retries": 0, **options}))
    plan = Plan({"a": placed(step("a", lambda: None), ending(executor), "m:f")})
    await asyncio.wait_for(Runner(engine.ledger, run_id, plan).execute(), SOON_S)
    return engine.task(run_id, "a")


async def test_one_that_does_not_stop_is_left_alone_when_its_time_is_up(
    engine: Engine, caplog: pytest.LogCaptureFixture
):
    calm = asyncio.Event()
    asyncio.get_running_loop().call_later(SOON_S / 2, calm.set)  # where it is waited for, the test ends nevertheless

    async def stubborn(call: Call) -> object:
        while True:
            try:
                await calm.wait()
                raise OSError("nobody hears this")
            except asyncio.CancelledError:
                pass

    task = await executed(engine, stubborn, timeout_ms=20)
    calm.set()

    assert (task.status, task.error_type) == ("failed", "TimeoutError")
    assert "the executor of step a does not stop" in caplog.text


async def test_what_is_answered_after_the_time_is_up_completes_nothing(engine: Engine):
    async def late(call: Call) -> object:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "late"

    task = await executed(engine, late, timeout_ms=20)

    assert (task.status, task.error_type, task.output) == ("failed", "TimeoutError", None)


async def test_an_error_after_the_time_is_up_is_a_time_out_still(engine: Engine):
    async def late(call: Call) -> object:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise StepLost("I stopped it")

    task = await executed(engine, late, timeout_ms=20)

    assert (task.status, task.error_type, task.losses) == ("failed", "TimeoutError", 0)


async def test_three_losses_are_the_last(engine: Engine):
    async def losing(call: Call) -> object:
        raise StepLost(f"node {call.context.attempt} went away")

    task = await executed(engine, losing, max_retries=9)

    assert (task.status, task.losses, task.error) == ("failed", 3, "node 3 went away")


async def test_one_that_cancels_itself_has_failed(engine: Engine):
    """Nobody told it to end, so that is no end that was asked for."""

    async def confused(call: Call) -> object:
        raise asyncio.CancelledError

    task = await executed(engine, confused)

    assert (task.status, task.error_type) == ("failed", "CancelledError")


async def test_a_second_cancellation_does_not_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(executors, "_ENDS_WITHIN_S", 60)
    told, calm = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_later(SOON_S / 2, calm.set)

    async def stubborn(call: Call) -> None:
        while not calm.is_set():
            try:
                await calm.wait()
            except asyncio.CancelledError:
                told.set()

    working = asyncio.create_task(ending(stubborn)(CALL))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait_for(told.wait(), SOON_S)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, SOON_S)
    assert not calm.is_set()
    calm.set()


async def test_what_is_answered_to_an_interruption_is_kept(engine: Engine):
    begun = asyncio.Event()

    async def quick(call: Call) -> object:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "in time"

    running = asyncio.create_task(executed(engine, quick))
    await asyncio.wait_for(begun.wait(), SOON_S)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert engine.task(1, "a").output == '"in time"'


@pytest.mark.parametrize(("function", "results"), [(lambda: None, {}), (lambda ctx: None, {"before": 1})])
async def test_results_go_along_where_the_function_can_ask_for_them(
    engine: Engine, function: Callable[..., Any], results: dict[str, object]
):
    async def executor(call: Call) -> object:
        return dict(call.context.results)

    run_id = engine.new(TaskDraft("before"), TaskDraft("a", needs=(Need("before"),)))
    steps = {"before": step("before", lambda: 1), "a": placed(step("a", function), ending(executor), "m:f")}
    await asyncio.wait_for(Runner(engine.ledger, run_id, Plan(steps)).execute(), SOON_S)

    assert json.loads(engine.task(run_id, "a").output or "") == results
