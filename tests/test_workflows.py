"""Workflows in Python: steps that stay functions, a function that draws the graph, and what comes of a run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

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
        fetch.options(id="third", when="fetch.rows", after=[first], timeout="5m", critical=False)("c")

    third = flow.workflow.by_id["third"]

    assert list(flow.workflow.by_id) == ["fetch", "fetch_2", "third"]
    assert (third.needs, third.when, third.timeout_ms, third.critical) == (
        (Need("fetch"),),
        "fetch.rows",
        300_000,
        False,
    )


def test_a_step_that_is_called_thousands_of_times_is_numbered_at_once() -> None:
    """Looking for the first free number each time took minutes."""
    often = workflow(lambda: [fetch.options(id="fetch_2")("x"), *(fetch("x") for _ in range(5_000))])

    began = time.monotonic()
    ids = list(often.workflow.by_id)

    assert (ids[:4], ids[-1]) == (["fetch_2", "fetch", "fetch_3", "fetch_4"], "fetch_5001")
    assert time.monotonic() - began < 20


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
        (lambda: fetch("a") == {}, "nothing can be decided by it here"),
        (lambda: fetch(f"{fetch('a')}"), "nothing can be written of it here"),
        (lambda: total({fetch("a"): 1}), "cannot be the key of a dictionary"),  # type: ignore[arg-type]  # that is the point
        (lambda: fetch("a")["rows.0"], "expected a part of fetch to be a plain name or an index from 0, got: 'rows.0'"),
        (lambda: fetch("a")[-1], "expected a part of fetch to be a plain name or an index from 0, got: -1"),  # type: ignore[index]  # that is the point
        (lambda: total({1}), "argument rows of step total is not JSON: Object of type set"),  # type: ignore[arg-type]  # that is the point
        (lambda: total([float("nan")]), "argument rows of step total is not JSON: Out of range float"),  # type: ignore[list-item]  # that is the point
        (lambda: double.map("abc"), "expected double.map to be given a list, or a result that will be one, got: 'abc'"),
        (lambda: double.map([fetch("a")]), "expected double.map to be given a list"),
        (lambda: fetch.options(after=["fetch"])("a"), "expected after to be steps that were called before"),
        (lambda: report(), "workflow report is executed by run, not by a call"),
    ],
)
def test_what_cannot_be_known_yet_is_told_while_the_workflow_is_drawn(body: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        workflow(body).workflow  # noqa: B018 - it is drawn when it is asked for


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"retrys": 3}, "a step has no option 'retrys'; did you mean retries?"),
        ({"retries": "3"}, "expected retries to be a whole number from 0 or a Retry, got: '3'"),
        ({"labels": "gpu"}, "expected labels to be a list of texts, got: 'gpu'"),
        ({"limits": {"api": 0}}, "expected limits to be whole numbers from 1 by name, got: {'api': 0}"),
        ({"critical": "no"}, "expected critical to be True or False, got: 'no'"),
        ({"priority": "URGENT"}, "expected priority to be a whole number or one of CRITICAL, HIGH, MEDIUM, LOW, got"),
        ({"effect": "never"}, "expected effect to be at_least_once or at_most_once, got: 'never'"),
        ({"cache": "500ms"}, "expected cache to be whole seconds, got: '500ms'"),
        ({"timeout": 0}, "expected timeout to be from 1ms to 3650d, got: 0"),
        ({"when": 3}, "expected when to be a text, got: 3"),
        ({"id": "größe"}, "expected the id of a step to be 1-64 characters of A-Z a-z 0-9 _ -"),
    ],
)
def test_an_option_of_a_step_that_is_none_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as error:
        step(**options)(fetch.function)
    assert error.value.message.startswith(words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nme": "x"}, "a workflow has no option 'nme'; did you mean name?"),
        ({"name": ""}, "expected a name to be 1-200 printable characters"),
        ({"on_failure": "ignore"}, "expected on_failure to be stop or continue, got: 'ignore'"),
        ({"max_parallel": 0}, "expected max_parallel to be a whole number from 1, got: 0"),
    ],
)
def test_an_option_of_a_workflow_that_is_none_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as error:
        workflow(**options)(report.function)
    assert error.value.message.startswith(words)


def test_a_workflow_keeps_its_name_when_it_could_not_be_drawn() -> None:
    unlucky = workflow(name="etl")(lambda: bool(fetch("a")))
    for _ in range(2):
        with pytest.raises(BadInput, match="nothing can be decided"):
            unlucky.workflow  # noqa: B018 - it is drawn when it is asked for
        assert unlucky._options["name"] == "etl"


def test_a_function_that_cannot_draw_is_no_workflow() -> None:
    async def later() -> Any:
        return fetch("a")

    def one_by_one() -> Iterator[Any]:
        yield fetch("a")

    for function in (later, one_by_one):
        with pytest.raises(BadInput, match="to be a plain function: it only draws the steps"):
            workflow(function)


def test_arguments_without_names_are_refused() -> None:
    @step
    def adds(*parts: int) -> int:
        return sum(parts)

    assert adds(1, 2) == 3
    with pytest.raises(BadInput, match=r"step adds.* is given arguments as \*parts"):
        workflow(lambda: adds(1, 2)).workflow  # noqa: B018 - it is drawn when it is asked for


def test_a_method_stays_one_and_is_no_step_of_a_workflow() -> None:
    class Scale:
        factor = 3

        @step
        def times(self, number: int) -> int:
            return number * self.factor

    assert Scale().times(2) == 6
    with pytest.raises(BadInput, match="argument self of step times is not JSON"):
        workflow(lambda: Scale().times(2)).workflow  # noqa: B018 - it is drawn when it is asked for


def test_a_default_stands_whatever_the_workflow_calls_its_params_and_steps(ledger: Ledger) -> None:
    @step
    def says(day: str = "own", fetch: str = "own", run: str = "own", *, other: str = "own") -> list[str]:
        return [day, fetch, run, other]

    @workflow
    def flow(day: str = "param") -> Any:
        return says.options(after=fetch(day))()

    result = flow.run(ledger=ledger)

    assert result.value == ["own", "own", "own", "own"]
    assert flow.workflow.steps[1].arguments == {"day": "own", "fetch": "own", "run": "own"}


def test_what_is_given_is_what_is_read_again_so_the_run_goes_on(ledger: Ledger) -> None:
    @workflow
    def flow(pairs: list[Any] = ((1, 2),)) -> Any:  # type: ignore[assignment]  # that is the point
        return fetch.options(id="say")({1: (2,)}), pairs  # type: ignore[arg-type]  # that is the point

    for _ in range(2):
        said, pairs = flow.run(run_id="again", ledger=ledger, pairs=((3, 4),)).value
        assert (said["day"], pairs) == ({"1": [2]}, [[3, 4]])


def test_params_are_typed_by_annotation_then_by_default() -> None:
    @workflow
    def flow(
        some: int | None = None,
        many: list[int] = [],  # noqa: B006 - it is only looked at
        word: Literal["a", "b"] = "a",
        any_: Any = 1.5,
        plain: Any = True,
    ) -> Any:
        return total([some, many, word, any_, plain])  # type: ignore[list-item]  # that is the point

    kinds = [param.type for param in flow.workflow.params.values()]

    assert kinds == ["integer", "list", "string", "number", "boolean"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            lambda *days: fetch(days),
            "expected the params of a workflow to be named otherwise than run_id, ledger",
        ),
        (
            lambda run_id="x": fetch(run_id),
            "named otherwise than run_id, ledger, accept_changes, and given by name, got: run_id='x'",
        ),
    ],
)
def test_params_that_no_run_can_be_given_are_refused(body: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        workflow(body).workflow  # noqa: B018 - it is drawn when it is asked for


def test_a_param_of_a_type_that_no_run_can_be_given_is_refused() -> None:
    def flow(day: Path) -> Any:
        return fetch(str(day))

    with pytest.raises(BadInput, match="expected the type of a param to be one that a run can be given, got: day"):
        workflow(flow).workflow  # noqa: B018 - it is drawn when it is asked for


async def test_run_says_what_to_write_where_a_loop_runs(ledger: Ledger) -> None:
    with pytest.raises(BadInput) as error:
        report.run(ledger=ledger)
    assert (error.value.hint, error.value.__context__) == ("await report.execute(...)", None)


def test_a_part_that_a_result_does_not_have_is_told(ledger: Ledger) -> None:
    absent = workflow(lambda: fetch("a")["row"])

    with pytest.raises(BadInput, match=r"there is no fetch\.row: fetch has day, rows; did you mean rows\?"):
        absent.run(run_id="r1", ledger=ledger)


@pytest.mark.parametrize("name", ["Été à la mer", "<lambda>", "日本", ".x", "x" * 200, "-"])
def test_a_workflow_of_any_name_begins_runs(name: str, ledger: Ledger) -> None:
    assert workflow(name=name)(lambda: fetch("a")).run(ledger=ledger).status == "completed"


def test_params_must_fit(ledger: Ledger) -> None:
    with pytest.raises(BadInput, match="expected param day to be of the type string, got: 3"):
        report.run(day=3, ledger=ledger)


def test_the_names_are_public_and_cost_nothing_until_they_are_used() -> None:
    code = "import tasktrail, sys; assert 'tasktrail.workflows' not in sys.modules; print(callable(tasktrail.workflow))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("True\n", "")
