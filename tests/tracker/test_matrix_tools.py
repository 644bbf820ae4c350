"""The tools of a matrix as models see and call them: over files and stores, page by page, and what a list removes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tasktrail.tools import Tools, Words
from tasktrail.tracker import MatrixTools, Named, TrackerBackend, TrackerTools, YAMLTrackerBackend, get_tracker
from tasktrail.tracker.stores import StoreTrackerBackend
from tasktrail.tracker.views import metrics_told
from tests.plan.test_tools import objects, tokens
from tests.tracker.test_own_backends import ShelfBackend
from tests.tracker.weeks import file_of

MOST_DEFINITION_TOKENS = 700
MOST_PAGE_TOKENS = 1_200
KINDS = ("yaml", "json", "sqlite:///weeks.db", "memory:", "shelf")


@pytest.fixture(params=KINDS)
def tracker(request: pytest.FixtureRequest) -> TrackerBackend:
    return ShelfBackend({}) if request.param == "shelf" else get_tracker(request.param)


@pytest.fixture
def tools(tracker: TrackerBackend) -> Tools:
    return MatrixTools(tracker).tools()


def good(tools: Tools, name: str, **arguments: Any) -> Words:
    """Call a tool, and return what it answers beside that all went well."""
    answer = tools.call(name, arguments)
    assert answer.pop("status") == "success", answer
    return answer


def pages(tools: Tools, name: str, of: str, **arguments: Any) -> list[Words]:
    """All that a tool lists, page after page."""
    answer = good(tools, name, **arguments)
    found: list[Words] = answer[of]
    while answer["next_cursor"] is not None:
        assert len(answer[of]) == arguments["limit"]
        answer = good(tools, name, cursor=answer["next_cursor"], **arguments)
        found = [*found, *answer[of]]
    assert answer["total"] == len(found)
    return found


# ------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.requirement("CN-084")
def test_progress_counts_by_status_and_by_type(tools: Tools):
    good(tools, "matrix_sync", period="A", items=["x", "y"])
    good(tools, "matrix_update", period="a", item="x", task_type="research", status="completed")
    good(tools, "matrix_update", period="A", item="y", task_type="research", status="failed")

    assert good(tools, "matrix_progress", period="a") == {
        "periods": [
            {
                "period": "A",
                "percent": 20.0,
                "counts": {"pending": 3, "completed": 1, "failed": 1},
                "by_type": {
                    "research": {"completed": 1, "failed": 1},
                    "content": {"pending": 2},
                    "blog_post": {"pending": 1},
                },
            }
        ],
        "total": 1,
        "next_cursor": None,
    }


def test_progress_of_all_periods_comes_page_by_page(tools: Tools):
    for letter in "CADBE":
        good(tools, "matrix_sync", period=letter, items=["x"])

    found = pages(tools, "matrix_progress", "periods", limit=2)

    assert [one["period"] for one in found] == ["A", "B", "C", "D", "E"]
    assert [one["counts"] for one in found] == [{"pending": 3}] * 5


@pytest.mark.requirement("CN-084")
def test_what_is_ready_is_told_with_its_period_and_reference(tools: Tools):
    good(tools, "matrix_sync", period="A", items=["x", "y"])
    good(tools, "matrix_update", period="A", item="y", task_type="research", status="completed")

    assert good(tools, "matrix_ready") == {
        "tasks": [
            {"period": "A", "item": "y", "task_type": "content", "agent": "writer", "id": "A:y/content"},
            {"period": "A", "item": "x", "task_type": "research", "agent": "researcher", "id": "A:x/research"},
        ],
        "total": 2,
        "next_cursor": None,
    }
    assert good(tools, "matrix_ready", period="A", task_type="content")["total"] == 1
    for item, task_type in (("x", "research"), ("x", "content"), ("y", "content")):
        good(tools, "matrix_update", period="A", item=item, task_type=task_type, status="completed")
    own = {"period": "A", "item": None, "task_type": "blog_post", "agent": "writer", "id": "A:blog_post"}
    assert good(tools, "matrix_ready")["tasks"] == [own]


def test_pages_and_totals_are_of_what_was_asked_for(tools: Tools):
    for letter in "AB":
        good(tools, "matrix_sync", period=letter, items=["x", "y", "z"])
        good(tools, "matrix_update", period=letter, item="y", task_type="research", status="completed")

    def references(**asked: str) -> list[str]:
        return [one["id"] for one in pages(tools, "matrix_ready", "tasks", limit=1, **asked)]

    researched = ["A:x/research", "A:z/research", "B:x/research", "B:z/research"]
    assert references(task_type="research") == references(agent="researcher") == researched
    assert references(task_type="content") == ["A:y/content", "B:y/content"]
    assert references(period="b") == ["B:y/content", "B:x/research", "B:z/research"]
    assert references(period="B", task_type="content", agent="writer") == ["B:y/content"]
    assert references(task_type="content", agent="researcher") == references(agent="nobody") == []


def test_periods_are_called_as_the_tracker_calls_them_where_two_folders_have_the_same():
    for folder in ("weeks", "others"):
        get_tracker(f"yaml:{folder}").sync_with_etl("A", [folder])
    tracker = get_tracker("yaml:others")
    tools = MatrixTools(tracker).tools()

    assert tracker.opened("A").run.name == "A-2"
    (task,) = good(tools, "matrix_ready")["tasks"]
    assert (task["period"], task["item"], task["id"]) == ("A", "others", "A-2:others/research")
    assert good(tools, "matrix_progress")["periods"][0]["period"] == "A"
    older = TrackerTools(tracker).tools()
    assert older.call("get_ready_tasks")["tasks"][0]["week"] == "A"
    assert older.call("check_tracker_progress", {"week_letter": "A"})["message"].startswith("Week A progress")
    assert older.call("get_all_weeks_status")["message"].startswith("📝 A: 0/3")


@pytest.mark.parametrize("kind", ["yaml", "json", "sqlite:///weeks.db"])
def test_reading_makes_neither_files_nor_a_store(kind: str):
    if kind == "yaml":
        file_of().write_text("items: {x: {tasks: {research: {status: completed}}}}")
        file_of("01-B", "tasks.yaml").write_text("- y\n- z\n")
    before = {path: path.read_text() for path in Path().rglob("*.*")}
    tools = MatrixTools(get_tracker(kind)).tools()

    ready, progress = good(tools, "matrix_ready", limit=100), good(tools, "matrix_progress")
    for name in ("matrix_ready", "matrix_progress"):
        assert tools.call(name, {"period": "Q"})["code"] == "week_not_found"
    lost = tools["matrix_sync"].losses({"period": "B", "items": ["y"]})
    assert tools["matrix_sync"].losses({"period": "Q", "items": ["y"]}) == ""

    assert {path: path.read_text() for path in Path().rglob("*.*")} == before
    assert [one["period"] for one in progress["periods"]] == (["A", "B"] if kind == "yaml" else [])
    assert ready["total"] == (2 if kind == "yaml" else 0)
    assert lost == ("week B loses 1 item: z; their history is kept" if kind == "yaml" else "")


def test_a_list_that_is_no_tracker_yet_stands_beside_those_of_the_store():
    tracker = get_tracker("yaml")
    tracker.sync_with_etl("A", ["x"])
    file_of("01-B", "tasks.yaml").write_text("- y\n")
    tracker.sync_with_etl("C", ["z"])

    found = good(MatrixTools(tracker).tools(), "matrix_ready")

    assert [one["id"] for one in found["tasks"]] == ["A:x/research", "B:y/research", "C:z/research"]
    tracker.update_task("A", "x", "research", "completed")
    assert metrics_told(tracker).all.direct == 1
    assert not file_of("01-B").exists()


# ------------------------------------------------------------------------------------------------------------ changing


@pytest.mark.requirement("CN-084")
def test_an_update_records_what_is_said_of_the_task(tools: Tools, tracker: TrackerBackend):
    good(tools, "matrix_sync", period="A", items=["x"])
    said = {"period": "a", "item": "x", "task_type": "research"}

    done = good(tools, "matrix_update", **said, status="completed", output_file="research/x.md", agent="ann")

    assert done == {"message": "Updated x research to completed"}
    record = tracker.load_tracker("A").items["x"]["research"]
    assert (record.status, record.output_file, record.agent) == ("completed", "research/x.md", "ann")
    own = good(tools, "matrix_update", period="a", task_type="blog_post", status="skipped")
    assert own == {"message": "Updated week A blog_post to skipped"}


@pytest.mark.requirement("CN-084")
def test_a_list_is_what_a_period_has_afterwards(tools: Tools, tracker: TrackerBackend):
    items = ["x", {"name": "y", "content_hash": "1", "size": 3}]
    first = good(tools, "matrix_sync", period="a", items=items)
    changed = [{"name": "y", "content_hash": "2"}, {"name": "z", "content_hash": None}]

    assert first == {"period": "A", "added": ["x", "y"], "removed": [], "restored": [], "changed": []}
    assert tracker.load_tracker("A").items["y"].attributes == {"size": 3}
    second = good(tools, "matrix_sync", period="A", items=changed)
    assert second == {"period": "A", "added": ["z"], "removed": ["x"], "restored": [], "changed": ["y"]}
    saved = tracker.load_tracker("A").model_dump()
    again = good(tools, "matrix_sync", period="A", items=changed)
    assert again == {"period": "A", "added": [], "removed": [], "restored": [], "changed": []}
    assert tracker.load_tracker("A").model_dump() == saved
    assert good(tools, "matrix_sync", period="A", items=["x", "y", "z"])["restored"] == ["x"]


def test_what_a_list_would_remove_is_said_before(tools: Tools, tracker: TrackerBackend):
    def losses(items: list[Any], period: str = "A") -> str:
        return tools["matrix_sync"].losses({"period": period, "items": items})

    assert losses([]) == losses(["x"]) == ""
    good(tools, "matrix_sync", period="A", items=[*"uvwxyz", "gone"])
    for task_type in ("research", "content"):
        good(tools, "matrix_update", period="A", item="y", task_type=task_type, status="completed")
    good(tools, "matrix_update", period="A", item="x", task_type="research", status="in_progress")
    good(tools, "matrix_sync", period="A", items=[*"uvwxyz"])
    before = tracker.load_tracker("A").model_dump()

    assert losses([*"uvwxyz", "new"]) == losses([{"name": name} for name in "uvwxyz"]) == ""
    assert losses([*"uvwz"], "a") == (
        "week A loses 2 items: x (1 task begun), y (2 tasks begun); their history is kept"
    )
    assert losses([]) == "week A loses all its items (6): u, v, w, x (1 task begun), y (2 tasks begun), 1 more; " + (
        "their history is kept"
    )
    assert losses([5]) == losses([], "AB") == ""
    assert tracker.load_tracker("A").model_dump() == before


def test_a_retried_task_was_begun():
    tracker = get_tracker("memory:")
    tools = MatrixTools(tracker).tools()
    good(tools, "matrix_sync", period="A", items=["x"])
    for status in ("in_progress", "failed", "pending"):
        good(tools, "matrix_update", period="A", item="x", task_type="research", status=status)

    assert tools["matrix_sync"].losses({"period": "A", "items": []}) == (
        "week A loses all its items (1): x (1 task begun); their history is kept"
    )


# ------------------------------------------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("matrix_progress", {"period": "AB"}, "expected a week to be a letter from A to Z, got: 'AB'"),
        ("matrix_progress", {"period": "Z"}, "matrix_progress lists the periods that there are"),
        ("matrix_progress", {"cursor": "Z"}, "expected cursor to be the `next_cursor` of a page"),
        ("matrix_progress", {"limit": 0}, "expected limit to be 1 to 100, got: 0"),
        ("matrix_ready", {"limit": 101}, "expected limit to be 1 to 100, got: 101"),
        ("matrix_ready", {"cursor": "x"}, "expected the cursor to be"),
        ("matrix_ready", {"period": "Z"}, "matrix_sync makes one"),
        ("matrix_ready", {"task_type": "reserch"}, "did you mean research?"),
        ("matrix_ready", {"week": "A"}, "matrix_ready has no argument week"),
        ("matrix_update", {"task_type": "reserch", "item": "ProjectA"}, "did you mean research?"),
        ("matrix_update", {"task_type": "research", "item": "ProjetA"}, "did you mean ProjectA?"),
        ("matrix_update", {"task_type": "research", "item": "ProjetA"}, "its list is the whole one"),
        ("matrix_update", {"task_type": "research"}, "name the item"),
        ("matrix_update", {"task_type": "content", "item": "ProjectA"}, "depends on ProjectA/research"),
        ("matrix_update", {"task_type": "content", "item": "ProjectA"}, "matrix_ready lists what may start"),
        ("matrix_update", {"task_type": "research", "item": "ProjectA", "status": "done"}, "Must be: pending"),
        (
            "matrix_sync",
            {"period": "A", "items": [5]},
            "expected an item to be a name or a mapping with a name",
        ),
        ("matrix_sync", {"period": "A", "items": "ProjectA"}, "expected a list of items, got: 'ProjectA'"),
        ("matrix_sync", {"period": "A", "items": [{"name": "P", "tasks": {}}]}, "cannot be called tasks"),
    ],
)
def test_what_is_wrong_is_an_answer_that_says_what_to_do(tools: Tools, name: str, arguments: dict[str, Any], said: str):
    good(tools, "matrix_sync", period="A", items=["ProjectA"])
    if name == "matrix_update":
        arguments = {"period": "A", "status": "in_progress", **arguments}

    answer = tools.call(name, arguments)

    assert answer["status"] == "error"
    assert said in f"{answer['message']}; {answer.get('hint')}"
    assert "sync_with_etl" not in str(answer)
    assert "get_progress" not in str(answer)


def test_groups_of_other_names_are_told_in_their_own_word():
    tools = MatrixTools(StoreTrackerBackend("memory:", groups=Named("sprint"))).tools()
    good(tools, "matrix_sync", period="2026-03", items=["x", "y"])

    assert good(tools, "matrix_progress")["periods"][0]["period"] == "2026-03"
    assert tools["matrix_sync"].losses({"period": "2026-03", "items": ["x"]}).startswith("sprint 2026-03 loses 1 item")


def test_a_broken_file_is_an_answer_and_no_list_takes_its_items_away():
    file_of().write_text("items: [\n")
    tools = MatrixTools(YAMLTrackerBackend("data/weeks")).tools()

    assert tools["matrix_sync"].losses({"period": "A", "items": []}) == ""
    for answer in (tools.call("matrix_progress"), tools.call("matrix_sync", {"period": "A", "items": []})):
        assert answer["code"] == "tracker_file"
        assert "tracker.yaml:2:" in answer["message"]
    assert file_of().read_text() == "items: [\n"


# ---------------------------------------------------------------------------------------------------------- definitions


def test_definitions_are_such_as_providers_take(tools: Tools):
    closed = [one for each in tools.openai() for one in objects(each["function"]["parameters"])]
    assert len(closed) == len(tools.names) + 1
    for one in closed:
        assert (one["required"], one["additionalProperties"]) == (list(one["properties"]), False)
    schemas = {one["name"]: one["input_schema"] for one in tools.anthropic()}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    items = Draft202012Validator(schemas["matrix_sync"])
    assert items.is_valid({"period": "A", "items": ["x", {"name": "y", "content_hash": "1", "size": 3}]})
    assert not items.is_valid({"period": "A", "items": [{"content_hash": "1"}]})
    assert [schemas[name]["required"] for name in tools.names] == [
        [], [], ["period", "task_type", "status"], ["period", "items"],
    ]  # fmt: skip


def test_every_tool_says_what_it_may_do(tools: Tools):
    effects = {one.name: one.effect for one in tools}

    assert [name for name, effect in effects.items() if effect.reads] == ["matrix_progress", "matrix_ready"]
    assert [name for name, effect in effects.items() if effect.destroys] == ["matrix_sync"]
    assert [name for name, effect in effects.items() if effect.repeats] == ["matrix_sync"]


def test_definitions_and_a_page_are_told_in_few_tokens(tools: Tools):
    for letter in "ABCDE":
        good(tools, "matrix_sync", period=letter, items=[f"Project number {n}" for n in range(8)])

    assert tokens(tools.openai()) <= MOST_DEFINITION_TOKENS
    page = good(tools, "matrix_ready", limit=20)
    assert (len(page["tasks"]), page["total"]) == (20, 40)
    assert tokens(page) <= MOST_PAGE_TOKENS


ARGUMENTS = ["period", "task_type", "status", "item", "items", "limit", "cursor", "x"]


@settings(max_examples=40)
@given(arguments=st.dictionaries(st.sampled_from(ARGUMENTS), st.text() | st.integers() | st.lists(st.text())))
def test_no_arguments_make_a_call_raise(arguments: dict[str, Any]):
    tools = MatrixTools(get_tracker("memory:")).tools()

    for name in tools.names:
        assert tools.call(name, arguments)["status"] in ("success", "error")
