"""Which steps an execution takes, in which order, and what is refused before anything is stored."""

from __future__ import annotations

import pytest

from tasktrail.dag import DAGRunStatus, DAGStepStatus, ParallelStatefulDAGRunner, StatefulDAGRunner
from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import BadInput
from tests.dag.conftest import NewParallelRunner, NewRunner
from tests.dag.executors import Failing, Recording


def statuses(runner: StatefulDAGRunner) -> dict[str, str]:
    """Return each step's word."""
    return {key: step.status.value for key, step in runner.dag_run.steps.items()}


def registered(runner: StatefulDAGRunner, names: str) -> Recording:
    """Register a step for each letter."""
    record = Recording()
    for name in names:
        runner.register_step(name, record.step(name))
    return record


def events(ledger: Ledger, runner: StatefulDAGRunner) -> list[object]:
    """Return the verbs of the run's history."""
    rows = ledger.store.read(lambda tx: tx.rows("fold_events", run_id=runner._record.row_id))
    return [row[3] for row in rows]


# --------------------------------------------------------------------------------------------------------------- order


@pytest.mark.requirement("BL-081")
async def test_steps_go_as_registered_or_in_the_order_that_is_given(new_runner: NewRunner) -> None:
    as_registered, as_given = new_runner(), new_runner()
    first, second = registered(as_registered, "abc"), registered(as_given, "abc")

    await as_registered.execute()
    await as_given.execute(step_order=["c", "a", "b"])

    assert (first.ran, second.ran) == (["a", "b", "c"], ["c", "a", "b"])


@pytest.mark.requirement("BL-081", "BL-082")
async def test_steps_that_are_left_out_are_skipped_and_say_so(runner: StatefulDAGRunner) -> None:
    record = registered(runner, "abc")

    run = await runner.execute(step_order=["c", "a"])

    assert (record.ran, run.status) == (["c", "a"], DAGRunStatus.SUCCESS)
    assert run.steps["b"].status is DAGStepStatus.SKIPPED
    assert run.steps["b"].metadata["skip_reason"] == "left out of step_order"


@pytest.mark.requirement("BL-077", "BL-081")
async def test_an_order_that_names_a_step_left_out_before_reopens_it(runner: StatefulDAGRunner) -> None:
    record = registered(runner, "abc")
    await runner.execute(step_order=["a"])

    run = await runner.execute(step_order=["b"])

    assert record.ran == ["a", "b"]
    assert statuses(runner) == {"a": "success", "b": "success", "c": "skipped"}
    assert "skip_reason" not in run.steps["b"].metadata


async def test_a_step_that_a_person_skipped_is_not_reopened_by_naming_it(runner: StatefulDAGRunner) -> None:
    record = registered(runner, "ab")
    runner.dag_run.steps["a"].skip("not this month")

    run = await runner.execute(step_order=["a", "b"])

    assert (record.ran, run.steps["a"].metadata["skip_reason"]) == (["b"], "not this month")


async def test_a_completed_run_is_executed_with_an_order_of_its_finished_steps_and_nothing_runs(
    runner: StatefulDAGRunner,
) -> None:
    record = registered(runner, "ab")
    await runner.execute()

    run = await runner.execute(step_order=["b", "a"])

    assert (record.ran, run.status) == (["a", "b"], DAGRunStatus.SUCCESS)


async def test_a_critical_failure_that_is_left_out_does_not_stop_the_steps_that_are_named(
    runner: StatefulDAGRunner,
) -> None:
    record = Recording()
    runner.register_step("a", record.failing_step("a"), max_retries=0)
    runner.register_step("b", record.step("b"))
    assert (await runner.execute()).status is DAGRunStatus.FAILED

    run = await runner.execute(step_order=["b"])

    assert record.ran == ["a", "b"]
    assert run.steps["b"].status is DAGStepStatus.SUCCESS


async def test_an_empty_order_runs_nothing(runner: StatefulDAGRunner) -> None:
    record = registered(runner, "ab")

    run = await runner.execute(step_order=[])

    assert (record.ran, statuses(runner)) == ([], {"a": "skipped", "b": "skipped"})
    assert run.is_complete()


async def test_a_parallel_runner_refuses_an_order_against_its_needs(
    parallel: ParallelStatefulDAGRunner, ledger: Ledger
) -> None:
    record = Recording()
    parallel.register_step("a", record.step("a"))
    parallel.register_step("b", record.step("b"), dependencies=["a"])

    with pytest.raises(ValueError, match=r"b.*a"):
        await parallel.execute(step_order=["b", "a"])

    assert (record.ran, events(ledger, parallel)) == ([], ["created"])


async def test_a_parallel_runner_takes_an_order_that_fits_its_needs(parallel: ParallelStatefulDAGRunner) -> None:
    record = Recording()
    for name, needs in (("a", []), ("b", ["a"]), ("c", [])):
        parallel.register_step(name, record.step(name), dependencies=needs)

    run = await parallel.execute(step_order=["c", "a", "b"])

    assert (record.ran, run.status) == (["c", "a", "b"], DAGRunStatus.SUCCESS)


async def test_a_need_that_is_left_out_is_met_because_it_is_skipped(parallel: ParallelStatefulDAGRunner) -> None:
    record = Recording()
    parallel.register_step("a", record.step("a"))
    parallel.register_step("b", record.step("b"), dependencies=["a"])

    run = await parallel.execute(step_order=["b"])

    assert (record.ran, run.status) == (["b"], DAGRunStatus.SUCCESS)


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.requirement("BL-082")
async def test_all_that_is_wrong_is_said_at_once_and_nothing_is_stored(
    parallel: ParallelStatefulDAGRunner, ledger: Ledger
) -> None:
    fetch = Failing(0)
    parallel.register_step("a", fetch, dependencies=["c"])
    parallel.register_step("b", fetch, dependencies=["a"])
    parallel.register_step("c", fetch, dependencies=["b", "ghost"])
    parallel.register_step("d", fetch, dependencies=["d"])
    parallel.register_step("a", fetch, dependencies=["c"])

    with pytest.raises(ValueError, match="Step") as error:
        await parallel.execute(step_order=["a", "nobody", "a"])

    said = str(error.value)
    assert "Step nobody not registered" in said
    assert "Step a is registered twice" in said
    assert "Step a comes twice in step_order" in said
    assert "Step c depends on non-existent step ghost" in said
    assert "Circular dependency: a -> c -> b -> a" in said
    assert "d" in said.split("Circular")[0].split("ghost")[1]  # it needs itself
    assert fetch.calls == 0
    assert events(ledger, parallel) == ["created"]


@pytest.mark.requirement("BL-082")
async def test_an_unknown_step_in_the_order_is_an_error(runner: StatefulDAGRunner) -> None:
    record = registered(runner, "ab")

    with pytest.raises(ValueError, match="Step x not registered"):
        await runner.execute(step_order=["a", "x"])

    assert record.ran == []


async def test_a_runner_that_refused_can_be_put_right(runner: StatefulDAGRunner) -> None:
    record = registered(runner, "ab")
    with pytest.raises(BadInput):
        await runner.execute(step_order=["a", "x"])

    run = await runner.execute(step_order=["a", "b"])

    assert (record.ran, run.status) == (["a", "b"], DAGRunStatus.SUCCESS)


@pytest.mark.requirement("BL-077")
async def test_an_unfinished_step_that_nobody_registered_again_is_an_error(new_runner: NewRunner) -> None:
    first = new_runner()
    first.register_step("a", Failing(), max_retries=0)
    first.register_step("b", Failing(0))
    await first.execute()
    again = new_runner(run_id=first.run_id)
    again.register_step("a", Failing(0))

    with pytest.raises(ValueError, match="Step b not registered"):
        await again.execute()


@pytest.mark.requirement("BL-077")
async def test_a_failed_step_that_nobody_registered_again_is_an_error_not_a_silent_failure(
    new_runner: NewRunner,
) -> None:
    """It is critical, so without it the run could not do anything: saying so beats returning FAILED."""
    first = new_runner()
    first.register_step("a", Failing(), max_retries=0)
    first.register_step("b", Failing(0))
    await first.execute()
    again = new_runner(run_id=first.run_id)
    again.register_step("b", Failing(0))

    with pytest.raises(ValueError, match="Step a not registered"):
        await again.execute()


async def test_a_finished_step_need_not_be_registered_again(new_runner: NewRunner) -> None:
    first = new_runner()
    first.register_step("a", Failing(0))
    first.register_step("b", Failing(), max_retries=0)
    await first.execute()
    again = new_runner(run_id=first.run_id)
    again.register_step("b", Failing(0))

    assert (await again.execute()).status is DAGRunStatus.SUCCESS


async def test_a_step_that_was_added_to_the_draft_but_never_registered_is_an_error(
    runner: StatefulDAGRunner, ledger: Ledger
) -> None:
    """Otherwise it would be stored, never executed, and the run would be RUNNING for ever."""
    registered(runner, "a")
    runner.dag_run.add_step("x")

    with pytest.raises(ValueError, match="Step x not registered"):
        await runner.execute()

    assert events(ledger, runner) == ["created"]


async def test_a_run_without_steps_is_over_at_once(runner: StatefulDAGRunner) -> None:
    run = await runner.execute()

    assert (run.status, dict(run.steps)) == (DAGRunStatus.SUCCESS, {})
    assert run.end_time is not None


async def test_a_parallel_resume_goes_by_the_stored_needs(new_parallel_runner: NewParallelRunner) -> None:
    first, record = new_parallel_runner(), Recording()
    first.register_step("a", record.failing_step("a"), max_retries=0)
    first.register_step("b", record.step("b"), dependencies=["a"])
    await first.execute()

    again = new_parallel_runner(run_id=first.run_id)
    again.register_step("a", record.step("a"))
    again.register_step("b", record.step("b"), dependencies=["a"])
    run = await again.execute()

    assert (record.ran, run.status) == (["a", "a", "b"], DAGRunStatus.SUCCESS)
