"""The sequential runner: registering, executing, retrying, resuming, and what it says of itself."""

from __future__ import annotations

import inspect
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from tasktrail.dag import DAGRunStatus, DAGStepStatus, RetryBackoffStrategy, StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine.ledger import Ledger
from tasktrail.model.run import Run
from tasktrail.testing import FakeClock
from tests.dag.conftest import NewRunner, Watched
from tests.dag.executors import Failing, Recording

START = datetime(2026, 1, 1, tzinfo=UTC)
"""Where the fake clock stands."""


async def one() -> int:
    return 1


# --------------------------------------------------------------------------------------------------------- registering


@pytest.mark.requirement("BL-071", "BL-089")
def test_register_step_has_the_documented_parameters_and_defaults() -> None:
    parameters = inspect.signature(StatefulDAGRunner.register_step).parameters
    runner = inspect.signature(StatefulDAGRunner).parameters

    assert list(parameters)[1:7] == ["step_id", "executor", "max_retries", "retry_delay", "retry_backoff", "critical"]
    assert (parameters["max_retries"].default, parameters["critical"].default) == (3, True)
    assert (runner["retry_delay"].default, runner["retry_backoff"].default) == (1.0, RetryBackoffStrategy.EXPONENTIAL)


@pytest.mark.requirement("BL-070", "BL-071")
async def test_a_step_that_the_run_has_keeps_its_stored_configuration(new_runner: NewRunner) -> None:
    first = new_runner("etl")
    first.register_step("fetch", Failing(), max_retries=1, critical=False)
    await first.execute()
    again = new_runner(run_id=first.run_id)
    fetch = Failing()
    again.register_step("fetch", fetch, max_retries=9, critical=True)

    run = await again.execute()

    assert (fetch.calls, run.steps["fetch"].max_retries, run.steps["fetch"].metadata["critical"]) == (2, 1, False)


@pytest.mark.requirement("BL-088")
@pytest.mark.parametrize("executor", [AsyncMock(return_value={"rows": 3}), Mock(return_value={"rows": 3})])
async def test_mocks_are_executors(runner: StatefulDAGRunner, executor: Any) -> None:
    runner.register_step("fetch", executor)

    run = await runner.execute()

    assert run.steps["fetch"].result == {"rows": 3}
    executor.assert_called_once_with()


# ----------------------------------------------------------------------------------------------------------- executing


@pytest.mark.requirement("BL-072", "BL-088")
async def test_all_steps_succeed(runner: StatefulDAGRunner) -> None:
    record = Recording()
    for name in ("fetch", "process", "save"):
        runner.register_step(name, record.step(name))

    run = await runner.execute()

    assert run.status is DAGRunStatus.SUCCESS
    assert record.ran == ["fetch", "process", "save"]
    assert [(step.status, step.result) for step in run.steps.values()] == [
        (DAGStepStatus.SUCCESS, name) for name in record.ran
    ]
    assert (run.error, run.start_time, run.end_time, run.duration_seconds) == (None, START, START, 0.0)


@pytest.mark.requirement("BL-073")
async def test_a_step_that_fails_twice_is_called_three_times(runner: StatefulDAGRunner) -> None:
    fetch = Failing(2)
    runner.register_step("fetch", fetch, max_retries=3)

    run = await runner.execute()

    assert (fetch.calls, run.steps["fetch"].retry_count, run.status) == (3, 2, DAGRunStatus.SUCCESS)
    assert run.steps["fetch"].error is None


@pytest.mark.requirement("BL-074", "BL-080", "BL-088")
async def test_a_step_that_always_fails_ends_the_run_without_raising(runner: StatefulDAGRunner) -> None:
    fetch, save = Failing(), Failing(0)
    runner.register_step("fetch", fetch, max_retries=2)
    runner.register_step("save", save)

    run = await runner.execute()

    assert (fetch.calls, run.steps["fetch"].retry_count) == (3, 2)
    assert (run.status, run.steps["fetch"].status) == (DAGRunStatus.FAILED, DAGStepStatus.FAILED)
    assert run.steps["fetch"].error == "host not reachable"
    assert (save.calls, run.steps["save"].status) == (0, DAGStepStatus.SKIPPED)
    assert "critical" in run.steps["save"].metadata["skip_reason"]
    assert run.end_time == START + timedelta(seconds=3)  # 1 s and 2 s of back-off
    assert run.duration_seconds == 3.0


@pytest.mark.requirement("BL-071")
async def test_no_retries_means_one_call(runner: StatefulDAGRunner, clock: FakeClock) -> None:
    fetch = Failing()
    runner.register_step("fetch", fetch, max_retries=0)

    run = await runner.execute()

    assert (fetch.calls, run.steps["fetch"].retry_count, clock.sleeps) == (1, 0, [])


@pytest.mark.requirement("BL-087")
async def test_an_error_of_the_engine_itself_fails_the_run_and_is_raised(ledger: Ledger) -> None:
    def broken(run: Run) -> None:
        raise RuntimeError("the display is gone")

    with bound(Binding(ledger, watch=broken)):
        runner = StatefulDAGRunner("etl")
    runner.register_step("fetch", lambda: 1)

    with pytest.raises(RuntimeError, match="the display is gone"):
        await runner.execute()

    run = runner.dag_run
    assert (run.status, run.is_complete()) == (DAGRunStatus.FAILED, True)
    assert run.end_time is not None
    assert run.metadata["errors"] == [
        {
            "type": "dag_execution_error",
            "error": "the display is gone",
            "error_type": "RuntimeError",
            "timestamp": START.isoformat(),
        }
    ]


# ---------------------------------------------------------------------------- retrying: the seven names of document 003


@pytest.mark.requirement("BL-090", "BL-094", "BL-100")
async def test_exponential_backoff_retry(runner: StatefulDAGRunner, clock: FakeClock) -> None:
    runner.register_step("fetch", Failing(4), max_retries=4, retry_delay=0.1)

    run = await runner.execute()

    assert clock.sleeps == [0.1, 0.2, 0.4, 0.8]
    assert run.end_time == START + timedelta(seconds=1.5)


@pytest.mark.requirement("BL-091", "BL-094", "BL-100")
async def test_linear_backoff_retry(runner: StatefulDAGRunner, clock: FakeClock) -> None:
    runner.register_step("fetch", Failing(3), max_retries=3, retry_delay=0.1, retry_backoff=RetryBackoffStrategy.LINEAR)

    await runner.execute()

    assert clock.sleeps == [0.1, 0.2, 0.3]


@pytest.mark.requirement("BL-092", "BL-094", "BL-100")
async def test_constant_backoff_retry(runner: StatefulDAGRunner, clock: FakeClock) -> None:
    runner.register_step(
        "fetch", Failing(3), max_retries=3, retry_delay=0.1, retry_backoff=RetryBackoffStrategy.CONSTANT
    )

    await runner.execute()

    assert clock.sleeps == [0.1, 0.1, 0.1]


@pytest.mark.requirement("BL-093", "BL-100")
async def test_per_step_retry_configuration(new_runner: NewRunner, clock: FakeClock) -> None:
    runner = new_runner("etl", retry_delay=3.0, retry_backoff=RetryBackoffStrategy.CONSTANT)
    runner.register_step("a", Failing(2))
    runner.register_step("b", Failing(2), retry_delay=2.0)
    runner.register_step("c", Failing(2), retry_backoff=RetryBackoffStrategy.EXPONENTIAL)
    runner.register_step("d", Failing(2), max_retries=5, retry_delay=0.5, retry_backoff=RetryBackoffStrategy.LINEAR)

    run = await runner.execute()

    assert clock.sleeps == [3.0, 3.0, 2.0, 2.0, 3.0, 6.0, 0.5, 1.0]
    assert [step.max_retries for step in run.steps.values()] == [3, 3, 3, 5]


@pytest.mark.requirement("BL-085", "BL-086", "BL-095", "BL-096", "BL-100")
async def test_error_metadata_logging(runner: StatefulDAGRunner) -> None:
    runner.register_step("fetch", Failing(error=OSError("no route")), max_retries=1, retry_delay=2.0)

    run = await runner.execute()

    step = run.steps["fetch"]
    assert step.metadata["error_history"] == [
        {"timestamp": START.isoformat(), "attempt": 1, "error": "no route", "error_type": "OSError"},
        {
            "timestamp": (START + timedelta(seconds=2)).isoformat(),
            "attempt": 2,
            "error": "no route",
            "error_type": "OSError",
        },
    ]
    assert step.metadata["stack_trace"].startswith("Traceback (most recent call last):")
    assert "in __call__\n    raise self.error" in step.metadata["stack_trace"]
    assert "tasktrail/engine" not in step.metadata["stack_trace"]
    assert run.metadata["step_failures"] == [
        {
            "step_id": "fetch",
            "timestamp": (START + timedelta(seconds=2)).isoformat(),
            "attempts": 2,
            "final_error": "no route",
            "critical": True,
        }
    ]
    assert run.metadata["failure_reason"].startswith("Critical step 'fetch' failed")


@pytest.mark.requirement("BL-080", "BL-100")
async def test_non_critical_step_failure_allows_completion(runner: StatefulDAGRunner) -> None:
    record = Recording()
    runner.register_step("fetch", record.step("fetch"))
    runner.register_step("optional", record.failing_step("optional"), max_retries=0, critical=False)
    runner.register_step("save", record.step("save"))

    run = await runner.execute()

    assert record.ran == ["fetch", "optional", "save"]
    assert run.status is DAGRunStatus.PARTIAL_SUCCESS
    assert run.error == "1 step(s) failed"
    assert [failure["critical"] for failure in run.metadata["step_failures"]] == [False]
    assert "failure_reason" not in run.metadata


@pytest.mark.requirement("BL-080", "BL-085", "BL-100")
async def test_mixed_critical_non_critical_execution(runner: StatefulDAGRunner) -> None:
    record = Recording()
    runner.register_step("a", record.step("a"))
    runner.register_step("b", record.failing_step("b"), max_retries=0, critical=False)
    runner.register_step("c", record.step("c"))
    runner.register_step("d", record.failing_step("d"), max_retries=0)
    runner.register_step("e", record.step("e"))

    run = await runner.execute()

    assert record.ran == ["a", "b", "c", "d"]
    assert [step.status.value for step in run.steps.values()] == ["success", "failed", "success", "failed", "skipped"]
    assert run.status is DAGRunStatus.FAILED
    assert "Critical step 'd' failed" in run.metadata["failure_reason"]
    assert [failure["step_id"] for failure in run.metadata["step_failures"]] == ["b", "d"]


# ------------------------------------------------------------------------------------------------- retrying, continued


@pytest.mark.requirement("BL-094")
async def test_delays_are_kept_to_50_ms_by_the_real_clock(ledger: Ledger) -> None:
    """The one test that waits: 20 ms and 40 ms."""
    times: list[float] = []

    async def fetch() -> None:
        times.append(time.monotonic())
        raise ValueError("not yet")

    with bound(Binding(Ledger(ledger.store, actor="tester"))):
        runner = StatefulDAGRunner("etl")
    runner.register_step("fetch", fetch, max_retries=2, retry_delay=0.02)

    await runner.execute()

    assert times[1] - times[0] == pytest.approx(0.02, abs=0.05)
    assert times[2] - times[1] == pytest.approx(0.04, abs=0.05)


async def test_the_time_of_the_next_try_is_stored_before_anybody_sleeps(new_runner: NewRunner, ledger: Ledger) -> None:
    seen: list[tuple[object, ...]] = []
    runner = new_runner("etl")

    async def look() -> None:
        rows = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=runner._record.row_id))
        seen.append((rows[0].status, rows[0].not_before, runner.get_status()["steps"]["fetch"]["status"]))

    ledger.clock = Watched(look)
    due = ledger.clock.now() + 30_000_000
    runner.register_step("fetch", Failing(1), retry_delay=30.0)
    await runner.execute()

    assert seen == [("pending", due, "retry")]


async def test_a_server_that_says_when_to_come_back_is_believed(runner: StatefulDAGRunner, clock: FakeClock) -> None:
    class TooManyRequests(Exception):
        retry_after = 7

    runner.register_step("fetch", Failing(1, TooManyRequests("slow down")), retry_delay=0.1)

    await runner.execute()

    assert clock.sleeps == [7.0]


# ------------------------------------------------------------------------------------------------------------- resuming


@pytest.mark.requirement("BL-075", "BL-077")
async def test_resume_partial_completion(new_runner: NewRunner) -> None:
    first, record = new_runner("etl"), Recording()
    first.register_step("a", record.step("a"))
    first.register_step("b", record.failing_step("b"), max_retries=0)
    first.register_step("c", record.step("c"))
    assert (await first.execute()).status is DAGRunStatus.FAILED

    again = new_runner(run_id=first.run_id)
    for name in "abc":
        again.register_step(name, record.step(name))
    run = await again.execute()

    assert record.ran == ["a", "b", "b", "c"]
    assert run.status is DAGRunStatus.SUCCESS
    assert (run.error, run.metadata["resume_count"], run.metadata["resumed_at"]) == (None, 1, START.isoformat())
    assert "step_failures" not in run.metadata
    assert len(run.steps["b"].metadata["error_history"]) == 1


@pytest.mark.requirement("BL-075")
async def test_statuses_reset_by_hand_before_a_resume_end_in_success_too(new_runner: NewRunner) -> None:
    first, record = new_runner("etl"), Recording()
    first.register_step("a", record.step("a"))
    first.register_step("b", record.failing_step("b"), max_retries=0)
    first.register_step("c", record.step("c"))
    await first.execute()

    again = new_runner(run_id=first.run_id)
    again.dag_run.status = DAGRunStatus.RUNNING
    for name in "bc":
        step = again.dag_run.steps[name]
        step.status, step.retry_count, step.error, step.end_time = DAGStepStatus.PENDING, 0, None, None
    for name in "abc":
        again.register_step(name, record.step(name))
    run = await again.execute()

    assert (record.ran, run.status) == (["a", "b", "b", "c"], DAGRunStatus.SUCCESS)


@pytest.mark.requirement("BL-076")
async def test_a_resume_has_a_fresh_retry_budget(new_runner: NewRunner) -> None:
    first, second = new_runner("etl"), Failing(2)
    first.register_step("fetch", Failing(), max_retries=2)
    await first.execute()

    again = new_runner(run_id=first.run_id)
    again.register_step("fetch", second)
    run = await again.execute()

    assert (second.calls, run.steps["fetch"].retry_count, run.status) == (3, 2, DAGRunStatus.SUCCESS)
    assert len(run.steps["fetch"].metadata["error_history"]) == 5


@pytest.mark.requirement("BL-076")
async def test_a_failed_run_that_fails_again_is_failed_again(runner: StatefulDAGRunner) -> None:
    fetch = Failing()
    runner.register_step("fetch", fetch, max_retries=1)

    first, second = await runner.execute(), await runner.execute()

    assert (first.status, second.status, fetch.calls) == (DAGRunStatus.FAILED, DAGRunStatus.FAILED, 4)
    assert second.steps["fetch"].retry_count == 1


@pytest.mark.requirement("BL-075")
async def test_a_completed_run_is_returned_and_nothing_runs(new_runner: NewRunner) -> None:
    record, runner = Recording(), new_runner("etl")
    runner.register_step("a", record.step("a"))
    await runner.execute()

    for again in (runner, new_runner(run_id=runner.run_id)):
        if again is not runner:
            again.register_step("a", record.step("a"))
        run = await again.execute()

        assert (run.status, run.steps["a"].result) == (DAGRunStatus.SUCCESS, "a")
        assert "resume_count" not in run.metadata
    assert record.ran == ["a"]


async def test_a_step_added_to_a_completed_run_is_executed_alone(new_runner: NewRunner) -> None:
    record, runner = Recording(), new_runner("etl")
    runner.register_step("a", record.step("a"))
    await runner.execute()
    runner.register_step("b", record.step("b"))

    run = await runner.execute()

    assert (record.ran, run.status) == (["a", "b"], DAGRunStatus.SUCCESS)


async def test_a_step_may_be_registered_again_once_an_execution_is_over(runner: StatefulDAGRunner) -> None:
    """As in a notebook: the function is mended, its cell run again."""
    runner.register_step("fetch", Failing(), max_retries=0)
    await runner.execute()
    runner.register_step("fetch", one)

    assert (await runner.execute()).status is DAGRunStatus.SUCCESS


# -------------------------------------------------------------------------------------------------- what it says of it


@pytest.mark.requirement("BL-084")
async def test_get_status_has_the_documented_shape(runner: StatefulDAGRunner) -> None:
    runner.register_step("a", one)
    runner.register_step("b", Failing(), max_retries=1)
    before = runner.get_status()
    await runner.execute()
    after = runner.get_status()

    assert before["status"] == "created"
    assert before["steps"]["a"] == {"status": "pending", "retry_count": 0, "error": None, "duration": None}
    assert list(after) == ["run_id", "dag_id", "status", "summary", "steps"]
    assert (after["run_id"], after["dag_id"], after["status"]) == (runner.run_id, "etl", "failed")
    assert after["summary"]["total_retries"] == 1
    assert after["steps"]["b"]["error"] == "host not reachable"
    assert isinstance(after["steps"]["a"]["duration"], float)


@pytest.mark.requirement("BL-100")
@pytest.mark.parametrize(
    "name",
    [
        "test_exponential_backoff_retry",
        "test_linear_backoff_retry",
        "test_constant_backoff_retry",
        "test_per_step_retry_configuration",
        "test_error_metadata_logging",
        "test_non_critical_step_failure_allows_completion",
        "test_mixed_critical_non_critical_execution",
    ],
)
def test_the_documented_names_are_tests(name: str) -> None:
    assert inspect.iscoroutinefunction(globals()[name])


@pytest.mark.requirement("BL-101")
def test_there_are_at_least_21_runner_tests_and_a_file_of_store_tests() -> None:
    store_tests = Path(__file__).with_name("test_dag_run_store.py").read_text(encoding="utf-8")

    assert sum(name.startswith("test_") for name in globals()) >= 21
    assert "def test_" in store_tests
