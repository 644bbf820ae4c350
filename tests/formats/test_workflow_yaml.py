"""Workflow files: every key, every fault with its place, all at once, and large files in reasonable time."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.formats import workflow_yaml
from tasktrail.formats.workflow_yaml import load_workflow
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need
from tasktrail.model.retry import RetryPolicy
from tasktrail.model.workflow import Param, StepSpec, Workflow
from tests.docs.blocks import blocks_of
from tests.formats.workflow_files import ATLAS, INVALID, VALID, steps


def faults(text: str) -> list[str]:
    """Return what is wrong with a file, as `line:column: what`."""
    with pytest.raises(BadInput) as error:
        load_workflow(text, "w.yaml")
    return [detail.partition("\n")[0].removeprefix("w.yaml:") for detail in error.value.details]


def only_step(*keys: str) -> StepSpec:
    """Return the step of a file that has these keys."""
    return load_workflow(steps("  - id: a", *(f"    {key}" for key in keys)), "w.yaml").steps[0]


def test_every_key_of_a_file_is_read() -> None:
    assert load_workflow(ATLAS, "atlas.yaml") == Workflow(
        name="atlas",
        version="1.10",
        description="A page for each day",
        params={
            "day": Param("string", "2026-01-01", required=False, description="Which day"),
            "dry": Param("boolean", False, required=False),
            "pages": Param("list", [1, 2], required=False),
            "token": Param(),
        },
        env={"DAY": "{params.day}", "MODE": "1"},
        on_failure="continue",
        max_parallel=4,
        steps=(
            StepSpec(
                "fetch",
                run=("python3", "fetch.py", "{params.day}", "5", "{{}}"),
                title="Fetch the pages",
                retry=RetryPolicy(max_retries=3),
                timeout_ms=90_000,
                critical=True,
                priority=2,
                queue="net",
                labels=("gpu", "host:a"),
                limits={"api": 2},
                env={"RUN": "{run.id}"},
                effect="at_most_once",
                deadline_ms=7_200_000,
            ),
            StepSpec(
                "enrich",
                run="echo \"$DAY\" | awk '{print $1}' > ${HOME}/x",
                critical=False,  # on_failure: continue
                retry=RetryPolicy(3, 0.5, "linear", 60.0, 0.1, ("ConnectionError", "75")),
            ),
            StepSpec(
                "parse-all",
                call="steps:parse",
                critical=False,
                executor="process",
                needs=(Need("fetch"), Need("enrich", optional=True)),
                for_each="fetch.items",
                when="fetch.count > 0 and not params.dry and item != null",
                cache_s=604_800,
            ),
            StepSpec("approve", manual="Look at the pages", critical=False, needs=(Need("parse-all"),)),
            StepSpec(
                "publish",
                run=("publish", "{parse-all.0.url}", "{fetch.count}"),
                critical=False,
                needs=(Need("approve"),),
            ),
        ),
    )


@pytest.mark.parametrize("name", VALID)
def test_a_file_that_is_fine_is_read(name: str) -> None:
    assert load_workflow(VALID[name], "w.yaml").steps


@pytest.mark.requirement("BL-126")
@pytest.mark.parametrize("name", INVALID)
def test_every_fault_is_told_with_its_place(name: str) -> None:
    assert faults(INVALID[name].text) == INVALID[name].faults


def test_a_fault_is_shown_with_its_line_and_a_caret() -> None:
    with pytest.raises(BadInput) as error:
        load_workflow(steps("  - id: fetch", "    run: [x]", "    timeot: 90s"), "flows/a.yaml")

    assert str(error.value) == (
        "flows/a.yaml is no workflow that can be executed: 1 fault\n"
        "  - flows/a.yaml:5:5: unknown key timeot; did you mean timeout?\n"
        "    5 |     timeot: 90s\n"
        "      |     ^"
    )
    assert error.value.hint == "tasktrail schema workflow prints what a workflow file may hold"


def test_words_of_older_yaml_are_what_they_look_like() -> None:
    workflow = load_workflow(VALID["older YAML's words"], "w.yaml")

    assert (workflow.name, workflow.steps[0].id) == ("no", "on")
    assert workflow.steps[0].run == ("yes", "012", "1:30", "2026-01-01")
    assert workflow.steps[0].retry.on == ("Off",)


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [("90", 90_000), ("1.5", 1_500), ("500ms", 500), ("'5m'", 300_000), ("7d", 604_800_000)],
)
def test_times_are_seconds_or_have_a_unit(written: str, milliseconds: int) -> None:
    step = only_step("run: [x]", f"timeout: {written}", f"deadline: {written}")

    assert step.timeout_ms == step.deadline_ms == milliseconds


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("0", RetryPolicy(0)),
        ("5", RetryPolicy(5)),
        ("{}", RetryPolicy()),
        ("{max: 2}", RetryPolicy(2)),
        ("{delay: 2m, max_delay: 1h}", RetryPolicy(delay_s=120.0, max_delay_s=3600.0)),
        ("{on: [75, OSError]}", RetryPolicy(on=("75", "OSError"))),
        ("{max_delay: null}", RetryPolicy()),
    ],
)
def test_retries_are_a_number_or_a_policy(written: str, policy: RetryPolicy) -> None:
    assert only_step("run: [x]", f"retries: {written}").retry == policy


def test_a_step_without_retries_is_tried_once() -> None:
    assert only_step("run: [x]").retry.max_retries == 0


@pytest.mark.parametrize(
    ("on_failure", "said", "critical"),
    [
        ("stop", "", True),
        ("continue", "", False),
        ("stop", "critical: false", False),
        ("continue", "critical: true", True),
    ],
)
def test_on_failure_says_what_critical_is_where_a_step_does_not(on_failure: str, said: str, critical: bool) -> None:
    text = f"on_failure: {on_failure}\n" + steps("  - id: a", "    run: [x]", f"    {said}")

    assert load_workflow(text, "w.yaml").steps[0].critical is critical


@pytest.mark.parametrize(("written", "priority"), [("7", 7), ("-1", -1), ("critical", 1), ("Low", 4)])
def test_a_priority_is_a_number_or_a_word(written: str, priority: int) -> None:
    assert only_step("run: [x]", f"priority: {written}").priority == priority


@pytest.mark.parametrize(
    ("written", "param"),
    [
        ("x", Param("string", "x", required=False)),
        ("5", Param("integer", 5, required=False)),
        ("1.5", Param("number", 1.5, required=False)),
        ("no", Param("string", "no", required=False)),
        ("false", Param("boolean", False, required=False)),
        ("[1]", Param("list", [1], required=False)),
        ("", Param()),
        ("null", Param("string", None, required=False)),
        ("{}", Param()),
        ("{type: number}", Param("number")),
        ("{type: number, default: 3}", Param("number", 3, required=False)),
        ("{default: {a: 1}}", Param("object", {"a": 1}, required=False)),
        ("{type: list, default: null}", Param("list", None, required=False)),
    ],
)
def test_a_param_is_a_default_or_says_more(written: str, param: Param) -> None:
    workflow = load_workflow(f"params:\n  p: {written}\n" + steps("  - {id: a, run: [x]}"), "w.yaml")

    assert workflow.params == {"p": param}


def test_a_path_may_start_at_what_a_step_needs_through_others() -> None:
    lines = ["  - {id: s0, run: [x]}"]
    lines += [f"  - {{id: s{n}, run: ['{{s0.x}} {{s{n - 1}.x}}'], depends_on: s{n - 1}}}" for n in range(1, 50)]

    assert len(load_workflow(steps(*lines), "w.yaml").steps) == 50


def test_a_file_that_cannot_be_read_has_no_hint_on_keys() -> None:
    with pytest.raises(BadInput, match=r"^w\.yaml cannot be read: 1 fault") as error:
        load_workflow("a: b: c", "w.yaml")

    assert error.value.hint is None


def test_the_file_of_the_guide_is_a_workflow() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "howto" / "workflow-files.md"
    (block,) = (one for one in blocks_of(page) if one.option("file") == "atlas.yaml")

    assert [step.id for step in load_workflow(block.text, "atlas.yaml").steps] == [
        "fetch", "enrich", "parse", "approve", "publish"
    ]  # fmt: skip


# -------------------------------------------------------------------------------------------------------- large files


def chain(count: int) -> str:
    """Return a file of steps that each need the one before and use two results."""
    lines = [
        f'  - id: s{n}\n    run: ["python3", "x.py", "{{params.day}}"]\n    depends_on: [s{n - 1}]\n'
        f'    retries: {{max: 3, delay: 1}}\n    timeout: 90s\n    when: "s0.count > 0 or s{n - 1}.x"'
        for n in range(1, count)
    ]
    return "params: {day: x}\n" + steps("  - {id: s0, run: [x]}", *lines)


def test_ten_thousand_steps_are_read_in_a_few_seconds_and_little_memory() -> None:
    text = chain(10_000)
    begin = time.process_time()
    workflow = load_workflow(text, "w.yaml")

    assert len(workflow.steps) == 10_000
    assert time.process_time() - begin < 6  # 1.2 s where it was measured; quadratic reading takes minutes


def test_ten_thousand_faults_are_told_in_a_few_seconds() -> None:
    text = chain(10_000).replace("timeout:", "timeuot:").replace("or s", "or x")
    begin = time.process_time()

    assert len(faults(text)) == 51
    assert time.process_time() - begin < 8


def test_a_file_has_at_most_20000_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert workflow_yaml.MAX_STEPS == 20_000
    monkeypatch.setattr(workflow_yaml, "MAX_STEPS", 3)

    assert len(load_workflow(chain(3), "w.yaml").steps) == 3
    assert faults(chain(4))[0] == "4:3: expected at most 3 steps, got: 4"


def test_a_refused_file_costs_no_more_memory_than_its_size_allows() -> None:
    text = "name: a\nsteps: [" + "[" * 60 + ",".join(["a"] * 100_000) + "]" * 60 + "]"
    tracemalloc.start()
    try:
        assert faults(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100 * 1024 * 1024


# --------------------------------------------------------------------------------------------------------- properties


@given(st.text(alphabet=st.sampled_from(list(ATLAS)), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(BadInput) as error:  # without a name and steps there is no workflow
        load_workflow(text, "w.yaml")

    assert error.value.details


@given(
    st.integers(0, len(ATLAS)), st.integers(0, 12), st.sampled_from(["", "{", "}", "[", ":", "- ", "'", "\n", "x", "5"])
)
def test_a_file_with_a_slip_of_the_keyboard_is_read_or_refused(place: int, length: int, slip: str) -> None:
    text = ATLAS[:place] + slip + ATLAS[place + length :]
    try:
        workflow = load_workflow(text, "w.yaml")
    except BadInput as error:
        details = error.details
    else:
        details = tuple(step.id for step in workflow.steps)

    assert details
