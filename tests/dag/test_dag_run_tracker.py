"""The objects of a run and its steps: their moves, their words, their dictionaries, and what is no such dictionary."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.dag import (
    DAGRun,
    DAGRunStatus,
    DAGStepState,
    DAGStepStatus,
    StatefulDAGRunner,
    validate_dag_run,
    validate_dag_step_state,
)
from tasktrail.model.errors import BadInput, TasktrailError, WrongState
from tests.dag.conftest import NewRunner
from tests.dag.executors import Failing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
TIMES = st.none() | st.datetimes(
    datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))])
)


@st.composite
def steps(draw: st.DrawFn, step_id: str = "fetch") -> DAGStepState:
    """Draw a step in any state, possible or not."""
    step = DAGStepState(step_id, draw(st.integers(0, 50)))
    step.status = draw(st.sampled_from(DAGStepStatus))
    step.start_time, step.end_time = draw(TIMES), draw(TIMES)
    step.retry_count, step.error = draw(st.integers(0, 50)), draw(st.none() | st.text(max_size=20))
    step.result, step.metadata = draw(JSON), draw(st.dictionaries(st.text(max_size=10), JSON, max_size=3))
    return step


@st.composite
def dag_runs(draw: st.DrawFn) -> DAGRun:
    """Draw a run in any state."""
    run = DAGRun(draw(st.text(min_size=1, max_size=20)))
    run.status, run.error = draw(st.sampled_from(DAGRunStatus)), draw(st.none() | st.text(max_size=20))
    run.start_time, run.end_time = draw(TIMES), draw(TIMES)
    run.metadata = draw(st.dictionaries(st.text(max_size=10), JSON, max_size=3))
    for key in draw(st.lists(st.text(min_size=1, max_size=5), max_size=4, unique=True)):
        run.steps[key] = draw(steps(key))
    return run


def in_status(status: DAGStepStatus) -> DAGStepState:
    """Return a step that stands there."""
    step = DAGStepState("fetch")
    step.status = status
    return step


# ---------------------------------------------------------------------------------------------------------------- steps


@pytest.mark.requirement("BL-031", "BL-040")
def test_a_step_has_seven_statuses_in_lower_case() -> None:
    assert {status.name: status.value for status in DAGStepStatus} == {
        "PENDING": "pending", "RUNNING": "running", "SUCCESS": "success", "FAILED": "failed", "RETRY": "retry",
        "SKIPPED": "skipped", "CANCELLED": "cancelled",
    }  # fmt: skip


@pytest.mark.requirement("BL-032")
def test_a_new_step_is_pending_and_has_three_retries() -> None:
    step = DAGStepState("fetch")

    assert (step.status, step.start_time, step.end_time, step.error, step.result) == (
        DAGStepStatus.PENDING, None, None, None, None,
    )  # fmt: skip
    assert (step.step_id, step.retry_count, step.max_retries, step.metadata) == ("fetch", 0, 3, {})
    assert step.duration_seconds is None


@pytest.mark.requirement("BL-033")
def test_start_makes_it_running_with_a_time() -> None:
    step = DAGStepState("fetch")
    before = datetime.now(UTC)
    step.start()

    assert step.status is DAGStepStatus.RUNNING
    assert step.start_time is not None
    assert before <= step.start_time <= datetime.now(UTC)
    assert step.end_time is None


@pytest.mark.requirement("BL-034", "BL-039")
def test_complete_keeps_the_result_and_the_duration() -> None:
    step = DAGStepState("fetch")
    step.start()
    step.start_time = datetime(2026, 1, 1, tzinfo=UTC)
    step.complete({"rows": 3})
    step.end_time = datetime(2026, 1, 1, 0, 0, 45, 200_000, tzinfo=UTC)

    assert (step.status, step.result, step.error, step.duration_seconds) == (
        DAGStepStatus.SUCCESS, {"rows": 3}, None, 45.2,
    )  # fmt: skip


@pytest.mark.requirement("BL-034")
def test_complete_needs_no_result_and_sets_the_end() -> None:
    step = DAGStepState("fetch")
    step.start()
    step.complete()

    assert (step.status, step.result) == (DAGStepStatus.SUCCESS, None)
    assert step.end_time is not None


@pytest.mark.requirement("BL-035")
def test_fail_keeps_the_error_and_sets_the_end() -> None:
    step = DAGStepState("fetch")
    step.start()
    step.fail("no route")

    assert (step.status, step.error) == (DAGStepStatus.FAILED, "no route")
    assert step.end_time is not None


@pytest.mark.requirement("BL-036")
def test_retry_says_whether_there_was_one_left() -> None:
    step = DAGStepState("fetch", max_retries=2)
    answers = []
    for _ in range(3):
        step.start()
        step.fail("no route")
        answers.append((step.retry(), step.status.value, step.retry_count, step.error))

    assert answers == [(True, "retry", 1, None), (True, "retry", 2, None), (False, "failed", 2, "no route")]
    assert step.end_time is not None


@pytest.mark.requirement("BL-036")
def test_without_retries_retry_is_false() -> None:
    step = DAGStepState("fetch", max_retries=0)
    step.fail("no route")

    assert (step.retry(), step.status, step.retry_count) == (False, DAGStepStatus.FAILED, 0)


@pytest.mark.requirement("BL-037")
def test_skip_keeps_its_reason() -> None:
    step = DAGStepState("fetch")
    step.skip("not needed")

    assert (step.status, step.metadata["skip_reason"]) == (DAGStepStatus.SKIPPED, "not needed")
    assert step.end_time is not None


@pytest.mark.requirement("BL-038")
def test_cancel_ends_it() -> None:
    step = DAGStepState("fetch")
    step.start()
    step.cancel()

    assert step.status is DAGStepStatus.CANCELLED
    assert step.end_time is not None


MOVES: list[tuple[str, Callable[[DAGStepState], object], str]] = [
    ("start", lambda step: step.start(), "pending retry"),
    ("complete", lambda step: step.complete(), "pending retry running failed"),
    ("fail", lambda step: step.fail("x"), "pending retry running"),
    ("retry", lambda step: step.retry(), "running failed"),
    ("skip", lambda step: step.skip("x"), "pending retry running failed"),
    ("cancel", lambda step: step.cancel(), "pending retry running failed"),
]


@pytest.mark.requirement("BL-042")
@pytest.mark.parametrize("status", DAGStepStatus)
@pytest.mark.parametrize(("name", "move", "sources"), MOVES)
def test_a_move_that_the_status_does_not_allow_is_refused_and_changes_nothing(
    name: str, move: Callable[[DAGStepState], object], sources: str, status: DAGStepStatus
) -> None:
    """RETRY is a pending step; everything else as in DESIGN §4."""
    step = in_status(status)
    before = step.to_dict()

    if status.value in sources.split():
        move(step)
        assert step.status is not status
    else:
        with pytest.raises(WrongState, match=f"step fetch is {status.value}; {name} needs one of"):
            move(step)
        assert step.to_dict() == before


# ----------------------------------------------------------------------------------------------------------------- runs


@pytest.mark.requirement("BL-043", "BL-051")
def test_a_run_has_seven_statuses_in_lower_case() -> None:
    assert {status.name: status.value for status in DAGRunStatus} == {
        "CREATED": "created", "RUNNING": "running", "SUCCESS": "success", "FAILED": "failed", "RETRY": "retry",
        "CANCELLED": "cancelled", "PARTIAL_SUCCESS": "partial_success",
    }  # fmt: skip


@pytest.mark.requirement("BL-044")
def test_a_new_run_is_created_with_an_id_and_no_steps() -> None:
    run = DAGRun("etl")

    assert (run.dag_id, run.status, dict(run.steps), run.metadata) == ("etl", DAGRunStatus.CREATED, {}, {})
    assert re.fullmatch(r"[0-9a-f-]{36}", run.run_id)
    assert run.run_id != DAGRun("etl").run_id
    assert (run.start_time, run.end_time, run.is_running(), run.is_complete()) == (None, None, False, False)


@pytest.mark.requirement("BL-045")
def test_add_step_returns_the_step_that_the_run_then_has() -> None:
    run = DAGRun("etl")
    step = run.add_step("fetch", max_retries=5)

    assert run.steps["fetch"] is step
    assert step.max_retries == 5
    with pytest.raises(ValueError, match="has a step 'fetch' already"):
        run.add_step("fetch")


@pytest.mark.requirement("BL-046")
def test_some_failed_and_some_succeeded_is_partial_success() -> None:
    run = DAGRun("etl")
    run.start()
    assert (run.status, run.is_running()) == (DAGRunStatus.RUNNING, True)
    run.add_step("a").complete(1)
    run.add_step("b").fail("no route")
    run.complete()

    assert (run.status, run.error, run.is_complete()) == (DAGRunStatus.PARTIAL_SUCCESS, "1 step(s) failed", True)
    assert run.end_time is not None


@pytest.mark.requirement("BL-047")
def test_only_failed_is_failed() -> None:
    run = DAGRun("etl")
    run.add_step("a").fail("no route")
    run.add_step("b").skip("a failed")
    run.complete()

    assert (run.status, run.error) == (DAGRunStatus.FAILED, "1 step(s) failed")


@pytest.mark.requirement("BL-046")
def test_none_failed_is_success() -> None:
    run = DAGRun("etl")
    run.add_step("a").complete()
    run.add_step("b").skip("not needed")
    run.complete()

    assert (run.status, run.error) == (DAGRunStatus.SUCCESS, None)


@pytest.mark.requirement("BL-046")
def test_a_run_can_be_failed_with_a_reason() -> None:
    run = DAGRun("etl")
    run.start()
    run.fail("the disk is full")

    assert (run.status, run.error) == (DAGRunStatus.FAILED, "the disk is full")
    assert run.end_time is not None
    assert run.duration_seconds is not None


@pytest.mark.requirement("BL-048", "BL-049")
def test_cancel_ends_what_is_not_finished_and_leaves_the_rest() -> None:
    run = DAGRun("etl")
    for status in DAGStepStatus:
        run.steps[status.value] = in_status(status)
    run.cancel()

    assert {key: step.status.value for key, step in run.steps.items()} == {
        "pending": "cancelled", "running": "cancelled", "retry": "cancelled", "success": "success",
        "failed": "failed", "skipped": "skipped", "cancelled": "cancelled",
    }  # fmt: skip
    assert run.status is DAGRunStatus.CANCELLED


@pytest.mark.requirement("BL-050")
def test_the_summary_has_the_documented_keys() -> None:
    run = DAGRun("etl", "nightly-7")
    run.add_step("a").complete()
    run.add_step("b").skip("x")
    failed = run.add_step("c", max_retries=2)
    failed.fail("x")
    failed.retry()
    failed.fail("x")

    assert run.get_execution_summary() == {
        "dag_id": "etl", "run_id": "nightly-7", "status": "created", "total_steps": 3, "completed_steps": 1,
        "failed_steps": 1, "skipped_steps": 1, "total_retries": 1, "duration_seconds": None, "success_rate": 33.33,
    }  # fmt: skip
    assert DAGRun("etl").get_execution_summary()["success_rate"] == 0.0


@pytest.mark.requirement("BL-050")
def test_a_word_that_was_assigned_counts_like_the_status() -> None:
    run = DAGRun("etl")
    run.add_step("a").status = "success"
    run.complete()

    assert run.get_execution_summary()["completed_steps"] == 1


def test_retries_of_all_steps_are_added_up() -> None:
    run = DAGRun("etl")
    for key in "ab":
        step = run.add_step(key)
        step.fail("x")
        step.retry()

    assert (run.update_retry_count(), run.metadata["total_retries"]) == (2, 2)


@pytest.mark.parametrize(
    ("status", "running", "complete"),
    [
        ("created", False, False), ("running", True, False), ("retry", True, False), ("success", False, True),
        ("failed", False, True), ("cancelled", False, True), ("partial_success", False, True),
    ],
)  # fmt: skip
def test_under_way_or_over(status: str, running: bool, complete: bool) -> None:
    run = DAGRun("etl")
    run.status = DAGRunStatus(status)

    assert (run.is_running(), run.is_complete()) == (running, complete)


# --------------------------------------------------------------------------------------------------------- dictionaries


@pytest.mark.requirement("BL-040")
@given(steps())
def test_a_step_comes_back_from_its_dictionary(step: DAGStepState) -> None:
    data = json.loads(json.dumps(step.to_dict()))

    assert validate_dag_step_state(data) is True
    assert DAGStepState.from_dict(data).to_dict() == step.to_dict()


@pytest.mark.requirement("BL-051")
@given(dag_runs())
def test_a_run_comes_back_from_its_dictionary(run: DAGRun) -> None:
    data = json.loads(json.dumps(run.to_dict()))

    assert validate_dag_run(data) is True
    assert DAGRun.from_dict(data).to_dict() == run.to_dict()


@pytest.mark.requirement("BL-051")
async def test_a_stored_run_comes_back_from_its_dictionary(runner: StatefulDAGRunner) -> None:
    """With retries: what its attempts took is less than the time from start to end."""
    runner.register_step("a", Failing(1, result={"rows": 3}))
    runner.register_step("b", Failing(), max_retries=1, critical=False)
    runner.register_step("c", Failing(0))
    data = (await runner.execute()).to_dict()

    assert DAGRun.from_dict(json.loads(json.dumps(data))).to_dict() == data


@pytest.mark.requirement("BL-051")
async def test_a_loaded_run_is_the_run_that_was_executed(new_runner: NewRunner) -> None:
    runner = new_runner()
    runner.register_step("a", Failing(1, result={"rows": 3}))
    runner.register_step("b", Failing(), max_retries=1, critical=False)
    run = await runner.execute()

    assert new_runner(run_id=runner.run_id).dag_run.to_dict() == run.to_dict()


def test_a_dictionary_does_not_change_with_the_object_it_was_made_of() -> None:
    run = DAGRun("etl")
    step = run.add_step("fetch")
    before = run.to_dict()
    step.metadata["late"], run.metadata["late"] = True, True

    assert (before["metadata"], before["steps"]["fetch"]["metadata"]) == ({}, {})


@pytest.mark.requirement("BL-041")
@pytest.mark.parametrize(
    "data", [{"step_id": "fetch"}, {"step_id": "fetch", "unknown": 1, "metadata": None, "start_time": None}]
)
def test_little_is_needed(data: dict[str, Any]) -> None:
    assert validate_dag_step_state(data) is True
    assert DAGStepState.from_dict(data).status is DAGStepStatus.PENDING


@pytest.mark.requirement("BL-041", "BL-042")
@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({}, "step_id"),
        ({"step_id": ""}, "step_id"),
        ({"step_id": 7}, "step_id"),
        ({"step_id": "a", "status": "finished"}, "status"),
        ({"step_id": "a", "status": None}, "status"),
        ({"step_id": "a", "status": []}, "status"),
        ({"step_id": "a", "retry_count": "2"}, "retry_count"),
        ({"step_id": "a", "retry_count": True}, "retry_count"),
        ({"step_id": "a", "retry_count": -1}, "retry_count"),
        ({"step_id": "a", "max_retries": None}, "max_retries"),
        ({"step_id": "a", "max_retries": -1}, "max_retries"),
        ({"step_id": "a", "start_time": 12}, "start_time"),
        ({"step_id": "a", "end_time": "yesterday"}, "end_time"),
        ({"step_id": "a", "metadata": []}, "metadata"),
        ({"step_id": "a", "error": 5}, "error"),
    ],
    ids=str,
)
def test_a_field_that_is_wrong_is_named(data: dict[str, Any], fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        validate_dag_step_state(data)
    with pytest.raises(BadInput, match=fault):
        DAGStepState.from_dict(data)


@pytest.mark.requirement("BL-041")
@pytest.mark.parametrize("data", [None, 5, "text", [], [("step_id", "a")]], ids=str)
def test_what_is_no_dictionary_is_refused(data: Any) -> None:
    for validate in (validate_dag_step_state, validate_dag_run):
        with pytest.raises(BadInput, match="dictionary"):
            validate(data)


RUN = {"run_id": "r", "dag_id": "etl"}


@pytest.mark.requirement("BL-041", "BL-042")
@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ({}, ["run_id", "dag_id"]),
        ({"run_id": 5, "dag_id": None}, ["run_id", "dag_id"]),
        ({**RUN, "status": "ok"}, ["status"]),
        ({**RUN, "steps": []}, ["steps"]),
        ({**RUN, "steps": {"a": 5}}, ["a"]),
        ({**RUN, "steps": {"a": None}}, ["a"]),
        ({**RUN, "steps": {"a": {"status": "ok"}, "b": {"retry_count": "x"}}}, ["status", "retry_count"]),
        ({**RUN, "created_at": "x", "steps": {"a": {"status": "ok"}}}, ["created_at", "status"]),
        ({**RUN, "steps": {"a": {"step_id": "b"}}}, ["a", "b"]),
        ({**RUN, "steps": {"": {}}}, ["step"]),
    ],
    ids=str,
)
def test_everything_that_is_wrong_with_a_run_is_named_at_once(data: dict[str, Any], faults: list[str]) -> None:
    for read in (validate_dag_run, DAGRun.from_dict):
        with pytest.raises(BadInput) as error:
            read(data)
        assert [fault for fault in faults if fault not in str(error.value)] == []


@given(st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from([
    "step_id", "run_id", "dag_id", "status", "steps", "metadata", "start_time", "retry_count"]), inner), max_leaves=8,
))  # fmt: skip
def test_any_json_is_read_or_refused_with_a_reason(data: Any) -> None:
    for read in (DAGStepState.from_dict, DAGRun.from_dict):
        with contextlib.suppress(TasktrailError):
            read(data)
