"""A run goes on by another state of its workflow; every history is proven by the fixture."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tasktrail.engine.workflow_run import WorkflowRun
from tasktrail.model.errors import BadInput, Held
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask
from tasktrail.model.workflow import Param, StepSpec, Workflow
from tests.engine.executing import Engine
from tests.engine.test_workflow_runs import Functions, call, execute, flow, opened, part

RAN: list[str] = []


def functions(*names: str, failing: Sequence[str] = ()) -> Functions:
    """Steps that note that they ran."""

    def made(name: str):
        def work() -> str:
            RAN.append(name)
            assert name not in failing, "broken"
            return name

        return work

    return {name: made(name) for name in names}


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


def statuses(engine: Engine, run_id: int) -> dict[str, str]:
    return {str(row[1]): str(row[2]) for row in engine.rows("states_of_run", run_id=run_id)}


def stale(engine: Engine, run_id: int) -> list[object]:
    names = {row[0]: row[1] for row in engine.rows("states_of_run", run_id=run_id)}
    return [names[row[0]] for row in engine.rows("stale_of_run", run_id=run_id)]


def manual(name: str, *needs: str, words: str = "look", **options: object) -> StepSpec:
    return StepSpec(name, manual=words, needs=tuple(map(Need, needs)), **options)  # type: ignore[arg-type]


async def test_a_step_that_has_not_started_waits_for_what_it_needs_now(engine: Engine):
    began = flow(call("a"), manual("ask", "a"), call("b", "ask"), call("other", "b"))
    now = flow(call("a"), manual("ask", "a"), call("b", "a"), call("other", "ask"))
    await execute(engine, began, functions("a", "b", "other"))

    run = await execute(engine, now, functions("a", "b", "other"), accepts=True)

    assert statuses(engine, run.id) == {"a": "completed", "ask": "blocked", "b": "completed", "other": "pending"}
    assert RAN == ["a", "b"]
    engine.ledger.ask(engine.task(run.id, "ask").id, Ask("complete"))
    assert (await execute(engine, now, functions("a", "b", "other"))).status == "completed"


async def test_needs_that_turn_round_are_exchanged(engine: Engine):
    began = flow(manual("gate"), call("a", "gate"), call("b", "a"), call("c", "b"))
    now = flow(manual("gate", words="again"), call("c", "gate"), call("b", "c"), call("a", "b"))
    run = await execute(engine, began, functions("a", "b", "c"))

    await execute(engine, now, functions("a", "b", "c"), accepts=True)
    assert engine.task(run.id, "gate").reason == "again", "who is asked sees what is asked now"
    engine.ledger.ask(engine.task(run.id, "gate").id, Ask("complete"))
    await execute(engine, now, functions("a", "b", "c"))

    assert RAN == ["c", "b", "a"]


async def test_a_finished_step_keeps_its_result_and_is_stale_while_a_new_need_is_not_done(engine: Engine):
    began = flow(call("a"), call("b", "a"))
    now = flow(call("a"), manual("new"), call("b", "a", "new"), call("c", "b"))
    await execute(engine, began, functions("a", "b"))

    run = await execute(engine, now, functions("a", "b", "c"), accepts=True)

    assert statuses(engine, run.id) == {"a": "completed", "b": "completed", "new": "blocked", "c": "completed"}
    assert (RAN, stale(engine, run.id)) == (["a", "b", "c"], ["b"])


async def test_what_could_not_start_because_a_need_failed_can_once_it_needs_another(engine: Engine):
    began = flow(call("a", critical=False), call("b", "a"), call("c", "b"))
    now = flow(call("a", critical=False), call("spare"), call("b", "spare"), call("c", "b"))
    run = await execute(engine, began, functions("a", "b", "c", failing=["a"]))
    assert (run.n_unreachable, run.status) == (2, "failed")

    run = await execute(engine, now, functions("a", "spare", "b", "c", failing=["a"]), accepts=True)

    assert (run.n_unreachable, run.status) == (0, "partial")
    assert (RAN[0], sorted(RAN[1:3]), RAN[3:]) == ("a", ["a", "spare"], ["b", "c"])  # two of them in threads at once


async def test_what_needs_a_failed_step_now_can_no_longer_start(engine: Engine):
    began = flow(call("a", critical=False), manual("ask"), call("b", "ask"), call("c", "b"))
    now = flow(call("a", critical=False), manual("ask"), call("b", "ask", "a"), call("c", "b"))
    await execute(engine, began, functions("a", "b", "c", failing=["a"]))

    again = opened(engine, now, functions("a", "b", "c", failing=["a"]), accepts=True)

    assert again.run.n_unreachable == 2


async def test_a_step_that_failed_and_is_gone_stops_nothing_any_more(engine: Engine):
    began = flow(call("a"), call("b", "a"), call("c"))
    now = flow(call("b"), call("c"))
    await execute(engine, began, functions("a", "b", "c", failing=["a"]))

    run = await execute(engine, now, functions("b", "c"), accepts=True)

    assert (run.status, statuses(engine, run.id)["a"]) == ("completed", "skipped")
    assert engine.task(run.id, "a").reason == "no longer in the workflow"


async def test_a_step_that_was_gone_and_comes_back_is_done(engine: Engine):
    both, one = flow(manual("ask"), call("b", "ask")), flow(manual("ask"))
    await execute(engine, both, functions("b"))
    await execute(engine, one, functions(), accepts=True)

    run = await execute(engine, both, functions("b"), accepts=True)
    assert statuses(engine, run.id) == {"ask": "blocked", "b": "pending"}
    engine.ledger.ask(engine.task(run.id, "ask").id, Ask("complete"))

    assert (await execute(engine, both, functions("b"))).status == "completed"
    assert RAN == ["b"]


async def test_a_question_that_is_gone_is_asked_no_more(engine: Engine):
    await execute(engine, flow(manual("ask"), call("b", "ask")), functions("b"))

    run = await execute(engine, flow(call("b")), functions("b"), accepts=True)

    assert (run.status, statuses(engine, run.id)) == ("completed", {"ask": "skipped", "b": "completed"})


async def test_a_mapped_step_whose_needs_change_keeps_its_parts_waiting_for_them_too(engine: Engine):
    half: Functions = {"fetch": lambda: [1, 2], "double": lambda item: _twice(item), "check": lambda: 1}
    began = flow(call("fetch"), call("double", "fetch", for_each="fetch"), call("check"))
    now = flow(call("fetch"), call("check"), call("double", "fetch", "check", for_each="fetch"))
    run = await execute(engine, began, half)
    assert part(engine, run, "double", 1).status == "failed"

    again = opened(engine, now, {**half, "double": lambda item: item}, accepts=True)
    needs = {str(row[1]) for row in engine.rows("needs_of_run", run_id=run.id)}
    assert needs == {"fetch", "check", "double"}
    done = await again.execute()

    assert (done.status, engine.task(run.id, "double").output) == ("completed", "[2,2]")


def _twice(item: int) -> int:
    assert item < 2, "broken"
    return 2 * item


async def test_a_step_that_is_mapped_no_more_is_done_once(engine: Engine):
    began = flow(call("double", for_each=(1, 2)))
    await execute(engine, began, {"double": lambda item: _twice(item)})

    run = await execute(engine, flow(call("double")), {"double": lambda: "once"}, accepts=True)

    assert (run.status, engine.task(run.id, "double").output) == ("completed", '"once"')
    assert part(engine, run, "double", 1).status == "skipped"


async def test_params_of_a_run_are_taken_over_with_the_changes(engine: Engine):
    began = flow(call("a"), manual("ask"), params={"day": Param(), "old": Param(default="x", required=False)})
    now = flow(call("a"), manual("ask"), call("b"), params={"day": Param(), "n": Param("integer", 2, required=False)})
    await execute(engine, began, functions("a"), params={"day": "monday"})

    run = await execute(
        engine, now, {**functions("a"), "b": lambda day, n: [day, n]}, params={"day": "friday"}, accepts=True
    )

    assert engine.task(run.id, "b").output == '["friday",2]'
    assert json.loads(str(engine.run(run.id).metadata))["params"] == {"day": "friday", "n": 2}
    needs = flow(call("a"), manual("ask"), call("b"), params={"day": Param(), "must": Param()})
    with pytest.raises(BadInput, match=r"param must \(string\) is missing"):
        opened(engine, needs, {**functions("a"), "b": lambda day: day}, accepts=True)


async def test_refused_are_another_workflow_a_cycle_and_a_run_that_is_executed(engine: Engine):
    began = flow(call("a"), manual("ask"))
    opened(engine, began, functions("a"))
    before = len(engine.rows("fold_events", run_id=1))
    with pytest.raises(BadInput, match="run r is a run of workflow etl, not of other") as refused:
        opened(engine, Workflow("other", began.steps), functions("a"), accepts=True)
    assert refused.value.hint == "begin a run of other; or, where only its name changed, call it etl again"
    cycle = flow(call("a", "ask"), manual("ask", "a"))
    with pytest.raises(BadInput, match="cannot be a graph") as refused:
        opened(engine, cycle, functions("a"), accepts=True)
    assert list(refused.value.details) == ["tasks need each other in a cycle: a -> ask -> a"]
    refusals: list[Held] = []

    def a() -> None:
        try:
            WorkflowRun.open(engine.ledger, flow(call("a")), "r", {}, functions=functions("a"), accepts=True)
        except Held as error:
            refusals.append(error)

    assert len(engine.rows("fold_events", run_id=1)) == before
    await execute(engine, began, {"a": a}, accepts=True)
    assert len(refusals) == 1
