"""Doing finished steps again: failed ones only, or from a step on, as further attempts of the same history."""

from __future__ import annotations

import asyncio

import pytest

from tasktrail.dag import DAGRunStatus, ParallelStatefulDAGRunner, StatefulDAGRunner
from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import Held
from tests.dag.conftest import NewRunner, Watched, make
from tests.dag.executors import Failing, Recording


def statuses(ledger: Ledger, runner: StatefulDAGRunner) -> dict[object, object]:
    """Return the status of each step, as it is stored."""
    rows = ledger.store.read(lambda tx: tx.rows("states_of_run", run_id=runner._record.row_id))
    return {row[1]: row[2] for row in rows}


def registered(runner: StatefulDAGRunner, names: str = "abc") -> Recording:
    """Register a step for each letter."""
    record = Recording()
    for name in names:
        runner.register_step(name, record.step(name))
    return record


@pytest.mark.requirement("BL-077", "BL-111")
async def test_a_retry_does_the_failed_and_the_unfinished_alone(runner: StatefulDAGRunner) -> None:
    record = Recording()
    runner.register_step("a", record.step("a"))
    runner.register_step("b", Failing(1, result="b"), max_retries=0)
    runner.register_step("c", record.step("c"))
    await runner.execute()

    run = await runner.retry()

    assert (record.ran, run.status) == (["a", "c"], DAGRunStatus.SUCCESS)
    assert run.steps["b"].metadata["attempts"] == 2
    assert len(run.steps["b"].metadata["error_history"]) == 1


@pytest.mark.requirement("BL-111")
async def test_from_a_step_on_all_that_come_after_it_are_done_again(runner: StatefulDAGRunner) -> None:
    record = registered(runner)
    await runner.execute()

    run = await runner.retry("b")

    assert (record.ran, run.status) == (["a", "b", "c", "b", "c"], DAGRunStatus.SUCCESS)
    assert [step.metadata["attempts"] for step in run.steps.values()] == [1, 2, 2]
    assert run.metadata["resume_count"] == 1


@pytest.mark.requirement("BL-111")
async def test_in_parallel_from_a_step_on_all_that_need_it_are_done_again(parallel: ParallelStatefulDAGRunner) -> None:
    record = Recording()
    for name, needs in (("a", ""), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "cd")):
        parallel.register_step(name, record.step(name), dependencies=list(needs))
    await parallel.execute()
    record.ran.clear()

    run = await parallel.retry("b")

    assert (record.ran, run.status) == (["b", "c", "e"], DAGRunStatus.SUCCESS)


async def test_results_of_what_is_not_done_again_are_handed_over(runner: StatefulDAGRunner) -> None:
    runner.register_step("a", Failing(0, result=41))
    runner.register_step("b", lambda a: a + 1)
    await runner.execute()

    assert (await runner.retry("b")).steps["b"].result == 42


async def test_a_step_that_fails_when_it_is_done_again_has_failed(runner: StatefulDAGRunner) -> None:
    good = [True]

    async def fickle() -> str:
        if not good.pop():
            raise ValueError("not again")
        return "once"

    runner.register_step("a", fickle, max_retries=0)
    runner.register_step("b", Failing(0))
    await runner.execute()
    good.append(False)

    run = await runner.retry("a")

    assert [step.status.value for step in run.steps.values()] == ["failed", "pending"]  # it did start once
    assert run.status is DAGRunStatus.FAILED


async def test_an_unknown_step_is_an_error_and_nothing_is_taken_back(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    record = registered(runner)
    await runner.execute()

    with pytest.raises(ValueError, match="ghost"):
        await runner.retry("ghost")

    assert record.ran == ["a", "b", "c"]
    assert set(statuses(ledger, runner).values()) == {"completed"}


async def test_where_code_is_missing_nothing_is_taken_back(new_runner: NewRunner, ledger: Ledger) -> None:
    runner = new_runner()
    registered(runner)
    await runner.execute()
    again = new_runner(run_id=runner.run_id)
    record = registered(again, "ab")

    with pytest.raises(ValueError, match="Step c not registered"):
        await again.retry("b")

    assert record.ran == []
    assert set(statuses(ledger, runner).values()) == {"completed"}


async def test_of_a_run_that_somebody_executes_nothing_is_taken_back(new_runner: NewRunner, ledger: Ledger) -> None:
    began, runner = asyncio.Event(), new_runner()
    record = registered(runner, "a")

    async def waiting() -> None:
        began.set()
        await asyncio.Event().wait()

    runner.register_step("b", waiting)
    execution = asyncio.create_task(runner.execute())
    await began.wait()
    other = new_runner(run_id=runner.run_id)
    registered(other, "ab")
    before = statuses(ledger, runner)

    with pytest.raises(Held):
        await other.retry("a")

    assert (statuses(ledger, runner), record.ran) == (before, ["a"])
    await runner.cancel()
    await asyncio.wait_for(execution, 5)


async def test_a_run_between_two_tries_is_executed_by_somebody_too(new_runner: NewRunner, ledger: Ledger) -> None:
    """No step is in progress just then, but the process that waits for the next try owns the run."""
    waits, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        waits.set()
        await go.wait()

    runner = make(StatefulDAGRunner, Ledger(ledger.store, actor="tester", clock=Watched(hold)), "etl")
    registered(runner, "a")
    runner.register_step("b", Failing(1), max_retries=1)
    execution = asyncio.create_task(runner.execute())
    await asyncio.wait_for(waits.wait(), 30)
    other = new_runner(run_id=runner.run_id)
    registered(other, "ab")

    with pytest.raises(Held):
        await other.retry("a")

    assert statuses(ledger, runner) == {"a": "completed", "b": "pending"}
    go.set()
    assert (await asyncio.wait_for(execution, 30)).status is DAGRunStatus.SUCCESS


async def test_in_parallel_steps_that_nobody_needs_are_done_again_alone(parallel: ParallelStatefulDAGRunner) -> None:
    record = registered(parallel)
    await parallel.execute()

    await parallel.retry("b")

    assert sorted(record.ran) == ["a", "b", "b", "c"]


async def test_a_cancelled_run_can_be_retried_from_a_step(runner: StatefulDAGRunner) -> None:
    record = registered(runner)
    await runner.execute(step_order=["a", "b"])
    await runner.cancel()

    run = await runner.retry("b")

    assert record.ran[:2] == ["a", "b"]
    assert record.ran[2:] in (["b"], ["b", "c"])
    assert run.is_complete()
