"""The contract of runners and of what makes them. Source: document 003, TASK-161FC."""

from __future__ import annotations

import inspect

import pytest

import tasktrail.dag
from tasktrail.dag import (
    DAGRunnerFactory,
    DAGRunStatus,
    IDAGRunner,
    IDAGRunnerFactory,
    ParallelStatefulDAGRunner,
    StatefulDAGRunner,
)
from tests.dag.executors import Failing


@pytest.mark.requirement("BL-097")
def test_runners_inherit_the_contract() -> None:
    assert issubclass(StatefulDAGRunner, IDAGRunner)
    assert issubclass(ParallelStatefulDAGRunner, IDAGRunner)
    assert {"register_step", "execute", "cancel", "get_status"} <= IDAGRunner.__abstractmethods__
    with pytest.raises(TypeError, match="abstract"):
        IDAGRunner()  # type: ignore[abstract]  # what is tested


@pytest.mark.requirement("BL-098")
def test_the_factory_inherits_its_contract() -> None:
    assert issubclass(DAGRunnerFactory, IDAGRunnerFactory)
    assert {"create_runner", "resume_runner"} <= IDAGRunnerFactory.__abstractmethods__
    with pytest.raises(TypeError, match="abstract"):
        IDAGRunnerFactory()  # type: ignore[abstract]  # what is tested


@pytest.mark.requirement("BL-097")
@pytest.mark.parametrize("kind", [StatefulDAGRunner, ParallelStatefulDAGRunner])
@pytest.mark.parametrize("name", ["register_step", "execute"])
def test_what_the_contract_takes_every_runner_takes(kind: type[IDAGRunner], name: str) -> None:
    promised = inspect.signature(getattr(IDAGRunner, name)).parameters
    kept = inspect.signature(getattr(kind, name)).parameters

    assert list(kept)[: len(promised)] == list(promised)
    assert all(kept[key].default == promised[key].default for key in promised)


@pytest.mark.requirement("BL-099")
async def test_the_factory_makes_and_resumes_runners() -> None:
    factory = DAGRunnerFactory()
    made = factory.create_runner("etl")
    made.register_step("fetch", Failing(), max_retries=0)
    assert (await made.execute()).status is DAGRunStatus.FAILED

    loaded, resumed = factory.create_runner("etl", run_id=made.run_id), factory.resume_runner(made.run_id)

    assert (loaded.run_id, resumed.run_id, resumed.dag_id) == (made.run_id, made.run_id, "etl")
    assert list(resumed.dag_run.steps) == ["fetch"]


@pytest.mark.requirement("BL-099")
def test_what_cannot_be_resumed_is_not_found() -> None:
    with pytest.raises(ValueError, match="nightly-7 not found"):
        DAGRunnerFactory().resume_runner("nightly-7")


def test_the_doors_names_are_sorted_and_there() -> None:
    assert tasktrail.dag.__all__ == sorted(tasktrail.dag.__all__)
    assert all(getattr(tasktrail.dag, name) is not None for name in tasktrail.dag.__all__)
    with pytest.raises(AttributeError, match="nobody"):
        tasktrail.dag.nobody  # what is tested  # noqa: B018  # what is tested
