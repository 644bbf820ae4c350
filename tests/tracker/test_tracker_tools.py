"""The tools of a tracker as models see and call them: what they answer, what they refuse, how long that is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tasktrail.tools import Tools
from tasktrail.tracker import Named, TrackerBackend, TrackerTools, get_tracker
from tasktrail.tracker.stores import StoreTrackerBackend
from tests.plan.test_tools import objects, tokens

MOST_DEFINITION_TOKENS = 550


@pytest.fixture
def tracker() -> TrackerBackend:
    tracker = get_tracker("memory:")
    tracker.sync_with_etl("A", ["x", "y"])
    return tracker


@pytest.fixture
def tools(tracker: TrackerBackend) -> Tools:
    return TrackerTools(tracker).tools()


def complete(tracker: TrackerBackend, week: str) -> None:
    for item in tracker.load_tracker(week).items:
        for key in ("research", "content"):
            tracker.update_task(week, item, key, "completed")
    tracker.update_task(week, None, "blog_post", "completed")


@pytest.mark.requirement("CN-084")
def test_a_status_is_recorded_with_what_is_said_of_it(tools: Tools, tracker: TrackerBackend):
    said = {"week_letter": "a", "item_name": "x", "task_type": "research"}

    begun = tools.call("update_tracker_status", {**said, "status": "in_progress"})
    done = tools.call("update_tracker_status", {**said, "status": "completed", "output_file": "research/x.yaml"})

    assert begun == {"status": "success", "message": "Updated x research to in_progress"}
    assert done["message"] == "Updated x research to completed"
    assert tracker.load_tracker("A").items["x"]["research"].output_file == "research/x.yaml"
    own = tools.call("update_tracker_status", {"week_letter": "a", "task_type": "blog_post", "status": "completed"})
    assert own["message"] == "Updated week A blog_post to completed"
    own = tools.call("update_tracker_status", {**said, "task_type": "blog_post", "status": "completed"})
    assert own["message"] == "Updated week A blog_post to completed"


@pytest.mark.requirement("CN-084")
def test_the_progress_of_a_week_is_a_line_per_type(tools: Tools, tracker: TrackerBackend):
    tracker.update_task("A", "x", "research", "completed")
    tracker.update_task("A", "y", "research", "failed")

    assert tools.call("check_tracker_progress", {"week_letter": "a"})["message"] == (
        "Week A progress:\n"
        "- Research: 1/2 completed (50%), 1 failed\n"
        "- Content: 0/2 completed (0%)\n"
        "- Blog post: 0/1 completed (0%)"
    )


@pytest.mark.requirement("CN-084")
def test_the_overview_has_a_sign_per_week(tools: Tools, tracker: TrackerBackend):
    for week in ("B", "C"):
        tracker.sync_with_etl(week, ["z"])
    complete(tracker, "C")
    tracker.update_task("B", "z", "research", "completed")

    whole = tools.call("get_all_weeks_status")["message"].splitlines()
    left = tools.call("get_all_weeks_status", {"only_incomplete": True})["message"].splitlines()

    assert whole == [
        "📝 A: 0/5 completed (0%)",
        "🏗️ B: 1/3 completed (33.3%)",
        "✅ C: 3/3 completed (100%)",
        "❌ no tracker: D E F G H I J K L M N O P Q R S T U V W X Y Z",
    ]
    assert left == whole[:2]


@pytest.mark.requirement("CN-084")
def test_ready_tasks_of_an_agent_are_counted_beyond_the_limit(tools: Tools, tracker: TrackerBackend):
    tracker.sync_with_etl("B", [f"i{n}" for n in range(6)])
    tracker.update_task("A", "y", "research", "completed")

    researching = tools.call("get_ready_tasks", {"agent_type": "researcher"})
    all_of_them = tools.call("get_ready_tasks", {"limit": 20})

    assert (researching["total_available"], researching["message"]) == (7, "5 of 7 ready tasks for researcher")
    assert researching["tasks"][0] == {"week": "A", "item": "x", "task_type": "research"}
    assert {"week": "A", "item": "y", "task_type": "content", "agent": "writer"} in all_of_them["tasks"]
    assert tools.call("get_ready_tasks", {"agent_type": "nobody"}) == {
        "status": "success", "message": "No ready tasks for nobody", "tasks": [], "total_available": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("check_tracker_progress", {"week_letter": "AB"}, "expected a week to be a letter from A to Z, got: 'AB'"),
        ("check_tracker_progress", {"week_leter": "A"}, "did you mean week_letter?"),
        ("check_tracker_progress", {"week_letter": "Z"}, "No tracker or tasks found for week Z"),
        ("get_ready_tasks", {"limit": 21}, "expected limit to be 1 to 20, got: 21"),
        ("get_ready_tasks", {"limit": 0}, "expected limit to be 1 to 20, got: 0"),
        ("update_tracker_status", {"week_letter": "A", "task_type": "reserch", "status": "failed"}, "research"),
        (
            "update_tracker_status",
            {"week_letter": "A", "item_name": "x", "task_type": "content", "status": "in_progress"},
            "depends on x/research",
        ),
        (
            "update_tracker_status",
            {"week_letter": "A", "item_name": "x", "task_type": "content", "status": "done"},
            "status",
        ),
        ("get_ready_task", {}, "get_ready_tasks"),
    ],
)
def test_what_is_wrong_is_an_answer_that_says_what_was_expected(
    tools: Tools, name: str, arguments: dict[str, Any], said: str
):
    answer = tools.call(name, arguments)

    assert answer["status"] == "error"
    assert said in f"{answer['message']} {answer.get('hint')}"


def test_groups_of_other_names_are_told_in_their_own_word():
    tracker = StoreTrackerBackend("memory:", groups=Named("sprint"))
    tracker.sync_with_etl("2026-03", ["x"])
    tools = TrackerTools(tracker).tools()

    assert tools.call("get_all_weeks_status")["message"] == "📝 2026-03: 0/3 completed (0%)"
    assert tools.call("check_tracker_progress", {"week_letter": "2026-03"})["message"].startswith("Sprint 2026-03 pro")


def test_definitions_are_such_as_providers_take(tools: Tools):
    for definition in tools.openai():
        function = definition["function"]
        for one in objects(function["parameters"]):
            assert (one["required"], one["additionalProperties"]) == (list(one["properties"]), False)
        assert not {"default", "title", "$defs", "$ref", "anyOf"} & set(json.dumps(function).split('"'))
    for definition in tools.anthropic():
        Draft202012Validator.check_schema(definition["input_schema"])
    schemas = {one["name"]: one["input_schema"] for one in tools.anthropic()}
    assert schemas["update_tracker_status"]["required"] == ["week_letter", "task_type", "status"]
    assert schemas["update_tracker_status"]["properties"]["status"]["enum"] == [
        "pending", "in_progress", "completed", "failed", "skipped",
    ]  # fmt: skip


def test_definitions_and_a_full_overview_are_told_in_few_tokens(tools: Tools, tracker: TrackerBackend):
    for letter in "BCDEFGHIJKLMNOPQRSTUVWXYZ":
        tracker.sync_with_etl(letter, ["x"])

    assert tokens(tools.openai()) <= MOST_DEFINITION_TOKENS
    assert tokens(tools.call("get_all_weeks_status")) <= 450
    assert tokens(tools.call("get_ready_tasks", {"limit": 20})) <= 600


@settings(max_examples=40, deadline=None)
@given(arguments=st.dictionaries(st.sampled_from(["week_letter", "item_name", "status", "limit", "x"]), st.text()))
def test_no_arguments_make_a_call_raise(arguments: dict[str, str]):
    tools = TrackerTools(get_tracker("memory:")).tools()

    for name in tools.names:
        assert tools.call(name, arguments)["status"] in ("success", "error")
