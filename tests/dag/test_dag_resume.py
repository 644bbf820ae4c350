"""Which runs can go on, what is left of them, and that going on does that and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasktrail.dag import (
    DAGResumeManager,
    DAGRun,
    DAGRunnerFactory,
    DAGRunStatus,
    DAGRunStore,
    DAGStepStatus,
    IDAGRunnerFactory,
    StatefulDAGRunner,
)
from tasktrail.engine.project import open_project
from tasktrail.engine.verification import verify
from tests.dag.executors import Failing, Recording
from tests.dag.run_files import everything, index, path_of

STEPS = ("step1", "step2", "step3")


@pytest.fixture(params=["run files", "the project"])
def store(request: pytest.FixtureRequest) -> Iterator[DAGRunStore | None]:
    """Where runs are: in files, or in the project's store alone."""
    store = DAGRunStore("runs") if request.param == "run files" else None
    yield store
    if Path(".tasktrail").exists():
        assert verify(store.ledger.store if store else open_project().store) == []


def runner(store: DAGRunStore | None, run_id: str = "r1", dag_id: str = "etl") -> StatefulDAGRunner:
    return StatefulDAGRunner(dag_id, store, dag_run_id=run_id)


def register(runner: StatefulDAGRunner, second: Any, recording: Recording, **options: Any) -> None:
    runner.register_step("step1", recording.step("step1"))
    runner.register_step("step2", second, **{"max_retries": 1, "retry_delay": 0.001, **options})
    runner.register_step("step3", recording.step("step3"))


async def failed(store: DAGRunStore | None, recording: Recording, run_id: str = "r1", **options: Any) -> DAGRun:
    """A run whose second step fails for good, so that the third one never starts."""
    first = runner(store, run_id)
    register(first, recording.failing_step("step2"), recording, **options)
    return await first.execute()


def own(store: DAGRunStore | None) -> DAGRunStore | None:
    """Another object for the same place, as the next process makes it."""
    return DAGRunStore("runs") if store else None


# ------------------------------------------------------------------------------------------------------- what is asked


@pytest.mark.requirement("BL-075", "BL-099")
async def test_a_failed_run_can_be_resumed_and_says_what_is_left(store: DAGRunStore | None) -> None:
    run = await failed(store, Recording())
    manager = DAGResumeManager(own(store))

    assert run.status is DAGRunStatus.FAILED
    assert manager.can_resume("r1") == (True, "failed: 1 failed and 1 unfinished steps")
    assert manager.get_resume_state("r1") == {
        "run_id": "r1", "dag_id": "etl", "status": "failed", "completed_steps": ["step1"], "failed_steps": ["step2"],
        "skipped_steps": ["step3"], "remaining_steps": [], "resume_count": 0,
    }  # fmt: skip


@pytest.mark.requirement("BL-075")
async def test_a_run_that_succeeded_cannot(store: DAGRunStore | None) -> None:
    first, recording = runner(store), Recording()
    register(first, recording.step("step2"), recording)
    await first.execute()
    manager = DAGResumeManager(own(store))

    assert manager.can_resume("r1") == (False, "already completed successfully")
    assert manager.get_resume_state("r1")["completed_steps"] == list(STEPS)
    assert manager.get_resume_statistics()["resume_candidates"] == []


async def test_a_run_that_never_began_or_was_cancelled_can(store: DAGRunStore | None) -> None:
    register(first := runner(store), Failing(0), Recording())
    manager = DAGResumeManager(store)
    assert manager.can_resume("r1") == (True, "created: 0 of 0 steps are left")

    first._save()
    assert manager.can_resume("r1") == (True, "created: 3 of 3 steps are left")
    assert manager.get_resume_state("r1")["remaining_steps"] == list(STEPS)
    await first.cancel()
    assert manager.can_resume("r1") == (True, "cancelled: 0 failed and 3 unfinished steps")


async def test_a_run_that_is_being_executed_names_who_does_it(store: DAGRunStore | None) -> None:
    said: list[tuple[bool, str]] = []
    first = runner(store)
    first.register_step("step1", lambda: said.append(DAGResumeManager(store).can_resume("r1")))
    await first.execute()

    assert said[0][0] is False
    assert said[0][1].startswith("is being executed by process ")


@pytest.mark.requirement("BL-099")
@pytest.mark.parametrize("run_id", ["nope", "../etc", "a\0b", "", "🚀"], ids=ascii)
def test_an_unknown_run_is_not_found_and_asking_makes_nothing(store: DAGRunStore | None, run_id: str) -> None:
    manager = DAGResumeManager(store)

    assert manager.can_resume(run_id) == (False, f"DAGRun {run_id} not found")
    for ask in (manager.get_resume_state, manager.resume_runner):
        with pytest.raises(ValueError, match="not found"):
            ask(run_id)
    assert manager.get_resume_statistics() == {
        "total_runs": 0, "resumable_runs": 0, "failed_runs": 0, "resume_candidates": [],
    }  # fmt: skip
    assert list(Path().iterdir()) == []


def test_a_manager_sees_runs_of_a_store_that_was_made_after_it() -> None:
    manager = DAGResumeManager()
    runner(None)

    assert manager.can_resume("r1")[0]


async def test_statistics_count_what_can_go_on(store: DAGRunStore | None) -> None:
    recording = Recording()
    for number in range(2):
        done = runner(store, f"done{number}", "nightly")
        done.register_step("step1", recording.step("step1"))
        await done.execute()
    await failed(store, recording, "bad")
    await failed(store, recording, "partly", critical=False)
    runner(store, "new", "weekly")

    found = DAGResumeManager(own(store)).get_resume_statistics()

    assert (found["total_runs"], found["resumable_runs"], found["failed_runs"]) == (5, 3, 2)
    assert found["resume_candidates"] == [
        {"run_id": "new", "dag_id": "weekly", "status": "created", "completed_steps": 0, "total_steps": 0},
        {"run_id": "partly", "dag_id": "etl", "status": "partial_success", "completed_steps": 2, "total_steps": 3},
        {"run_id": "bad", "dag_id": "etl", "status": "failed", "completed_steps": 1, "total_steps": 3},
    ]


async def test_a_candidate_is_named_as_its_files_are_where_the_project_calls_it_otherwise() -> None:
    here, there = DAGRunStore("here"), DAGRunStore("there")
    await failed(here, Recording())
    await failed(there, Recording())
    manager = DAGResumeManager(there)

    candidates = manager.get_resume_statistics()["resume_candidates"]
    assert [one["run_id"] for one in candidates] == ["r1"]
    assert manager.get_resume_state("r1")["run_id"] == "r1"
    assert manager.resume_runner("r1").run_id == "r1"


# --------------------------------------------------------------------------------------------------------- going on


@pytest.mark.requirement("BL-075", "BL-076", "BL-077", "BL-098", "BL-099")
async def test_going_on_executes_what_is_left_and_nothing_else(store: DAGRunStore | None) -> None:
    recording = Recording()
    await failed(store, recording)
    again = DAGResumeManager(own(store)).resume_runner("r1")
    register(again, recording.step("step2"), recording)

    run = await again.execute()

    assert recording.ran == ["step1", "step2", "step2", "step2", "step3"]  # two tries before, one now
    assert run.status is DAGRunStatus.SUCCESS
    assert run.metadata["resume_count"] == 1
    assert run.metadata["resumed_at"] > run.created_at.isoformat()
    assert DAGResumeManager(store).can_resume("r1") == (False, "already completed successfully")
    assert DAGResumeManager(store).get_resume_state("r1")["resume_count"] == 1


@pytest.mark.requirement("BL-076")
async def test_going_on_begins_a_fresh_budget_of_retries(store: DAGRunStore | None) -> None:
    await failed(store, Recording(), max_retries=2)
    second, again = Failing(2), DAGResumeManager(own(store)).resume_runner("r1")
    register(again, second, Recording())

    run = await again.execute()

    assert (run.status, second.calls, run.steps["step2"].retry_count) == (DAGRunStatus.SUCCESS, 3, 2)


@pytest.mark.requirement("BL-076")
async def test_it_may_fail_again_and_still_go_on(store: DAGRunStore | None) -> None:
    recording = Recording()
    await failed(store, recording)
    again = DAGResumeManager(own(store)).resume_runner("r1")
    register(again, recording.failing_step("step2"), recording)

    assert (await again.execute()).status is DAGRunStatus.FAILED

    assert DAGResumeManager(store).can_resume("r1") == (True, "failed: 1 failed and 1 unfinished steps")
    last = DAGResumeManager(store).resume_runner("r1")
    register(last, recording.step("step2"), recording)
    run = await last.execute()
    assert (run.status, run.metadata["resume_count"]) == (DAGRunStatus.SUCCESS, 2)
    assert recording.ran.count("step1") == 1
    assert len(run.steps["step2"].metadata["error_history"]) == 4


@pytest.mark.requirement("BL-076")
async def test_resetting_the_statuses_by_hand_first_ends_well_too(store: DAGRunStore | None) -> None:
    recording = Recording()
    await failed(store, recording)
    again = DAGResumeManager(own(store)).resume_runner("r1")
    for key in ("step2", "step3"):
        again.dag_run.steps[key].status = DAGStepStatus.PENDING
        again.dag_run.steps[key].retry_count = 0
        again.dag_run.steps[key].error = None
    again.dag_run.status = DAGRunStatus.RUNNING
    register(again, recording.step("step2"), recording)

    run = await again.execute()

    assert (run.status, recording.ran.count("step1"), recording.ran[-2:]) == (
        DAGRunStatus.SUCCESS, 1, ["step2", "step3"],
    )  # fmt: skip


@pytest.mark.requirement("BL-077")
async def test_a_step_that_a_person_skipped_stays_skipped(store: DAGRunStore | None) -> None:
    recording = Recording()
    await failed(store, recording)
    again = DAGResumeManager(own(store)).resume_runner("r1")
    again.dag_run.steps["step2"].skip("not needed any more")
    register(again, recording.step("step2"), recording)

    run = await again.execute()

    assert run.status is DAGRunStatus.SUCCESS
    assert recording.ran == ["step1", "step2", "step2", "step3"]
    assert run.steps["step2"].metadata["skip_reason"] == "not needed any more"


async def test_the_file_and_the_index_say_that_it_went_on() -> None:
    store, recording = DAGRunStore("runs"), Recording()
    await failed(store, recording)
    assert index(store)["r1"]["status"] == "failed"
    again = DAGResumeManager(store).resume_runner("r1")
    register(again, recording.step("step2"), recording)
    await again.execute()

    assert index(store)["r1"]["status"] == "success"
    before = everything(path_of(store).parent)
    DAGResumeManager(store).get_resume_statistics()
    assert everything(path_of(store).parent) == before


# ------------------------------------------------------------------------------------------------------------ factory


@pytest.mark.requirement("BL-098", "BL-099")
async def test_the_factory_makes_runners_for_new_and_for_known_runs(store: DAGRunStore | None) -> None:
    factory = DAGRunnerFactory()
    assert isinstance(factory, IDAGRunnerFactory)
    made = factory.create_runner("etl", store)
    known = factory.create_runner("etl", store, made.run_id)
    resumed = factory.resume_runner(made.run_id, store)

    assert len(made.run_id) == 36
    assert (known.run_id, known.dag_id, resumed.run_id, resumed.dag_id) == (made.run_id, "etl", made.run_id, "etl")
    with pytest.raises(ValueError, match="DAGRun nope not found"):
        factory.resume_runner("nope", store)
    with pytest.raises(ValueError, match="DAGRun nope not found"):
        factory.create_runner("etl", store, "nope")
    with pytest.raises(ValueError, match=f"DAGRun {made.run_id} is for DAG etl, not other"):
        factory.create_runner("other", store, made.run_id)


@pytest.mark.requirement("BL-098")
def test_the_factory_interface_cannot_be_made_itself() -> None:
    with pytest.raises(TypeError, match="abstract"):
        IDAGRunnerFactory()  # type: ignore[abstract]  # what is tested
