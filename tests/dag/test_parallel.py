"""The parallel runner: needs, how many at the same time, and who is reached by a failure."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import DAGRunStatus, DAGRunStore, DAGStepStatus, ParallelStatefulDAGRunner
from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import TaskDraft
from tests.dag.conftest import NewParallelRunner, NewRunner, Watched
from tests.dag.executors import Concurrency, Failing, Recording
from tests.engine.executing import until


def words(runner: ParallelStatefulDAGRunner) -> dict[str, str]:
    """Return each step's word."""
    return {key: step.status.value for key, step in runner.dag_run.steps.items()}


def diamond(runner: ParallelStatefulDAGRunner) -> Recording:
    """Register a -> b, c -> d."""
    record = Recording()
    for name, needs in (("a", ""), ("b", "a"), ("c", "a"), ("d", "bc")):
        runner.register_step(name, record.step(name), dependencies=list(needs))
    return record


# --------------------------------------------------------------------------------------------------------------- needs


@pytest.mark.requirement("BL-125")
async def test_a_step_starts_when_all_that_it_needs_is_done(parallel: ParallelStatefulDAGRunner) -> None:
    record = diamond(parallel)

    run = await parallel.execute()

    assert (record.ran[0], set(record.ran[1:3]), record.ran[3]) == ("a", {"b", "c"}, "d")
    assert run.status is DAGRunStatus.SUCCESS


def test_the_graph_can_be_asked_for(parallel: ParallelStatefulDAGRunner) -> None:
    diamond(parallel)

    assert parallel.get_dependency_graph() == {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    assert parallel.validate_dependencies() is True


async def test_steps_may_be_registered_before_what_they_need(parallel: ParallelStatefulDAGRunner) -> None:
    record = Recording()
    parallel.register_step("b", record.step("b"), dependencies=["a"])
    parallel.register_step("a", record.step("a"))

    await parallel.execute()

    assert record.ran == ["a", "b"]


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"a": ["b"], "b": ["a"]}, "Circular dependency: a -> b -> a"),
        ({"a": ["c"], "b": ["a"], "c": ["b"]}, "Circular dependency: a -> c -> b -> a"),
        ({"a": ["ghost"]}, "Step a depends on non-existent step ghost"),
        ({"a": ["a"]}, "a"),
    ],
)
async def test_a_graph_that_cannot_be_is_refused(
    parallel: ParallelStatefulDAGRunner, ledger: Ledger, needs: dict[str, list[str]], said: str
) -> None:
    record = Recording()
    for name, its in needs.items():
        parallel.register_step(name, record.step(name), dependencies=its)

    with pytest.raises(ValueError, match=said):
        parallel.validate_dependencies()
    with pytest.raises(ValueError, match=said):
        await parallel.execute()

    assert record.ran == []
    assert ledger.store.read(lambda tx: tx.run(parallel._record.row_id)).n_tasks == 0


def test_a_need_that_is_named_twice_is_refused_or_counted_once(parallel: ParallelStatefulDAGRunner) -> None:
    record = Recording()
    parallel.register_step("a", record.step("a"))
    parallel.register_step("b", record.step("b"), dependencies=["a", "a"], optional_dependencies=["a"])

    try:
        run = asyncio.run(parallel.execute())
    except ValueError as error:
        assert "a" in str(error)  # either is right  # noqa: PT017  # either is right
    else:
        assert (record.ran, run.status) == (["a", "b"], DAGRunStatus.SUCCESS)


async def test_a_chain_of_needs_of_1000_steps(parallel: ParallelStatefulDAGRunner) -> None:
    async def plus_one(**_: Any) -> None:
        return None

    for number in range(1000):
        needs = [f"s{number - 1}"] if number else []
        parallel.register_step(f"s{number}", plus_one, dependencies=needs)

    run = await parallel.execute()

    assert run.status is DAGRunStatus.SUCCESS
    assert run.get_execution_summary()["completed_steps"] == 1000


@pytest.mark.requirement("BL-125")
async def test_a_fan_out_of_10_000_and_the_way_back_together(new_parallel_runner: NewParallelRunner) -> None:
    runner, count = new_parallel_runner(max_concurrent_steps=50), Concurrency()
    runner.register_step("first", count.step)
    for number in range(10_000):
        runner.register_step(f"s{number}", count.step, dependencies=["first"])
    runner.register_step("last", lambda ctx: len(ctx.results), dependencies=[f"s{n}" for n in range(10_000)])

    run = await runner.execute()

    assert (run.status, run.steps["last"].result, count.most) == (DAGRunStatus.SUCCESS, 10_000, 50)


# -------------------------------------------------------------------------------------------- how many at the same time


@pytest.mark.requirement("BL-125")
@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_no_more_steps_run_at_once_than_allowed(new_parallel_runner: NewParallelRunner, limit: int) -> None:
    runner, count = new_parallel_runner(max_concurrent_steps=limit), Concurrency()
    for number in range(12):
        runner.register_step(f"s{number}", count.step)

    await runner.execute()

    assert count.most == limit


@pytest.mark.requirement("BL-125")
async def test_five_at_once_unless_said(parallel: ParallelStatefulDAGRunner) -> None:
    count = Concurrency()
    for number in range(12):
        parallel.register_step(f"s{number}", count.step)

    await parallel.execute()

    assert count.most == 5


@pytest.mark.parametrize(
    ("toml", "environment", "limit"), [("", "", 5), ("3", "", 3), ("3", "7", 7)], ids=["default", "file", "environment"]
)
def test_a_limit_that_the_code_does_not_name_is_the_setting(
    new_parallel_runner: NewParallelRunner, monkeypatch: pytest.MonkeyPatch, toml: str, environment: str, limit: int
) -> None:
    Path("tasktrail.toml").write_text(f"[run]\nmax_parallel = {toml}\n" if toml else "")
    monkeypatch.setenv("TASKTRAIL_MAX_PARALLEL", environment)

    assert new_parallel_runner().max_concurrent_steps == limit
    assert new_parallel_runner(max_concurrent_steps=2).max_concurrent_steps == 2


def test_with_run_files_the_setting_is_that_of_their_project(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "tasktrail.toml").write_text("[run]\nmax_parallel = 9\n")

    assert ParallelStatefulDAGRunner("etl", DAGRunStore(tmp_path / "project" / "runs")).max_concurrent_steps == 9


def test_one_after_another_is_one_at_once(new_runner: NewRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKTRAIL_MAX_PARALLEL", "7")

    assert new_runner().max_concurrent_steps == 1


@pytest.mark.parametrize("limit", [0, -1])
def test_at_least_one_must_be_allowed(new_parallel_runner: NewParallelRunner, limit: int) -> None:
    with pytest.raises(ValueError, match="max_concurrent_steps to be at least 1"):
        new_parallel_runner(max_concurrent_steps=limit)


@pytest.mark.requirement("BL-125")
async def test_steps_on_threads_run_at_the_same_time(parallel: ParallelStatefulDAGRunner) -> None:
    meeting = threading.Barrier(3)
    for name in "abc":
        parallel.register_step(name, lambda: meeting.wait(10) >= 0)

    assert (await parallel.execute()).status is DAGRunStatus.SUCCESS


async def test_a_back_off_does_not_use_up_a_place(new_parallel_runner: NewParallelRunner, ledger: Ledger) -> None:
    record = Recording()
    slept_before: list[list[str]] = []

    async def look() -> None:
        await until(lambda: record.ran != [])
        slept_before.append(list(record.ran))

    ledger.clock = Watched(look)
    runner = new_parallel_runner(max_concurrent_steps=1)
    runner.register_step("a", Failing(1, result="a"), retry_delay=60)
    runner.register_step("b", record.step("b"))
    run = await runner.execute()

    assert (slept_before, run.status) == ([["b"]], DAGRunStatus.SUCCESS)


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.requirement("BL-080", "BL-125")
async def test_a_critical_failure_stops_what_has_not_started_and_lets_finish_what_runs(
    parallel: ParallelStatefulDAGRunner,
) -> None:
    failed, record = asyncio.Event(), Recording()

    async def fail() -> None:
        failed.set()
        raise ValueError("no route")

    async def slow() -> str:
        await failed.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        return "finished"

    parallel.register_step("a", fail, max_retries=0)
    parallel.register_step("b", slow)
    parallel.register_step("c", record.step("c"), dependencies=["b"])

    run = await parallel.execute()

    assert words(parallel) == {"a": "failed", "b": "success", "c": "skipped"}
    assert (run.status, run.steps["b"].result, record.ran) == (DAGRunStatus.FAILED, "finished", [])
    assert "Critical step 'a' failed" in run.metadata["failure_reason"]


@pytest.mark.requirement("BL-080")
async def test_a_non_critical_failure_reaches_those_who_need_it_and_nobody_else(
    parallel: ParallelStatefulDAGRunner,
) -> None:
    record = Recording()
    parallel.register_step("a", Failing(), max_retries=0, critical=False)
    parallel.register_step("b", record.step("b"), dependencies=["a"])
    parallel.register_step("c", record.step("c"), dependencies=["b"])
    parallel.register_step("d", record.step("d"))

    run = await parallel.execute()

    assert words(parallel) == {"a": "failed", "b": "skipped", "c": "skipped", "d": "success"}
    assert (run.status, record.ran) == (DAGRunStatus.PARTIAL_SUCCESS, ["d"])
    assert "needs" in run.steps["b"].metadata["skip_reason"]


async def test_an_optional_need_that_failed_is_met_with_none(parallel: ParallelStatefulDAGRunner) -> None:
    parallel.register_step("a", Failing(), max_retries=0, critical=False)
    parallel.register_step("b", lambda a: {"got": a}, optional_dependencies=["a"])

    run = await parallel.execute()

    assert (run.status, run.steps["b"].result) == (DAGRunStatus.PARTIAL_SUCCESS, {"got": None})


async def test_an_optional_need_that_cannot_be_reached_any_more_is_met_with_none(
    parallel: ParallelStatefulDAGRunner,
) -> None:
    parallel.register_step("a", Failing(), max_retries=0, critical=False)
    parallel.register_step("b", Failing(0), dependencies=["a"])
    parallel.register_step("c", lambda b: {"got": b}, optional_dependencies=["b"])

    assert (await parallel.execute()).steps["c"].result == {"got": None}


@pytest.mark.requirement("BL-075")
async def test_a_resume_reaches_what_was_unreachable(new_parallel_runner: NewParallelRunner) -> None:
    record = Recording()
    first = new_parallel_runner()
    first.register_step("a", record.failing_step("a"), max_retries=0, critical=False)
    first.register_step("b", record.step("b"), dependencies=["a"])
    first.register_step("c", record.step("c"))
    await first.execute()
    again = new_parallel_runner(run_id=first.run_id)
    again.register_step("a", record.step("a"))
    again.register_step("b", record.step("b"), dependencies=["a"])
    again.register_step("c", record.step("c"))

    run = await again.execute()

    assert (run.status, sorted(record.ran)) == (DAGRunStatus.SUCCESS, ["a", "a", "b", "c"])


async def test_retries_of_several_steps_at_once_each_keep_their_own_time(
    new_parallel_runner: NewParallelRunner,
) -> None:
    runner = new_parallel_runner()
    for name, delay in (("a", 1.0), ("b", 2.0), ("c", 0.5)):
        runner.register_step(name, Failing(2), retry_delay=delay)

    run = await runner.execute()

    assert run.status is DAGRunStatus.SUCCESS
    for name, delay in (("a", 1.0), ("b", 2.0), ("c", 0.5)):
        history = run.steps[name].metadata["error_history"]
        assert [entry["attempt"] for entry in history] == [1, 2]
        assert run.steps[name].end_time is not None
        assert (run.steps[name].end_time - run.start_time).total_seconds() >= 3 * delay  # type: ignore[operator]


async def test_a_finished_step_that_is_assigned_pending_is_executed_again(
    new_parallel_runner: NewParallelRunner,
) -> None:
    first = new_parallel_runner()
    record = diamond(first)
    await first.execute()
    again = new_parallel_runner(run_id=first.run_id)
    again.dag_run.steps["d"].status = DAGStepStatus.PENDING
    for name, needs in (("a", ""), ("b", "a"), ("c", "a"), ("d", "bc")):
        again.register_step(name, record.step(name), dependencies=list(needs))

    run = await again.execute()

    assert (record.ran[4:], run.status) == (["d"], DAGRunStatus.SUCCESS)


async def test_a_step_that_somebody_adds_to_a_running_run_does_not_break_it(
    parallel: ParallelStatefulDAGRunner, ledger: Ledger
) -> None:
    """This process has no code for it: it is left for whoever has."""
    record = Recording()

    async def meanwhile() -> None:
        await asyncio.to_thread(ledger.add_tasks, parallel._record.row_id, [TaskDraft("x", max_retries=0)])

    parallel.register_step("a", meanwhile)
    parallel.register_step("b", record.step("b"), dependencies=["a"])

    run = await parallel.execute()

    assert record.ran == ["b"]
    assert (run.steps["x"].status, run.metadata.get("errors")) == (DAGStepStatus.PENDING, None)
