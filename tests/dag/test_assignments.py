"""What people assign to the documented objects between registering and executing, and who else changed it meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasktrail.dag import DAGRunStatus, DAGStepState, DAGStepStatus, StatefulDAGRunner
from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import BadInput, Conflict
from tasktrail.model.lifecycle import Ask
from tasktrail.model.task import Task
from tests.dag.conftest import NewRunner
from tests.dag.executors import Failing, Recording


def task_of(ledger: Ledger, runner: StatefulDAGRunner, key: str) -> Task:
    """Return the row of a step."""
    row_id = runner._record.row_id
    found = ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=row_id, item="", map_index=-1))
    assert found is not None
    return found


def registered(runner: StatefulDAGRunner, names: str = "ab") -> Recording:
    """Register a step for each letter."""
    record = Recording()
    for name in names:
        runner.register_step(name, record.step(name))
    return record


# ------------------------------------------------------------------------------------------------------------- honoured


@pytest.mark.requirement("BL-075")
async def test_a_step_that_is_assigned_success_is_not_executed(runner: StatefulDAGRunner) -> None:
    record = registered(runner)
    step = runner.dag_run.steps["a"]
    step.status, step.result = DAGStepStatus.SUCCESS, {"rows": 3}

    run = await runner.execute()

    assert (record.ran, run.status, run.steps["a"].result) == (["b"], DAGRunStatus.SUCCESS, {"rows": 3})


async def test_a_status_may_be_assigned_as_its_word(runner: StatefulDAGRunner) -> None:
    record = registered(runner)
    runner.dag_run.steps["a"].status = "success"

    run = await runner.execute()

    assert (record.ran, run.steps["a"].status) == (["b"], DAGStepStatus.SUCCESS)


def test_a_word_that_is_no_status_cannot_be_assigned(runner: StatefulDAGRunner) -> None:
    registered(runner)

    with pytest.raises(ValueError, match="finished"):
        runner.dag_run.steps["a"].status = "finished"

    assert runner.dag_run.steps["a"].status is DAGStepStatus.PENDING


@pytest.mark.requirement("BL-080")
async def test_critical_that_is_assigned_in_the_metadata_is_honoured(runner: StatefulDAGRunner) -> None:
    record = Recording()
    runner.register_step("a", record.failing_step("a"), max_retries=0)
    runner.register_step("b", record.step("b"))
    runner.dag_run.steps["a"].metadata["critical"] = False

    run = await runner.execute()

    assert (record.ran, run.status) == (["a", "b"], DAGRunStatus.PARTIAL_SUCCESS)


@pytest.mark.requirement("BL-080")
async def test_a_failed_step_that_is_made_uncritical_no_longer_stops_its_run(new_runner: NewRunner) -> None:
    first, record = new_runner(), Recording()
    first.register_step("a", record.failing_step("a"), max_retries=0)
    first.register_step("b", record.step("b"))
    await first.execute()
    again = new_runner(run_id=first.run_id)
    again.dag_run.steps["a"].metadata["critical"] = False
    again.register_step("a", record.failing_step("a"))
    again.register_step("b", record.step("b"))

    run = await again.execute()

    assert (record.ran, run.status) == (["a", "a", "b"], DAGRunStatus.PARTIAL_SUCCESS)


async def test_max_retries_that_are_assigned_are_honoured(runner: StatefulDAGRunner) -> None:
    fetch = Failing()
    runner.register_step("fetch", fetch)
    runner.dag_run.steps["fetch"].max_retries = 1

    await runner.execute()

    assert fetch.calls == 2


@pytest.mark.requirement("BL-079")
async def test_a_step_that_is_assigned_failed_is_tried_again(runner: StatefulDAGRunner) -> None:
    record = registered(runner)
    runner.dag_run.steps["a"].fail("broken by hand")

    run = await runner.execute()

    assert (record.ran, run.status) == (["a", "b"], DAGRunStatus.SUCCESS)


async def test_a_finished_step_that_is_assigned_pending_is_executed_again(new_runner: NewRunner) -> None:
    first = new_runner()
    record = registered(first)
    await first.execute()
    again = new_runner(run_id=first.run_id)
    again.dag_run.steps["b"].status = DAGStepStatus.PENDING
    for name in "ab":
        again.register_step(name, record.step(name))

    run = await again.execute()

    assert (record.ran, run.status) == (["a", "b", "b"], DAGRunStatus.SUCCESS)
    assert run.steps["b"].metadata["attempts"] == 2


async def test_metadata_of_ones_own_is_kept(new_runner: NewRunner) -> None:
    runner = new_runner()
    registered(runner)
    runner.dag_run.metadata["ticket"] = "OPS-7"
    runner.dag_run.steps["a"].metadata["owner"] = {"team": "data"}

    await runner.execute()
    loaded = new_runner(run_id=runner.run_id).dag_run

    assert loaded.metadata["ticket"] == "OPS-7"
    assert loaded.steps["a"].metadata["owner"] == {"team": "data"}


@pytest.mark.requirement("BL-052")
async def test_assigned_metadata_is_in_the_history_with_its_old_and_new_value(
    runner: StatefulDAGRunner, ledger: Ledger
) -> None:
    registered(runner)
    runner.dag_run.metadata["ticket"] = "OPS-7"
    runner.dag_run.steps["a"].metadata["owner"] = "data"
    await runner.execute()
    runner.dag_run.metadata["ticket"] = "OPS-8"
    runner.dag_run.steps["a"].metadata["owner"] = "ops"
    await runner.execute()

    rows = ledger.store.read(lambda tx: tx.rows("fold_events", run_id=runner._record.row_id))
    changes = " ".join(str(row[7]) for row in rows if row[3] not in ("start", "complete"))

    for words in ("OPS-7", "OPS-8", "data", "ops"):
        assert words in changes
    assert "OPS-7" in changes.split("OPS-8")[0]


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}], ids=["object", "nan", "set"])
async def test_metadata_that_is_not_json_is_refused_and_nothing_is_stored(
    runner: StatefulDAGRunner, ledger: Ledger, value: Any
) -> None:
    record = registered(runner)
    runner.dag_run.metadata["odd"] = value

    with pytest.raises(BadInput, match="metadata"):
        await runner.execute()

    assert record.ran == []


async def test_a_result_that_is_not_json_cannot_be_assigned(runner: StatefulDAGRunner) -> None:
    record = registered(runner)
    runner.dag_run.steps["a"].complete(object())

    with pytest.raises(BadInput, match="result of step 'a' is not JSON"):
        await runner.execute()

    assert record.ran == []


async def test_a_text_that_is_assigned_is_scrubbed(runner: StatefulDAGRunner, ledger: Ledger) -> None:
    registered(runner)
    runner.dag_run.steps["a"].skip("password=hunter2secret was wrong")

    await runner.execute()

    assert "hunter2secret" not in str(task_of(ledger, runner, "a").reason)


async def test_assigned_times_are_kept(new_runner: NewRunner) -> None:
    runner = new_runner()
    registered(runner)
    step = runner.dag_run.steps["a"]
    step.start_time, step.end_time = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 2, tzinfo=UTC)
    step.status = DAGStepStatus.SUCCESS

    await runner.execute()
    loaded = new_runner(run_id=runner.run_id).dag_run.steps["a"]

    assert (loaded.start_time, loaded.end_time) == (step.start_time, step.end_time)
    assert loaded.duration_seconds == 86_400.0


async def test_a_time_without_a_zone_is_utc(new_runner: NewRunner) -> None:
    """As from_dict reads one: the same object must not mean another moment on a machine in another zone."""
    runner = new_runner()
    registered(runner)
    step = runner.dag_run.steps["a"]
    step.start_time = step.end_time = datetime(2025, 7, 1, 12)
    step.status = DAGStepStatus.SUCCESS

    await runner.execute()

    assert runner.dag_run.steps["a"].end_time == datetime(2025, 7, 1, 12, tzinfo=UTC)


async def test_an_object_that_was_handed_out_is_brought_up_to_date(runner: StatefulDAGRunner) -> None:
    registered(runner)
    run, step = runner.dag_run, runner.dag_run.steps["a"]

    returned = await runner.execute()

    assert returned is run
    assert returned.steps["a"] is step
    assert (step.status, step.result) == (DAGStepStatus.SUCCESS, "a")


async def test_a_step_cannot_be_taken_out_of_a_stored_run(runner: StatefulDAGRunner) -> None:
    registered(runner)
    await runner.execute()

    with pytest.raises(ValueError, match="stored"):
        del runner.dag_run.steps["a"]


async def test_a_step_object_of_ones_own_can_be_put_in(runner: StatefulDAGRunner) -> None:
    record = registered(runner)
    mine = DAGStepState("a", max_retries=9)
    mine.skip("not today")
    runner.dag_run.steps["a"] = mine

    run = await runner.execute()

    assert (record.ran, run.steps["a"].status) == (["b"], DAGStepStatus.SKIPPED)
    assert run.steps["a"].max_retries == 9


# ------------------------------------------------------------------------------------------------------------ conflicts


async def test_what_somebody_else_changed_meanwhile_is_a_conflict_and_not_overwritten(
    new_runner: NewRunner, ledger: Ledger
) -> None:
    runner = new_runner()
    runner.register_step("a", Failing(), max_retries=0)
    registered(runner, "b")
    await runner.execute()
    runner.dag_run.steps["a"].status = DAGStepStatus.SUCCESS
    ledger.ask(task_of(ledger, runner, "a").id, Ask("skip", reason="by somebody else"))

    with pytest.raises(Conflict, match="a was changed by somebody else"):
        await runner.execute()

    assert task_of(ledger, runner, "a").status == "skipped"
    assert task_of(ledger, runner, "b").status == "pending"


async def test_what_somebody_else_changed_is_no_conflict_where_nothing_was_assigned(
    new_runner: NewRunner, ledger: Ledger
) -> None:
    runner = new_runner()
    runner.register_step("a", Failing(), max_retries=0)
    record = registered(runner, "b")
    await runner.execute()
    looked_at = runner.dag_run.steps["a"].status
    ledger.ask(task_of(ledger, runner, "a").id, Ask("skip"))

    run = await runner.execute()

    assert looked_at is DAGStepStatus.FAILED
    assert (record.ran, run.steps["a"].status) == (["b"], DAGStepStatus.SKIPPED)


async def test_after_a_conflict_the_draft_can_be_loaded_again(new_runner: NewRunner, ledger: Ledger) -> None:
    runner = new_runner()
    record = registered(runner)
    runner.register_step("c", Failing(), max_retries=0)
    await runner.execute()
    runner.dag_run.steps["c"].status = DAGStepStatus.SUCCESS
    ledger.ask(task_of(ledger, runner, "c").id, Ask("retry"))
    with pytest.raises(Conflict):
        await runner.execute()

    again = new_runner(run_id=runner.run_id)
    again.dag_run.steps["c"].status = DAGStepStatus.SUCCESS
    for name in "abc":
        again.register_step(name, record.step(name))
    run = await again.execute()

    assert (record.ran, run.status) == (["a", "b"], DAGRunStatus.SUCCESS)


async def test_a_cancel_from_outside_during_an_execution_is_no_conflict(
    runner: StatefulDAGRunner, ledger: Ledger
) -> None:
    async def cancelled_meanwhile() -> None:
        assert runner.dag_run.steps["a"].status is DAGStepStatus.RUNNING
        ledger.cancel_run(runner._record.row_id)

    runner.register_step("a", cancelled_meanwhile)
    registered(runner, "b")

    run = await runner.execute()

    assert run.status is DAGRunStatus.CANCELLED


async def test_what_is_assigned_by_a_step_to_its_own_run_does_not_harm_it(runner: StatefulDAGRunner) -> None:
    """During an execution the store is right; assignments are saved by the next one."""
    record = registered(runner, "a")

    async def meddle() -> None:
        runner.dag_run.steps["b"].status = DAGStepStatus.SUCCESS
        runner.dag_run.steps["c"].metadata["critical"] = False

    runner.register_step("meddle", meddle)
    runner.register_step("b", record.step("b"))
    runner.register_step("c", record.step("c"))

    run = await runner.execute()

    assert (record.ran, run.status) == (["a", "b", "c"], DAGRunStatus.SUCCESS)
