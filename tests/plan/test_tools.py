"""The tools of a plan as models see and call them: definitions that providers accept, and calls that always answer."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tasktrail.plan import DEFAULT_TOOLS, TOOLS, PlanTools
from tasktrail.tools import Schema, Tools, Words, tool

MOST_DEFINITION_TOKENS = 1_200
MOST_PAGE_TOKENS = 800


@pytest.fixture
def plan(tmp_path: Path) -> PlanTools:
    return PlanTools(tmp_path)


@pytest.fixture
def tools(plan: PlanTools) -> Tools:
    return plan.tools(TOOLS)


def tokens(value: object) -> int:
    """Count as the models of today do; the package carries the vocabulary with it."""
    with warnings.catch_warnings():  # it reads that in a way that Python wants to see no more
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(bpe_openai.get_encoding("o200k_base").encode(text))


def task(key: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "description": f"Do {key}", "dependencies": list(dependencies), **more}


# ---------------------------------------------------------------------------------------------------------- definitions


def objects(schema: Schema) -> Iterator[Schema]:
    """Yield every object that a schema has inside."""
    if schema.get("type") in ("object", ["object", "null"]):
        yield schema
    for inner in [
        *schema.get("anyOf", []),
        *schema.get("properties", {}).values(),
        *([schema["items"]] if "items" in schema else []),
    ]:
        yield from objects(inner)


@pytest.mark.requirement("JB-052")
def test_a_strict_definition_names_every_member_and_closes_every_object(tools: Tools):
    for definition in tools.openai():
        function = definition["function"]
        assert (definition["type"], function["strict"]) == ("function", True)
        for one in objects(function["parameters"]):
            assert (one["required"], one["additionalProperties"]) == (list(one["properties"]), False)
        assert not {"default", "title", "$defs", "$ref", "anyOf"} & set(json.dumps(function).split('"'))


@pytest.mark.requirement("JB-043", "JB-052")
def test_what_is_required_and_what_may_be_chosen_is_as_documented(tools: Tools):
    schemas = {one["name"]: one["input_schema"] for one in tools.anthropic()}

    assert [schemas[name].get("required") for name in ("read_task_breakdown", "get_next_task")] == [[], []]
    assert schemas["mark_task_status"]["required"] == ["task_id", "status"]
    assert schemas["mark_task_status"]["properties"]["status"]["enum"] == [
        "pending",
        "in_progress",
        "completed",
        "failed",
    ]
    assert schemas["update_task"]["required"] == ["task_id", "updates"]
    listed = schemas["write_task_list"]["properties"]["tasks"]["items"]
    assert listed["required"] == ["id", "description"]
    assert listed["properties"]["estimated_complexity"]["enum"] == ["low", "medium", "high"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_what_need_not_be_given_may_be_null_in_a_strict_definition(tools: Tools):
    for one, definition in zip(tools, tools.openai(), strict=True):
        for name, member in definition["function"]["parameters"]["properties"].items():
            assert Draft202012Validator(member).is_valid(None) == (name not in one.schema["required"])


def test_a_definition_that_is_not_strict_leaves_room_for_keys_of_your_own(plan: PlanTools):
    loose = {one["function"]["name"]: one["function"] for one in plan.tools().openai(strict=False)}

    assert loose["update_task"]["strict"] is False
    updates = loose["update_task"]["parameters"]["properties"]["updates"]
    assert Draft202012Validator(updates).is_valid({"priority": 1, "owner": {"name": "ann"}})


def test_every_tool_says_what_it_may_do(tools: Tools):
    effects = {one.name: one.effect for one in tools}

    assert [name for name, effect in effects.items() if effect.destroys] == [
        "write_task_list", "replace_task_list", "undo",
    ]  # fmt: skip
    assert [name for name, effect in effects.items() if effect.reads] == [
        "read_task_breakdown",
        "get_tasks",
        "search_tasks",
        "explain_task",
        "task_history",
    ]
    assert {name for name, effect in effects.items() if effect.repeats} == REPEATED.keys()
    assert all(one.description for one in tools)


REPEATED: dict[str, dict[str, Any]] = {
    "write_task_list": {"tasks": [task("T1", status="failed", error="x", notes=[{"note": "n"}]), task("T2", "T1")]},
    "replace_task_list": {"tasks": [task("T1", status="completed", result="y"), task("T3")]},
    "heartbeat": {"task_id": "T1"},
    "finish_task": {"task_id": "T1", "result": "done", "notes": "easy"},
    "release_task": {"task_id": "T1", "notes": "too hard"},
    "update_task": {"task_id": "T2", "updates": {"priority": 1, "owner": "ann", "dependencies": []}},
}


@pytest.mark.parametrize("name", REPEATED)
def test_what_says_that_it_may_be_repeated_changes_nothing_the_second_time(plan: PlanTools, tools: Tools, name: str):
    plan.write_task_list([task("T1"), task("T2", "T1")])
    claimed = plan.claim_task("T1")
    token = {"token": claimed["token"]} if name in ("heartbeat", "finish_task", "release_task") else {}
    first = tools.call(name, {**REPEATED[name], **token})
    before = [plan.read_task_breakdown(), plan.task_history("T1")]

    second = tools.call(name, {**REPEATED[name], **token})

    assert (first["status"], second["status"]) == ("success", "success")
    assert [plan.read_task_breakdown(), plan.task_history("T1")] == before


def test_the_default_tools_are_told_in_few_tokens(plan: PlanTools):
    definitions = plan.tools().openai()

    assert [one["function"]["name"] for one in definitions] == list(DEFAULT_TOOLS)
    assert tokens(definitions) <= MOST_DEFINITION_TOKENS


SHOP = [
    "Set up the repository, the linter and continuous integration",
    "Draw the database schema for customers, orders and invoices",
    "Write the migration that creates the tables",
    "Implement sign-up with e-mail confirmation",
    "Implement login with JWT and refresh tokens",
    "Limit login attempts per address and account",
    "Build the product catalogue with full-text search",
    "Cache catalogue pages for five minutes",
    "Build the shopping cart as a session-backed service",
    "Integrate the payment provider's sandbox",
    "Handle webhooks of the payment provider idempotently",
    "Send order confirmations through the mail queue",
    "Render invoices as PDF with the correct VAT",
    "Build the admin page for refunds",
    "Export orders to the accounting system every night",
    "Write end-to-end tests for the checkout",
    "Measure checkout latency under 200 concurrent users",
    "Add structured logging and trace ids to every request",
    "Document the public API with examples",
    "Prepare the rollback plan and release version 1.0",
]


def test_a_page_of_twenty_tasks_is_told_in_few_tokens(plan: PlanTools, tools: Tools):
    listed = [
        {"id": f"T{at}", "description": text, "module": "shop", "priority": at % 4 + 1, "dependencies": needs(at)}
        for at, text in enumerate(SHOP, 1)
    ]
    plan.write_task_list(listed)
    for key in ("T1", "T2"):
        plan.mark_task_status(key, "completed", notes="all checks pass", result="done as described")

    page = tools.call("get_tasks", {"limit": 20})

    assert [one["description"] for one in page["tasks"]] == SHOP
    assert page["tasks"][2] == {
        "id": "T3",
        "description": SHOP[2],
        "priority": 4,
        "status": "pending",
        "dependencies": ["T1", "T2"],
    }
    assert tokens(page) <= MOST_PAGE_TOKENS


def needs(at: int) -> list[str]:
    """Of every task the two before it, but none of the first."""
    return [f"T{before}" for before in (at - 2, at - 1) if before > 0]


# ---------------------------------------------------------------------------------------------------------------- calls


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """What a model may give that keeps to a schema."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([of_kind(kind, schema) for kind in kinds])


def of_kind(kind: str, schema: Schema) -> st.SearchStrategy[Any]:
    if kind == "array":
        return st.lists(values(schema["items"]), max_size=3)
    if kind == "object":
        required = schema.get("required", ())
        needed = {name: values(one) for name, one in schema["properties"].items() if name in required}
        others = {name: values(one) for name, one in schema["properties"].items() if name not in needed}
        return st.fixed_dictionaries(needed, optional=others)
    plain: dict[str, st.SearchStrategy[Any]] = {
        "string": st.sampled_from(["T1", "T2", "", "é\n"]) | st.text(max_size=5),
        "integer": st.integers(-5, 2_000),
        "number": st.floats(allow_nan=False) | st.integers(-5, 2_000),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return plain[kind]


@pytest.mark.requirement("JB-044")
@pytest.mark.parametrize("name", TOOLS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_offered_tool_can_be_called_with_what_its_definition_allows(name: str, data: st.DataObject):
    plan = PlanTools("memory:")
    plan.write_task_list([task("T1"), task("T2", "T1")])
    offered = plan.tools([name])
    (strict,), (loose,) = offered.openai(), offered.anthropic()
    schema = data.draw(st.sampled_from([strict["function"]["parameters"], loose["input_schema"]]))
    arguments = data.draw(values(schema))
    assert Draft202012Validator(schema).is_valid(arguments)

    answer = offered.call(name, data.draw(st.sampled_from([arguments, json.dumps(arguments)])))

    assert answer["status"] in ("success", "error")
    assert "cannot be called" not in answer.get("message", "")
    json.dumps(answer)


@pytest.mark.requirement("JB-043")
def test_a_call_answers_as_the_function_does(plan: PlanTools, tools: Tools):
    assert tools.call("write_task_list", {"tasks": [task("T1"), task("T2", "T1", owner="ann")]})["task_count"] == 2
    assert tools.call("get_next_task")["task"]["id"] == "T1"
    assert tools.call("mark_task_status", '{"task_id": "T1", "status": "completed", "notes": null}') == {
        "status": "success",
        "message": "Task T1 marked as completed",
        "task_id": "T1",
        "new_status": "completed",
    }
    assert tools.call("read_task_breakdown") == plan.read_task_breakdown()
    assert tools.call("mark_task_status", {"task_id": "T1", "status": "done"})["message"] == (
        "Invalid status: done. Must be: pending, in_progress, completed, failed"
    )


def test_null_leaves_out_what_need_not_be_given(plan: PlanTools, tools: Tools):
    given = {"id": "T1", "description": "x", "priority": None, "dependencies": None, "module": None, "own": None}
    tools.call("write_task_list", {"tasks": [given]})
    changes = {"description": None, "priority": 1, "dependencies": None, "module": None}
    assert tools.call("update_task", {"task_id": "T1", "updates": changes, "token": None})["updates"] == {"priority": 1}

    (found,) = plan.read_task_breakdown()["tasks"]
    assert (found["description"], found["priority"], found["own"], "module" in found) == ("x", 1, None, False)


@pytest.mark.requirement("JB-045")
def test_an_unknown_tool_is_an_error_that_says_which_was_meant(plan: PlanTools):
    answer = plan.tools().call("mark_task", {})

    assert answer == {
        "status": "error",
        "message": "there is no tool mark_task",
        "code": "not_found",
        "hint": "did you mean mark_task_status?",
    }
    assert plan.tools(["get_tasks", "add_note"]).call("x")["hint"] == "there are get_tasks, add_note"


@pytest.mark.requirement("JB-045")
def test_all_that_is_wrong_with_arguments_is_named_at_once(plan: PlanTools, tools: Tools):
    answer = tools.call("get_next_task", {"clam": True, "owner": 5, "lease_seconds": "900", "zzz": 1})

    assert (answer["status"], answer["code"]) == ("error", "bad_input")
    assert answer["errors"] == [
        "expected owner to be a valid string, got: 5",
        'expected lease_seconds to be a valid number, got: "900"',
        "get_next_task has no argument clam; did you mean claim?",
        "get_next_task has no argument zzz",
    ]
    assert all(fault in answer["message"] for fault in answer["errors"])
    assert tools.call("finish_task", {"result": "x"})["errors"] == [
        "finish_task needs task_id",
        "finish_task needs token",
    ]
    assert plan.read_task_breakdown()["tasks"] == []


@pytest.mark.requirement("JB-045")
@pytest.mark.parametrize("arguments", ["{", "[]", "null", "5"])
def test_arguments_that_are_no_object_are_an_error(tools: Tools, arguments: str):
    answer = tools.call("get_tasks", arguments)

    assert answer["code"] == "bad_input"
    assert answer["message"].startswith("expected the arguments to be a")


# --------------------------------------------------------------------------------------------------------- the registry


def test_any_typed_function_can_be_a_tool():
    @tool(reads=True)
    def area(width: float, height: float = 1.0) -> Words:
        """Return an area.

        More for people.

        Args:
            width: In metres,
                from wall to wall.
        """
        return {"status": "success", "area": width * height}

    offered = Tools([area])

    assert offered.anthropic() == [
        {
            "name": "area",
            "description": "Return an area.",
            "input_schema": {
                "type": "object",
                "properties": {
                    "width": {"type": "number", "description": "In metres, from wall to wall."},
                    "height": {"type": "number"},
                },
                "required": ["width"],
                "additionalProperties": False,
            },
        }
    ]
    assert offered.call("area", {"width": 2, "height": None})["area"] == 2


def test_using_a_plan_loads_nothing_that_only_definitions_need():
    program = (
        "import sys\nfrom tasktrail.plan import PlanTools\nPlanTools('memory:').tools()\n"
        "print([name for name in ('pydantic', 'jsonschema') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.requirement("JB-045")
def test_arguments_that_cannot_be_stored_are_an_error_like_any_other(tools: Tools):
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    tools.call("write_task_list", {"tasks": [task("T1")]})

    half = tools.call("mark_task_status", {"task_id": "\ud800", "status": "completed"})
    nested = tools.call("mark_tasks", {"updates": deep})

    assert (half["status"], half["code"]) == ("error", "bad_input")
    assert (nested["status"], nested["code"]) == ("error", "bad_input")
