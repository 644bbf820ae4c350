"""Workflows as values: what is wrong with one, how it is stored, and what changed between two."""

from __future__ import annotations

import dataclasses
import doctest
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model import suggestion, workflow, workflow_changes, workflow_check, workflow_record
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need, find_cycles
from tasktrail.model.retry import BACKOFFS, RetryPolicy
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.workflow import EFFECTS, PARAM_TYPES, Param, StepSpec, Workflow, is_of_type
from tasktrail.model.workflow_changes import workflow_differences
from tasktrail.model.workflow_check import check_workflow, workflow_faults
from tasktrail.model.workflow_record import workflow_from_dict, workflow_hash, workflow_to_dict


@pytest.mark.parametrize("module", [workflow, workflow_check, workflow_record, workflow_changes, suggestion])
def test_docstring_examples_hold(module) -> None:
    assert doctest.testmod(module).failed == 0


def flow(*listed: StepSpec, **values) -> Workflow:
    return Workflow("w", listed, **values)


def hash_of(made: Workflow) -> str:
    return workflow_hash(workflow_to_dict(made))


def step(key: str, *needs: str, **values) -> StepSpec:
    return StepSpec(key, **({"run": ("x",)} | values), needs=tuple(Need(one) for one in needs))


# ------------------------------------------------------------------------------------------------------------ checking


def test_a_workflow_that_is_fine_is_accepted() -> None:
    check_workflow(flow(step("a"), step("b", "a", run=("{a.x}", "{run.id}"), when="a.n > 0")))


@pytest.mark.requirement("BL-126")
def test_a_cycle_is_named() -> None:
    with pytest.raises(BadInput) as error:
        check_workflow(flow(step("a", "c"), step("b", "a"), step("c", "b"), step("d", "d", "e")))

    assert str(error.value) == (
        "workflow w cannot be executed\n"
        "  - step d, depends_on: expected other steps, got: d, which would need itself\n"
        "  - step d, depends_on: there is no step e\n"
        "  - step a, depends_on: tasks need each other in a cycle: a -> c -> b -> a"
    )


def test_faults_have_places_in_the_workflow() -> None:
    faults = workflow_faults(flow(step("a"), step("b", "x", run=("{y.z}",), env={"E": "a{"}), env={"F": "{q}"}))

    assert [(fault.at, fault.offset) for fault in faults] == [
        (("steps", 1, "depends_on", "x"), None),
        (("env", "F"), 1),
        (("steps", 1, "run", 0), 1),
        (("steps", 1, "env", "E"), 1),
    ]


def test_a_workflow_without_steps_is_refused() -> None:
    with pytest.raises(BadInput, match="steps: expected at least one step, got: none"):
        check_workflow(flow())


def test_a_path_of_a_step_that_is_in_a_cycle_is_not_judged() -> None:
    faults = [fault.what for fault in workflow_faults(flow(step("a", "b"), step("b", "a"), step("c", run=("{a.x}",))))]

    assert faults == ["tasks need each other in a cycle: a -> b -> a"]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7))))
def test_a_result_is_there_exactly_for_steps_that_need_it(edges: list[tuple[int, int]]) -> None:
    forward = {(min(edge), max(edge)) for edge in edges if edge[0] != edge[1]}
    names = [f"s{n}" for n in range(8)]
    needs = {name: [f"s{low}" for low, high in forward if f"s{high}" == name] for name in names}
    reached: dict[str, set[str]] = {}
    for name in names:
        reached[name] = {one for need in needs[name] for one in {need} | reached[need]}

    for asked in names:
        steps = [step(name, *needs[name], run=("{" + asked + ".x}",)) for name in names]
        refused = {fault.at[1] for fault in workflow_faults(flow(*steps))}
        assert refused == {n for n, name in enumerate(names) if asked not in reached[name]}


@pytest.mark.parametrize(
    ("needs", "cycles"),
    [("", []), ("ab ba", ["aba"]), ("ab bc ca", ["abca"]), ("aa", []), ("ab ba cd dc", ["aba", "cdc"])],
)
def test_cycles_are_found_each_once(needs: str, cycles: list[str]) -> None:
    graph: dict[str, list[Need]] = {}
    for edge in needs.split():
        graph.setdefault(edge[0], []).append(Need(edge[1]))

    assert ["".join(cycle) for cycle in find_cycles(graph)] == cycles
    assert find_cycles(graph, most=1) == find_cycles(graph)[:1]


def test_suggestions_end_when_they_cost_too_much() -> None:
    suggest = Suggestions(comparisons=5)

    assert suggest("naem", ["name", "id"]) == "; did you mean name?"
    assert suggest("zzz", ["name", "id"]) == ""
    assert suggest("naem", ["name", "id"]) == ""


@pytest.mark.parametrize(
    ("value", "types"),
    [
        ("x", {"string"}),
        (1, {"integer", "number"}),
        (1.5, {"number"}),
        (True, {"boolean"}),
        ([], {"list"}),
        ({}, {"object"}),
        (None, set(PARAM_TYPES)),
    ],
)
def test_a_value_is_of_its_types_alone(value: object, types: set[str]) -> None:
    assert {one for one in PARAM_TYPES if is_of_type(value, one)} == types


# ------------------------------------------------------------------------------------------------------------- storing

NAMES = st.text(min_size=1, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
POLICIES = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 9),
    delay_s=st.floats(0, 100),
    backoff=st.sampled_from(BACKOFFS),
    max_delay_s=st.none() | st.floats(0, 100),
    jitter=st.floats(0, 1),
    on=st.lists(st.sampled_from(["OSError", "75"]), max_size=2).map(tuple),
)
STEPS = st.builds(
    StepSpec,
    id=NAMES,
    run=st.none() | st.text(max_size=5) | st.lists(st.text(max_size=5), max_size=3).map(tuple),
    call=st.none() | NAMES,
    manual=st.none() | NAMES,
    title=st.none() | NAMES,
    needs=st.lists(st.builds(Need, NAMES, st.booleans()), max_size=3).map(tuple),
    for_each=st.none() | NAMES | st.lists(JSON, max_size=3).map(tuple),
    when=st.none() | NAMES,
    retry=POLICIES,
    timeout_ms=st.none() | st.integers(1, 10**9),
    critical=st.booleans(),
    priority=st.integers(-9, 9),
    queue=st.none() | NAMES,
    labels=st.lists(NAMES, max_size=3).map(tuple),
    limits=st.dictionaries(NAMES, st.integers(1, 9), max_size=2),
    env=st.dictionaries(NAMES, st.text(max_size=5), max_size=2),
    executor=st.none() | NAMES,
    effect=st.sampled_from(EFFECTS),
    cache_s=st.none() | st.integers(1, 10**6),
    deadline_ms=st.none() | st.integers(1, 10**9),
)
WORKFLOWS = st.builds(
    Workflow,
    name=NAMES,
    steps=st.lists(STEPS, max_size=3).map(tuple),
    version=st.text(max_size=5),
    description=st.text(max_size=5),
    params=st.dictionaries(
        NAMES, st.builds(Param, st.sampled_from(PARAM_TYPES), JSON, st.booleans(), st.text(max_size=5)), max_size=2
    ),
    env=st.dictionaries(NAMES, st.text(max_size=5), max_size=2),
    on_failure=st.sampled_from(["stop", "continue"]),
    max_parallel=st.none() | st.integers(1, 99),
)


def test_the_strategies_reach_every_field() -> None:
    """A field that was forgotten above would be tested by its default alone."""
    assert set(workflow_record._STEP) == {field.name for field in dataclasses.fields(StepSpec)}
    assert set(workflow_record._WORKFLOW) == {field.name for field in dataclasses.fields(Workflow)}
    assert set(workflow_record._PARAM) == {field.name for field in dataclasses.fields(Param)}


@given(WORKFLOWS)
def test_a_stored_workflow_is_the_same(made: Workflow) -> None:
    text = json.dumps(workflow_to_dict(made))

    again = workflow_from_dict(json.loads(text))

    assert again == made
    assert json.dumps(workflow_to_dict(again)) == text
    assert hash_of(again) == hash_of(made)


@given(WORKFLOWS, WORKFLOWS)
def test_two_workflows_differ_in_everything_that_is_told_or_in_nothing(old: Workflow, new: Workflow) -> None:
    assert workflow_differences(old, old) == []
    if len(old.by_id) == len(old.steps) and len(new.by_id) == len(new.steps):
        assert (workflow_differences(old, new) == []) == (hash_of(old) == hash_of(new))


def test_only_what_differs_from_the_defaults_is_stored() -> None:
    made = flow(
        step("a", retry=RetryPolicy(), timeout_ms=5),
        StepSpec(
            "b", call="m:f", needs=(Need("a"), Need("c", optional=True)), for_each=(1, {"x": None}), critical=False
        ),
        params={"day": Param("string", "x", required=False), "n": Param("integer")},
    )

    assert workflow_to_dict(made) == {
        "schema": "tasktrail/workflow@1",
        "name": "w",
        "steps": [
            {"id": "a", "run": ["x"], "retry": {}, "timeout_ms": 5},
            {
                "id": "b",
                "call": "m:f",
                "needs": ["a", {"step": "c", "optional": True}],
                "for_each": [1, {"x": None}],
                "critical": False,
            },
        ],
        "params": {"day": {"default": "x", "required": False}, "n": {"type": "integer"}},
    }


def test_the_hash_is_the_same_for_ever() -> None:
    assert hash_of(flow(step("a", "b", env={"A": "1", "B": "é"}))) == hash_of(
        flow(step("a", "b", env={"B": "é", "A": "1"}))
    )
    assert hash_of(flow(step("a"))) == "e7aa4470a454"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "expected a stored workflow, tasktrail/workflow@1, got: null"),
        ({}, "expected a stored workflow, tasktrail/workflow@1, got: an object"),
        ({"schema": "tasktrail/run@1"}, "expected a stored workflow, tasktrail/workflow@1, got: an object"),
        (
            {"schema": "tasktrail/workflow@2"},
            "expected a stored workflow to be tasktrail/workflow@1, got: tasktrail/workflow@2",
        ),
    ],
)
def test_something_else_is_no_stored_workflow(data: object, says: str) -> None:
    with pytest.raises(BadInput) as error:
        workflow_from_dict(data)

    assert error.value.message == says


def test_a_stored_workflow_that_cannot_be_read_says_all_that_is_wrong() -> None:
    steps: list[object] = [
        {"id": "a", "sorcery": 1, "timeout_ms": "5"},
        {"run": ["x", 5]},
        {"id": "b", "retry": {"max": -1}, "needs": ["a", 5], "effect": "never"},
        7,
    ]
    with pytest.raises(BadInput) as error:
        workflow_from_dict({"schema": "tasktrail/workflow@1", "steps": steps, "params": {"p": 1}, "max_parallel": True})

    assert error.value.details == (
        "workflow.steps.0: this version of Tasktrail knows no sorcery",
        "workflow.steps.0.timeout_ms: cannot be a text like this one",
        "workflow.steps.1.run: cannot be a list like this one",
        "workflow.steps.1: has no id",
        "expected workflow.steps.2.retry.max to be a whole number from 0 to 2147483647, got: -1",
        "workflow.steps.2.needs: a number names no step",
        "workflow.steps.2.effect: cannot be a text like this one",
        "workflow.steps.3: cannot be a number",
        "workflow.params.p: cannot be a number",
        "workflow.max_parallel: cannot be a boolean like this one",
        "workflow: has no name",
    )


# --------------------------------------------------------------------------------------------------------- differences

OLD: dict[str, Any] = {"timeout_ms": 90_000, "env": {"TOKEN": "old", "GONE": "1"}, "limits": {"api": 2}}


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"timeout_ms": 300_000}, ["timeout 90s -> 5m"]),
        ({"timeout_ms": None}, ["timeout 90s -> none"]),
        ({"cache_s": 3600, "deadline_ms": 500}, ["cache none -> 1h", "deadline none -> 500ms"]),
        ({"run": ("y", "z")}, ['run ["x"] -> ["y","z"]']),
        ({"run": None, "call": "m:f"}, ['run ["x"] -> none', "call none -> m:f"]),
        ({"needs": (Need("c"), Need("d", optional=True))}, ["depends_on b -> c, d (optional)"]),
        ({"needs": ()}, ["depends_on b -> none"]),
        ({"retry": RetryPolicy(3)}, ["retries 0 -> 3"]),
        ({"retry": RetryPolicy(2, jitter=0.5)}, ['retries 0 -> {"max":2,"jitter":0.5}']),
        ({"critical": False, "priority": 1}, ["critical true -> false", "priority 3 -> 1"]),
        ({"when": "b.x > 1"}, ["when none -> 'b.x > 1'"]),
        ({"env": {"TOKEN": "new", "MORE": "2"}}, ["env TOKEN changed", "env GONE removed", "env MORE added"]),
        ({"limits": {"api": 5, "db": 1}}, ["limits api 2 -> 5", "limits db added"]),
        ({"for_each": (1, 2)}, ["for_each none -> [1,2]"]),
        ({"title": "T"}, ["title none -> T"]),
        ({"run": None, "for_each": (True,)}, ['run ["x"] -> none', "for_each none -> [true]"]),
    ],
)
def test_what_changed_in_a_step_is_told(changes: dict[str, Any], lines: list[str]) -> None:
    old = step("a", "b", **OLD)
    new = dataclasses.replace(old, **changes)

    assert workflow_differences(flow(old), flow(new)) == [f"step a: {line}" for line in lines]


def test_true_is_another_item_than_one() -> None:
    old, new = flow(step("a", for_each=(1,))), flow(step("a", for_each=(True,)))

    assert workflow_differences(old, new) == ["step a: for_each [1] -> [true]"]
    assert hash_of(old) != hash_of(new)


def test_what_changed_beyond_what_is_shown_is_told_too() -> None:
    old, new = (step("a", run=("x" * 200 + end,)) for end in "12")

    (line,) = workflow_differences(flow(old), flow(new))

    assert line.startswith("step a: run changed, beyond what is shown of [")
    assert len(line) < 150


def test_what_changed_in_a_workflow_is_told() -> None:
    old = flow(step("a"), step("b"), step("c"), version="1", params={"p": Param(), "q": Param()}, env={"A": "secret"})
    new = flow(step("c"), step("a"), step("d"), on_failure="continue", max_parallel=2, env={"A": "changed"},
               params={"p": Param("integer", 5, required=False), "r": Param()})  # fmt: skip

    assert workflow_differences(old, new) == [
        "version 1 -> none",
        "on_failure stop -> continue",
        "max_parallel none -> 2",
        "env A changed",
        "param p: type string -> integer",
        "param p: default none -> 5",
        "param p: required true -> false",
        "param q removed",
        "param r added",
        "step b removed",
        "step d added",
        "the steps stand in another order",
    ]
