"""Which run a runner is for: both documented forms of its constructor, and the rules of ids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasktrail.dag import DAGRunStatus, RetryBackoffStrategy, StatefulDAGRunner
from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import NotFound
from tasktrail.model.run import Run
from tasktrail.testing import FakeClock
from tests.dag.conftest import NewRunner
from tests.dag.executors import Failing


async def one() -> int:
    return 1


def stored(ledger: Ledger, runner: StatefulDAGRunner) -> Run | None:
    """Return the row of a runner's run."""
    found = ledger.store.read(lambda tx: tx.runs("runs_by_name", name=runner.run_id, kind="dag"))
    return found[0] if found else None


@pytest.mark.requirement("BL-067", "BL-069")
def test_a_dag_id_makes_a_new_run_that_is_stored_at_once(ledger: Ledger, new_runner: NewRunner) -> None:
    runner = new_runner("etl")

    row = stored(ledger, runner)

    assert row is not None
    assert (row.workflow, row.status, runner.dag_run.status) == ("etl", "created", DAGRunStatus.CREATED)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", runner.run_id)


@pytest.mark.requirement("BL-067", "BL-070")
async def test_a_run_id_loads_a_run_with_its_steps(new_runner: NewRunner) -> None:
    first = new_runner("etl")
    first.register_step("fetch", one, max_retries=7)
    await first.execute()

    again = new_runner("etl", run_id=first.run_id)

    assert list(again.dag_run.steps) == ["fetch"]
    assert again.dag_run.steps["fetch"].max_retries == 7
    assert again.dag_run.steps["fetch"].result == 1


@pytest.mark.requirement("BL-067")
def test_a_run_id_needs_no_dag_id(new_runner: NewRunner) -> None:
    assert new_runner(run_id=new_runner("etl").run_id).dag_id == "etl"


@pytest.mark.requirement("BL-067")
def test_an_unknown_run_id_is_an_error_that_names_it(new_runner: NewRunner) -> None:
    with pytest.raises(ValueError, match="DAGRun nightly-7 not found") as error:
        new_runner("etl", run_id="nightly-7")

    assert isinstance(error.value, NotFound)


@pytest.mark.requirement("BL-067")
def test_the_run_of_another_dag_is_refused(new_runner: NewRunner) -> None:
    run_id = new_runner("etl").run_id

    with pytest.raises(ValueError, match=f"DAGRun {run_id} is for DAG etl, not billing"):
        new_runner("billing", run_id=run_id)


@pytest.mark.requirement("BL-068")
def test_a_dag_run_id_is_created_and_then_gone_on_with(new_runner: NewRunner) -> None:
    first = new_runner(dag_run_id="my-dag-123")
    again = new_runner(dag_run_id="my-dag-123")

    assert (first.run_id, first.dag_id) == ("my-dag-123", "my-dag-123")
    assert again._record.row_id == first._record.row_id


@pytest.mark.requirement("BL-068")
def test_a_dag_run_id_may_come_with_a_dag_id(new_runner: NewRunner) -> None:
    runner = new_runner("etl", dag_run_id="my-dag-123")

    assert (runner.run_id, runner.dag_id) == ("my-dag-123", "etl")


@pytest.mark.requirement("BL-067", "BL-068")
def test_one_id_is_needed_and_one_run_is_named(new_runner: NewRunner) -> None:
    with pytest.raises(TypeError, match="needs a dag_id, a run_id or a dag_run_id"):
        new_runner(dag_id=None)
    with pytest.raises(ValueError, match="not both"):
        new_runner(run_id="a", dag_run_id="b")


@pytest.mark.requirement("BL-068")
async def test_delay_and_backoff_of_the_runner_hold_for_steps_that_do_not_say(
    new_runner: NewRunner, clock: FakeClock
) -> None:
    runner = new_runner(dag_run_id="my-dag-123", retry_delay=2.0, retry_backoff=RetryBackoffStrategy.LINEAR)
    runner.register_step("fetch", Failing(2))
    runner.register_step("save", Failing(1), retry_delay=5.0)

    await runner.execute()

    assert clock.sleeps == [2.0, 4.0, 5.0]


def test_a_runner_without_a_store_uses_the_project_of_the_working_folder(tmp_path: Path) -> None:
    runner = StatefulDAGRunner("etl")

    assert (tmp_path / ".tasktrail" / "tasktrail.db").is_file()
    assert StatefulDAGRunner(run_id=runner.run_id).dag_id == "etl"
