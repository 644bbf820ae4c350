"""Runs of workflows: lists, conditions, people, limits, and what a death leaves behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine import ownership, workflows
from tasktrail.engine.execution import Execution
from tasktrail.engine.gates import Gates
from tasktrail.engine.lookup import Found, history
from tasktrail.engine.verification import verify
from tasktrail.engine.workflow_run import WorkflowRun
from tasktrail.model.errors import BadInput, Conflict
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.model.workflow import Param, StepSpec, Workflow
from tasktrail.store.transaction import Transaction
from tests.engine.executing import SOON_S, Engine, until

Functions = Mapping[str, Callable[..., Any]]


def opened(engine: Engine, workflow: Workflow, functions: Functions, **options: Any) -> WorkflowRun:
    """Begin a run called `r`, or go on with it."""
    params = options.pop("params", {})
    name = options.pop("name", "r")
    run = WorkflowRun.open(engine.ledger, workflow, name, params, functions=functions, **options)
    run.waits = False
    return run


async def execute(engine: Engine, workflow: Workflow, functions: Functions, **options: Any) -> Run:
    """Execute a run called `r` and prove its history."""
    run = await asyncio.wait_for(opened(engine, workflow, functions, **options).execute(), SOON_S)
    assert verify(engine.ledger.store) == []
    return run


def flow(*steps: StepSpec, **options: Any) -> Workflow:
    return Workflow("etl", steps, **options)


def call(name: str, *needs: str, **options: Any) -> StepSpec:
    return StepSpec(name, call=f"steps:{name}", needs=tuple(Need(one) for one in needs), **options)


def part(engine: Engine, run: Run, key: str, index: int) -> Task:
    found = engine.ledger.store.read(
        lambda tx: tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=index)
    )
    assert found is not None
    return found


MAPPED = flow(call("fetch"), call("double", "fetch", for_each="fetch.items"), call("total", "double"))


def doubling(items: list[object]) -> dict[str, Callable[..., Any]]:
    return {
        "fetch": lambda: {"items": items},
        "double": lambda item, index: (index, item * 2),
        "total": lambda double: len(double),
    }


async def test_a_step_is_done_once_for_each_item_and_gives_the_list_of_results(engine: Engine) -> None:
    run = await execute(engine, MAPPED, doubling([5, 7, 9]))

    assert (run.status, run.n_completed) == ("completed", 6)
    assert engine.task(run.id, "double").output == "[[0,10],[1,14],[2,18]]"
    assert engine.task(run.id, "total").output == "3"
    assert [part(engine, run, "double", index).attempts for index in range(3)] == [1, 1, 1]


async def test_a_list_without_items_gives_a_list_without_results(engine: Engine) -> None:
    run = await execute(engine, MAPPED, doubling([]))

    assert (run.status, run.n_tasks) == ("completed", 3)
    assert engine.task(run.id, "double").output == "[]"


async def test_what_is_no_list_fails_the_step_with_what_it_is(engine: Engine) -> None:
    run = await execute(engine, MAPPED, {**doubling([]), "fetch": lambda: {"items": "abc"}})

    assert run.status == "failed"
    assert engine.task(run.id, "double").error == (
        "expected for_each of step double to find a list at fetch.items, got: a text"
    )


async def test_a_list_may_stand_in_the_workflow_itself(engine: Engine) -> None:
    lone = flow(call("greet", for_each=("ann", "bob")))

    run = await execute(engine, lone, {"greet": lambda item: f"hello {item}"})

    assert engine.task(run.id, "greet").output == '["hello ann","hello bob"]'


async def test_a_part_that_fails_for_good_stops_the_run_and_the_rest_go_on_when_it_is_resumed(engine: Engine) -> None:
    broken = {1}

    def double(item: int, index: int) -> int:
        if index in broken:
            raise ValueError(f"no {item}")
        return item * 2

    functions = {**doubling([5, 7, 9]), "double": double}
    run = await execute(engine, MAPPED, functions)
    assert run.status == "failed"
    assert part(engine, run, "double", 1).error == "no 7"
    assert engine.task(run.id, "total").status == "pending"

    broken.clear()
    again = await execute(engine, MAPPED, functions)

    assert again.status == "completed"
    assert engine.task(run.id, "double").output == "[10,14,18]"
    assert [part(engine, run, "double", index).attempts for index in range(3)] == [1, 2, 1]


async def test_another_list_keeps_the_parts_whose_item_is_the_same(engine: Engine) -> None:
    """The list's step is done again: item 0 stays, 1 changes, 2 is gone."""
    run = await execute(engine, MAPPED, doubling([5, 7, 9]))
    again = opened(engine, MAPPED, doubling([5, 8]))

    again.take_back("fetch")
    await asyncio.wait_for(again.execute(), SOON_S)

    assert verify(engine.ledger.store) == []
    assert engine.task(run.id, "double").output == "[[0,10],[1,16]]"
    assert engine.task(run.id, "total").output == "2"
    assert part(engine, run, "double", 2).status == "skipped"


def titles(engine: Engine, run: Run) -> list[object]:
    return [title for _, title in engine.rows("titles_of_parts", run_id=run.id)]


async def test_parts_are_called_by_the_title_of_their_step(engine: Engine) -> None:
    titled = flow(call("fetch"), call("show", "fetch", for_each="fetch.items", title="{index}: {item.name}\n{run.id}"))
    items: list[object] = [{"name": "Kyoto"}, {"name": "Oslo"}, {"other": 1}]
    functions: Functions = {"fetch": lambda: {"items": items}, "show": lambda item: 1}
    run = await execute(engine, titled, functions)

    assert titles(engine, run) == ["0: Kyoto r", "1: Oslo r"], "what a title names may be missing"

    items[1] = {"name": "Bergen"}
    opened(engine, titled, functions).take_back("fetch")
    await execute(engine, titled, functions)
    assert titles(engine, run) == ["0: Kyoto r", "1: Bergen r"]


async def test_a_step_whose_condition_is_false_is_skipped_and_what_needs_it_goes_on(engine: Engine) -> None:
    asked = flow(
        call("fetch"),
        call("publish", "fetch", when="fetch.fresh"),
        call("end", "publish"),
    )

    run = await execute(
        engine, asked, {"fetch": lambda: {"fresh": False}, "publish": lambda: 1, "end": lambda publish: publish}
    )

    assert run.status == "completed"
    skipped = engine.task(run.id, "publish")
    assert (skipped.status, skipped.reason, skipped.attempts) == ("skipped", "when: fetch.fresh", 0)
    assert engine.task(run.id, "end").output is None


async def test_a_condition_that_names_what_is_not_there_fails_the_step_and_says_so(engine: Engine) -> None:
    asked = flow(call("fetch"), call("publish", "fetch", when="fetch.fresh"))

    run = await execute(engine, asked, {"fetch": lambda: {"old": 1}, "publish": lambda: 1})

    assert engine.task(run.id, "publish").error == "condition fetch.fresh: there is no fetch.fresh: fetch has old"


async def test_a_condition_about_the_item_is_asked_of_each_part(engine: Engine) -> None:
    some = flow(call("send", for_each=({"to": "a", "on": True}, {"to": "b", "on": False}), when="item.on"))

    run = await execute(engine, some, {"send": lambda item: item["to"]})

    assert (run.status, run.n_skipped) == ("completed", 1)
    assert engine.task(run.id, "send").output == '["a"]'


MANUAL = flow(
    call("build"),
    StepSpec("approve", manual="Look at {build.page}", needs=(Need("build"),)),
    call("publish", "approve"),
)
BUILT: Functions = {"build": lambda: {"page": "index.html"}, "publish": lambda approve: approve}


async def test_a_manual_step_waits_for_a_person_and_the_run_goes_on_with_the_answer(engine: Engine) -> None:
    run = await execute(engine, MANUAL, BUILT)
    approve = engine.task(run.id, "approve")
    assert (run.status, approve.status, approve.reason) == ("running", "blocked", "Look at index.html")

    engine.ledger.ask(approve.id, Ask("complete", output='"fine"'))
    run = await execute(engine, MANUAL, BUILT)

    assert (run.status, engine.task(run.id, "publish").output) == ("completed", '"fine"')


async def test_a_run_that_waits_notices_the_person_by_itself(engine: Engine) -> None:
    waiting = opened(engine, MANUAL, BUILT)
    waiting.waits = True
    execution = asyncio.create_task(waiting.execute())
    await until(lambda: engine.task(waiting.run.id, "approve").status == "blocked")

    engine.ledger.ask(engine.task(waiting.run.id, "approve").id, Ask("complete"))

    assert (await asyncio.wait_for(execution, SOON_S)).status == "completed"


async def test_never_more_parts_run_than_their_limit_allows(engine: Engine) -> None:
    now, most = 0, 0

    async def work(item: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    limited = flow(call("work", for_each=tuple(range(20)), limits={"api": 2}), call("other"))

    run = await execute(engine, limited, {"work": work, "other": lambda: None})

    assert (run.status, most) == ("completed", 2)


async def test_a_limit_that_is_full_holds_back_nobody_else(engine: Engine) -> None:
    order: list[str] = []
    go = asyncio.Event()

    async def slow() -> None:
        await go.wait()
        order.append("slow")

    async def free() -> None:
        order.append("free")
        go.set()

    mixed = flow(
        call("slow", limits={"api": 1}),
        call("held", limits={"api": 1}),
        call("free"),
        max_parallel=2,
    )

    await execute(engine, mixed, {"slow": slow, "held": lambda: order.append("held"), "free": free})

    assert order == ["free", "slow", "held"]


async def test_a_limit_counts_what_runs_in_other_runs_too_and_cannot_leak(engine: Engine) -> None:
    """The other run's process died: as long as its task stands in progress it counts, and then no more."""
    one = flow(call("work", limits={"api": 1}))
    other = opened(engine, one, {"work": lambda: None}, name="other")
    died, gate = Execution(engine.ledger, other.run.id), Gates(engine.ledger, one, {})

    def pick(tx: Transaction) -> list[Task]:
        ready = tx.tasks("ready_tasks", run_id=other.run.id, without=None, limit=1)
        return [task for task in ready if gate(tx)(task) == "start"]

    died.begin(["work"], pick)
    run = await execute(engine, one, {"work": lambda: 1})
    assert (run.status, engine.task(run.id, "work").status) == ("created", "pending")

    engine.ledger.ask(engine.task(other.run.id, "work").id, Ask("cancel"))
    run = await execute(engine, one, {"work": lambda: 1})

    assert run.status == "completed"


async def test_a_step_that_must_not_run_twice_asks_when_its_process_died(engine: Engine) -> None:
    paid = flow(call("pay", effect="at_most_once"), call("thank", "pay"))
    functions: Functions = {"pay": lambda: "paid", "thank": lambda pay: pay}
    begun = opened(engine, paid, functions)
    died = Execution(engine.ledger, begun.run.id)
    died.begin(["pay"], lambda tx: tx.tasks("ready_tasks", run_id=begun.run.id, without=None, limit=1))
    ownership.active.discard(died._token)

    run = await execute(engine, paid, functions)

    pay = engine.task(run.id, "pay")
    assert (run.status, pay.status, pay.attempts) == ("running", "blocked", 1)
    assert "was it done?" in str(pay.reason)
    engine.ledger.ask(pay.id, Ask("complete", output='"by hand"'))
    assert (await execute(engine, paid, functions)).status == "completed"
    assert engine.task(run.id, "thank").output == '"by hand"'


async def test_a_step_that_could_not_start_before_its_deadline_fails(engine: Engine) -> None:
    late = flow(call("first"), call("second", "first", deadline_ms=1_000))

    def first() -> None:
        engine.clock.advance(2)

    run = await execute(engine, late, {"first": first, "second": lambda: 1})

    assert (run.status, engine.task(run.id, "second").error_type) == ("failed", "DeadlineExceeded")
    assert engine.task(run.id, "second").attempts == 0


async def test_a_result_is_used_again_for_the_same_inputs_until_it_is_too_old(engine: Engine) -> None:
    cached = flow(call("add", cache_s=60), params={"n": Param("integer")})
    seen: list[int] = []

    def add(n: int) -> int:
        seen.append(n)
        return n + 1

    runs = [
        await execute(engine, cached, {"add": add}, params={"n": n}, name=f"r{place}")
        for place, n in enumerate((1, 1, 2))
    ]
    assert (seen, [engine.task(run.id, "add").output for run in runs]) == ([1, 2], ["2", "2", "3"])
    assert [engine.task(run.id, "add").attempts for run in runs] == [1, 0, 1]

    engine.clock.advance(61)
    await execute(engine, cached, {"add": add}, params={"n": 1}, name="late")
    other = await execute(engine, cached, {"add": lambda n: n + 2}, params={"n": 1}, name="other-code")

    assert seen == [1, 2, 1]
    assert engine.task(other.id, "add").output == "3"


async def test_a_result_is_used_again_whatever_else_there_is_that_the_step_does_not_get(engine: Engine) -> None:
    week = flow(
        call("plan"), call("study", "plan", for_each="plan.topics", cache_s=60), params={"day": Param("string")}
    )
    seen: list[str] = []

    def study(item: str) -> str:
        seen.append(item)
        return item.upper()

    functions: Functions = {"plan": lambda day: {"day": day, "topics": ["csv", "json"]}, "study": study}
    for day in ("monday", "tuesday"):
        run = await execute(engine, week, functions, params={"day": day}, name=day)

    assert sorted(seen) == ["csv", "json"]
    assert engine.task(run.id, "study").output == '["CSV","JSON"]'


@pytest.mark.parametrize(
    ("needs", "add"),
    [(["check"], lambda fetch: fetch + 1), (["check", "fetch"], lambda ctx: ctx.results["fetch"] + 1)],
    ids=["from-afar", "by-ctx"],
)
async def test_a_result_is_not_used_again_when_something_that_the_step_gets_differs(
    engine: Engine, needs: list[str], add: Callable[..., int]
) -> None:
    fetched = flow(call("fetch"), call("check", "fetch"), call("add", *needs, cache_s=60))
    pages = iter([1, 2])
    functions: Functions = {"fetch": lambda: next(pages), "check": lambda: "fine", "add": add}

    runs = [await execute(engine, fetched, functions, name=name) for name in ("monday", "tuesday")]

    assert [engine.task(run.id, "add").output for run in runs] == ["2", "3"]


async def test_params_are_checked_all_at_once_and_reach_the_steps(engine: Engine) -> None:
    asked = flow(call("greet"), params={"name": Param(), "times": Param("integer", 2, required=False)})
    functions: Functions = {"greet": lambda name, times: name * times}
    with pytest.raises(BadInput) as error:
        opened(engine, asked, functions, params={"nmae": "x", "times": "many"})
    assert [error.value.message, *error.value.details] == [
        "workflow etl has no param 'nmae'; did you mean name?",
        "expected param times to be of the type integer, got: 'many'",
        "param name (string) is missing",
    ]
    assert engine.rows("run_ids") == []

    run = await execute(engine, asked, functions, params={"name": "ab"})

    assert engine.task(run.id, "greet").output == '"abab"'


async def test_a_run_goes_by_the_workflow_it_began_with_until_changes_are_accepted(engine: Engine) -> None:
    began = flow(call("a"), call("b", "a", critical=True))
    now = flow(call("a"), call("b", "a", timeout_ms=9_000), call("c", "b"))
    functions: Functions = {"a": lambda: 1, "b": lambda a: a, "c": lambda b: b + 1}
    await execute(engine, began, functions)

    with pytest.raises(Conflict, match="goes by another state of workflow etl"):
        opened(engine, now, functions)
    run = await execute(engine, now, functions, accepts=True)

    assert (run.status, run.n_tasks) == ("completed", 3)
    assert engine.task(run.id, "b").timeout_ms == 9_000
    assert opened(engine, now, functions).run.id == run.id


async def test_other_params_are_a_change_that_is_to_be_accepted(engine: Engine) -> None:
    began = flow(call("greet"), params={"name": Param()})
    functions: Functions = {"greet": lambda name: name}
    await execute(engine, began, functions, params={"name": "ann"})

    with pytest.raises(Conflict, match="run r was begun with other params") as error:
        opened(engine, began, functions, params={"name": "bob"})
    assert error.value.details == ("param name: 'ann' -> 'bob'",)
    assert opened(engine, began, functions, params={"name": "bob"}, accepts=True).params == {"name": "bob"}


async def test_a_param_that_came_later_has_its_default_and_one_that_went_is_not_missed(engine: Engine) -> None:
    began = flow(call("greet"), params={"name": Param(), "old": Param("integer", 1, required=False)})
    now = flow(
        call("greet"), call("part", "greet"), params={"name": Param(), "times": Param("integer", 2, required=False)}
    )
    functions: Functions = {"greet": lambda name: name, "part": lambda greet, times: greet * times}
    await execute(engine, began, functions, params={"name": "ann"})

    run = await execute(engine, now, functions, accepts=True)

    assert (run.status, engine.task(run.id, "part").output) == ("completed", '"annann"')


async def test_a_param_that_came_later_is_given_when_the_change_is_accepted_and_kept(engine: Engine) -> None:
    began = flow(call("a"), params={"name": Param()})
    now = flow(call("a"), call("b", "a"), params={"name": Param(), "new": Param(), "size": Param("integer", 1, False)})
    functions: Functions = {"a": lambda name: name, "b": lambda a, new, size: [a, new, size]}
    await execute(engine, began, functions, params={"name": "ann"})

    with pytest.raises(BadInput, match=r"param new \(string\) is missing"):
        opened(engine, now, functions, accepts=True)
    run = await execute(engine, now, functions, params={"new": "x", "size": 2}, accepts=True)

    assert engine.task(run.id, "b").output == '["ann","x",2]'
    assert opened(engine, now, functions).params == {"name": "ann", "new": "x", "size": 2}
    with pytest.raises(Conflict, match="run r was begun with other params") as error:
        opened(engine, now, functions, params={"new": "y"})
    assert error.value.details == ("param new: 'x' -> 'y'",)


# code that changes


CHAIN = flow(call("a"), call("b", "a"), call("c", "b"))


def broken(b: int) -> int:
    raise OSError("no disk")


async def test_a_step_whose_code_changed_is_named_and_wants_to_be_accepted(engine: Engine) -> None:
    functions: Functions = {"a": lambda: 1, "b": lambda a: a, "c": broken}
    mended: Functions = {**functions, "c": lambda b: b + 10}
    await execute(engine, CHAIN, functions)

    with pytest.raises(Conflict, match="run r goes by another state of workflow etl") as error:
        opened(engine, CHAIN, mended)
    assert error.value.details == ("step c: its code changed",)
    run = await execute(engine, CHAIN, mended, accepts=True)

    assert (run.status, engine.task(run.id, "c").output) == ("completed", "11")
    told = [event.note for event in history(engine.ledger, Found(run)).events if event.verb == "accept"]
    assert told == ["step c: its code changed"]


async def test_code_that_was_accepted_is_what_the_run_goes_by(engine: Engine) -> None:
    functions: Functions = {"a": lambda: 1, "b": lambda a: a, "c": broken}
    other: Functions = {**functions, "c": lambda b: 1 // 0}
    await execute(engine, CHAIN, functions)
    await execute(engine, CHAIN, other, accepts=True)

    assert opened(engine, CHAIN, other).run.status == "failed"
    with pytest.raises(Conflict):
        opened(engine, CHAIN, functions)


async def test_other_code_of_a_finished_step_is_no_matter_until_the_step_is_to_be_done_again(engine: Engine) -> None:
    functions: Functions = {"a": lambda: 1, "b": lambda a: a, "c": broken}
    other: Functions = {**functions, "a": lambda: 2}
    await execute(engine, CHAIN, functions)

    again = opened(engine, CHAIN, other)
    assert again.take_back("a") == 3
    again = opened(engine, CHAIN, other)
    with pytest.raises(Conflict) as error:
        opened(engine, CHAIN, {**other, "a": lambda: 3})

    assert error.value.details == ("step a: its code changed",)


async def test_a_function_that_another_one_took_the_place_of_is_told_once(engine: Engine) -> None:
    await execute(engine, CHAIN, {"a": lambda: 1, "b": lambda a: a, "c": broken})
    now = flow(call("a"), call("b", "a"), StepSpec("c", call="steps:mended", needs=(Need("b"),)))

    with pytest.raises(Conflict) as error:
        opened(engine, now, {"a": lambda: 1, "b": lambda a: a, "c": lambda b: b})

    assert error.value.details == ("step c: call steps:c -> steps:mended",)


def test_functions_that_cannot_be_called_are_named_all_at_once_and_nothing_is_stored(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "own_steps.py").write_text("number = 3\ndef good(): pass\ndef asks(for_what): pass\n", "utf-8")
    (tmp_path / "leaving_steps.py").write_text("raise SystemExit('password=hunter2')\n", "utf-8")
    broken = flow(
        StepSpec("a", call="own_steps:good"),
        StepSpec("b", call="own_steps:missing"),
        StepSpec("c", call="no_such_module:f"),
        StepSpec("d", call="own_steps:asks"),
        StepSpec("e", call="leaving_steps:f"),
        StepSpec("f", call="own_steps:number"),
        StepSpec("g", call="own_steps:good", arguments={"goods": 3}),
    )

    with pytest.raises(BadInput) as error:
        WorkflowRun.open(engine.ledger, broken, "r", {}, folder=tmp_path)

    asks = "step 'd' has a parameter 'for_what', but neither a step that it needs nor a param is called so"
    assert error.value.details == (
        "step b, call: module own_steps has no function missing",
        "step c, call: no_such_module cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        f"step d, call: {asks}; let it come after a step of that name, or give 'for_what' a default",
        "step e, call: leaving_steps cannot be imported: SystemExit: password=[secret]",
        "step f, call: expected own_steps:number to be a function, got: int",
        "step g, with: own_steps:good has no parameter goods to be given",
    )
    assert engine.rows("run_ids") == []


@pytest.mark.platform_only("PATH")
async def test_a_program_may_be_made_by_the_steps_before_and_is_looked_for_where_the_step_looks(
    engine: Engine, tmp_path: Path
) -> None:
    make = "mkdir bin && printf '#!/bin/sh\\necho made' > bin/made && chmod +x bin/made"
    found = {"PATH": f"{tmp_path}/own:/bin:/usr/bin"}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own-program").write_text("#!/bin/sh\n", "utf-8")
    (tmp_path / "own" / "own-program").chmod(0o755)
    built = flow(
        StepSpec("make", run=make),
        StepSpec("use", run=("./bin/made",), needs=(Need("make"),)),
        StepSpec("elsewhere", run=("own-program",), env=found),
    )
    run = WorkflowRun.open(engine.ledger, built, "r", {}, folder=tmp_path)

    assert (await asyncio.wait_for(run.execute(), 60)).status == "completed", run.results()
    with pytest.raises(BadInput, match="cannot execute own-program: no such program in PATH"):
        WorkflowRun.open(engine.ledger, flow(StepSpec("a", run=("own-program",))), "s", {}, folder=tmp_path)
    with pytest.raises(BadInput, match=r"cannot execute \./made: it does not exist"):
        WorkflowRun.open(engine.ledger, flow(StepSpec("a", run=("./made",))), "t", {}, folder=tmp_path)


def test_a_run_that_somebody_else_begins_meanwhile_is_gone_on_with(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, other = workflows.begin, flow(call("a"))

    def begin_second(*arguments: Any, **options: Any) -> Run:
        begin(*arguments, **options)
        return begin(*arguments, **options)

    monkeypatch.setattr(workflows, "begin", begin_second)

    assert opened(engine, other, {"a": lambda: 1}).run.name == "r"
    assert len(engine.rows("run_ids")) == 1


async def test_a_function_runs_where_its_executor_says(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "placed_steps.py").write_text(
        "import os, threading\n"
        "def who(): return [os.getpid(), threading.current_thread() is threading.main_thread()]\n"
        "async def loop(): return [os.getpid(), threading.current_thread() is threading.main_thread()]\n",
        "utf-8",
    )
    placed = flow(
        StepSpec("apart", call="placed_steps:who", executor="process"),
        StepSpec("thread", call="placed_steps:who", executor="thread"),
        StepSpec("inline", call="placed_steps:loop", executor="async"),
    )
    run = WorkflowRun.open(engine.ledger, placed, "r", {}, folder=tmp_path)

    await asyncio.wait_for(run.execute(), 60)

    results, _ = run.results()
    apart, thread, inline = (results[name] for name in ("apart", "thread", "inline"))
    assert isinstance(apart, list)
    assert apart[0] != os.getpid()
    assert (thread, inline) == ([os.getpid(), False], [os.getpid(), True])


@pytest.mark.parametrize(
    ("executor", "words"),
    [
        ("async", "executor async cannot execute steps:a, which is no coroutine function"),
        ("dask", "there is no executor"),
    ],
)
def test_an_executor_that_cannot_is_told_before_a_run_is_stored(engine: Engine, executor: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        opened(engine, flow(call("a", executor=executor)), {"a": lambda: 1})
    assert engine.rows("run_ids") == []
