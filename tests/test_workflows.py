"""Workflows in Python: steps that stay functions, a function that draws the graph, and what comes of a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasktrail import Retry, step, workflow
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.errors import BadInput, Conflict, RunFailed
from tasktrail.model.graph import Need
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty store; whatever a test did to it, its history must fold to its rows."""
    store = open_store(str(tmp_path / "tasks.db"), synchronous="normal")
    yield Ledger(store, actor="tester", clock=FakeClock())
    assert verify(store) == []
    store.close()


@step
def fetch(day: str) -> dict[str, Any]:
    """Get the rows of a day."""
    return {"day": day, "rows": [1, 2, 3]}


@step
async def double(row: int, factor: int = 2) -> int:
    return row * factor


@step
def total(rows: list[int]) -> int:
    return sum(rows)


@workflow
def report(day: str = "monday") -> Any:
    """Add up a day."""
    fetched = fetch(day)
    rows: Any = double.map(fetched["rows"], factor=10)
    return {"day": fetched["day"], "total": total(rows)}


def test_a_step_is_a_function_outside_of_workflows() -> None:
    assert fetch("monday") == {"day": "monday", "rows": [1, 2, 3]}
    assert total([1, 2]) == 3
    assert fetch.__doc__ == "Get the rows of a day."


def test_a_workflow_is_drawn_from_its_calls() -> None:
    flow = report.workflow

    assert (flow.name, flow.description) == ("report", "Add up a day.")
    assert [(spec.id, [need.key for need in spec.needs], spec.for_each) for spec in flow.steps] == [
        ("fetch", [], None),
        ("double", ["fetch"], "fetch.rows"),
        ("total", ["double"], None),
    ]
    assert [dict(spec.arguments) for spec in flow.steps] == [
        {"day": "{params.day}"},
        {"row": "{item}", "factor": 10},
        {"rows": "{double}"},
    ]


def test_a_run_gives_what_the_function_returned_with_results_in_place_of_nodes(ledger: Ledger) -> None:
    result = report.run(day="friday", ledger=ledger)

    assert (result.status, result.value) == ("completed", {"day": "friday", "total": 60})
    assert result.check() is result


async def test_a_run_can_be_awaited_and_gone_on_with(ledger: Ledger) -> None:
    first = await report.execute(run_id="r", ledger=ledger)
    again = await report.execute(run_id="r", ledger=ledger)

    assert (first.value, again) == ({"day": "monday", "total": 60}, first)
    with pytest.raises(Conflict, match="run r was begun with other params"):
        await report.execute(run_id="r", ledger=ledger, day="friday")


def test_a_failure_is_in_the_result_and_raised_when_asked(ledger: Ledger) -> None:
    @step(retries=Retry(1, delay=0.5))
    def broken() -> None:
        raise ValueError("no disk")

    @workflow
    def flow() -> Any:
        return total([broken(), 1])  # type: ignore[list-item]  # a node, while it is drawn

    result = flow.run(ledger=ledger, run_id="r")

    assert (result.status, result.value, result.errors) == ("failed", None, {"broken": "ValueError: no disk"})
    with pytest.raises(RunFailed, match="run r is failed"):
        result.check()


def test_a_step_whose_code_changed_is_named_when_a_run_goes_on(ledger: Ledger) -> None:
    def flow_of(*, mended: bool) -> Any:
        if mended:

            def work() -> int:
                return 7

        else:

            def work() -> int:
                raise ValueError("no disk")

        @workflow
        def flow() -> Any:
            return step(work)()

        return flow

    flow_of(mended=False).run(ledger=ledger, run_id="r")
    mended = flow_of(mended=True)

    with pytest.raises(Conflict, match="run r goes by another state") as error:
        mended.run(ledger=ledger, run_id="r")

    assert error.value.hint == "run(run_id='r', accept_changes=True)"
    assert mended.run(ledger=ledger, run_id="r", accept_changes=True).value == 7


def test_the_same_step_twice_gets_two_ids_and_options_change_it() -> None:
    @workflow
    def flow() -> None:
        first = fetch("a")
        fetch("b")
        fetch.options(id="third", when="fetch.rows", after=[first], timeout="5m", critical=False)("c")  # type: ignore[list-item]  # a node

    third = flow.workflow.by_id["third"]

    assert list(flow.workflow.by_id) == ["fetch", "fetch_2", "third"]
    assert (third.needs, third.when, third.timeout_ms, third.critical) == (
        (Need("fetch"),),
        "fetch.rows",
        300_000,
        False,
    )


def test_braces_in_an_argument_are_no_path(ledger: Ledger) -> None:
    @step
    def say(words: str) -> str:
        return words

    @workflow
    def flow() -> Any:
        return say("{not.a.path}")

    assert flow.run(ledger=ledger).value == "{not.a.path}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda: tuple(fetch("a")["rows"]), "fetch.rows is known only when the workflow runs"),
        (lambda: 1 if fetch("a") else 2, "nothing can be decided by it here"),
        (lambda: fetch("a", "b"), "step fetch.* cannot be called like this: too many positional arguments"),  # type: ignore[call-arg]  # that is the point
    ],
)
def test_what_cannot_be_known_yet_is_told_while_the_workflow_is_drawn(body: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        workflow(body).workflow  # noqa: B018 - it is drawn when it is asked for


def test_an_option_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="a step has no option 'retrys'"):
        step(retrys=3)(fetch.function)


def test_params_must_fit(ledger: Ledger) -> None:
    with pytest.raises(BadInput, match="expected param day to be of the type string, got: 3"):
        report.run(day=3, ledger=ledger)


def test_the_names_are_public_and_cost_nothing_until_they_are_used() -> None:
    code = "import tasktrail, sys; assert 'tasktrail.workflows' not in sys.modules; print(callable(tasktrail.workflow))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("True\n", "")
