"""Parts of a mapped step share its key: for the door, and in run files, the step alone has it."""

from __future__ import annotations

import json
from pathlib import Path

from tasktrail.dag import DAGRunStore, DAGStepStatus, StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine.ledger import Ledger
from tasktrail.model.lifecycle import Ask, Failure
from tests.mapped import do, expand, mapped_run, task_of


def opened(ledger: Ledger, name: str) -> StatefulDAGRunner:
    with bound(Binding(ledger)):
        return StatefulDAGRunner(run_id=name)


def test_the_steps_of_a_run_are_the_steps_and_not_their_parts(ledger: Ledger) -> None:
    run = mapped_run(ledger)
    do(ledger, run, "parse", 0)
    do(ledger, run, "parse", 1)

    steps = opened(ledger, run.name).dag_run.steps

    assert list(steps) == ["fetch", "parse", "report"]
    assert steps["parse"].status is DAGStepStatus.PENDING
    assert steps["parse"].result is None


def test_a_step_looked_at_alone_or_with_all_others_is_the_same(ledger: Ledger) -> None:
    run = mapped_run(ledger)
    for index in range(3):
        do(ledger, run, "parse", index)
    do(ledger, run, "parse", -1, Ask("complete", output="[1,1,1]"))

    alone = opened(ledger, run.name).dag_run.steps["parse"]
    among_all = dict(opened(ledger, run.name).dag_run.steps)["parse"]

    assert alone.result == among_all.result == [1, 1, 1]
    assert alone.to_dict() == among_all.to_dict()


async def test_a_step_whose_parts_are_done_is_still_executed(ledger: Ledger) -> None:
    run = mapped_run(ledger)
    for index in range(3):
        do(ledger, run, "parse", index)
    runner = opened(ledger, run.name)
    for key in ("fetch", "parse", "report"):
        runner.register_step(key, lambda: "done")

    after = await runner.execute()

    assert [step.result for step in after.steps.values()] == [1, "done", "done"]


def test_a_failed_part_is_named_with_its_number(ledger: Ledger) -> None:
    run = mapped_run(ledger)
    do(ledger, run, "parse", 2, Ask("fail", failure=Failure("OSError", "no space"), outcome="error"))

    metadata = opened(ledger, run.name).dag_run.metadata

    assert [failure["step_id"] for failure in metadata["step_failures"]] == ["parse#2"]
    assert metadata["failure_reason"] == "Critical step 'parse#2' failed: no space"


def test_a_run_file_has_the_steps_alone(tmp_path: Path) -> None:
    store = DAGRunStore(tmp_path / "runs")
    runner = StatefulDAGRunner("atlas", store, dag_run_id="one")
    runner.dag_run.add_step("parse")
    runner._save()
    run = store.find("one")
    assert run is not None
    expand(store.ledger, run, "parse", ["a", "b"])
    do(store.ledger, run, "parse", 1)

    path = tmp_path / "runs" / "run_one.json"
    document = json.loads(path.read_text())
    assert document["steps"].keys() == {"parse"}
    assert document["steps"]["parse"]["status"] == "pending"

    document["steps"]["parse"]["status"] = "success"
    path.write_text(json.dumps(document))
    store.find("one")

    assert task_of(store.ledger, run, "parse").status == "completed"
    assert task_of(store.ledger, run, "parse", 0).status == "pending"
