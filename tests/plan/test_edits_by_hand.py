"""What people do to `architecture/task-breakdown.json` in an editor, and what the functions make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasktrail import plan
from tasktrail.engine.project import open_project
from tasktrail.engine.verification import verify
from tasktrail.plan import PlanTools


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A workspace. Whatever a test did to it, the store's history folds to its rows."""
    (tmp_path / "architecture").mkdir()
    plan.set_workspace(tmp_path)
    yield tmp_path
    plan.set_workspace(None)
    assert verify(open_project(tmp_path).store) == []


def file_of(folder: Path) -> Path:
    return folder / "architecture" / "task-breakdown.json"


def save(folder: Path, *tasks: dict[str, Any]) -> None:
    file_of(folder).write_text(json.dumps({"tasks": tasks}, indent=2))


def in_file(folder: Path) -> dict[str, dict[str, Any]]:
    return {task["id"]: task for task in json.loads(file_of(folder).read_text())["tasks"]}


def told(key: str) -> dict[str, Any]:
    (found,) = [task for task in plan.read_task_breakdown()["tasks"] if task["id"] == key]
    return dict(found)


def begun(folder: Path, *tasks: dict[str, Any]) -> None:
    """The tasks are in the file, and the store knows them."""
    save(folder, *tasks, {"id": "other"})
    assert plan.mark_task_status("other", "in_progress")["status"] == "success"


@pytest.mark.requirement("JB-035")
def test_tasks_that_are_only_put_in_another_order_are_taken_in_that_order(folder: Path):
    begun(folder, {"id": "a"}, {"id": "b"})

    save(folder, *reversed(in_file(folder).values()))

    assert plan.get_next_task()["task"]["id"] == "b"
    assert [task["id"] for task in plan.read_task_breakdown()["tasks"]] == ["other", "b", "a"]


@pytest.mark.requirement("JB-035")
def test_a_list_in_another_order_is_in_the_file_when_the_call_returns(folder: Path):
    plan.write_task_list([{"id": key, "description": key} for key in "abc"])

    plan.write_task_list([{"id": key, "description": key} for key in "bca"])

    assert [*in_file(folder)] == ["b", "c", "a"]


@pytest.mark.requirement("JB-002", "JB-008")
def test_a_list_in_another_order_moves_tasks_as_people_typed_them(folder: Path):
    typed = {"id": "a", "priority": "HIGH", "notes": [{"note": "n", "who": "me"}], "color": None}
    begun(folder, typed)

    plan.write_task_list([{"id": "other", "description": "x"}, {"id": "a", "description": "d", "priority": 2}])

    assert [*in_file(folder)] == ["other", "a"]
    kept = {name: in_file(folder)["a"][name] for name in typed}
    assert kept == typed


@pytest.mark.requirement("JB-002", "JB-012")
def test_keys_of_peoples_own_stay_where_a_list_does_not_name_them(folder: Path):
    begun(folder, {"id": "a", "color": "red", "size": 1})

    plan.write_task_list([{"id": "other", "description": "x"}, {"id": "a", "description": "d", "size": 2}])

    for found in (told("a"), in_file(folder)["a"]):
        assert (found["color"], found["size"]) == ("red", 2)


def test_a_plan_that_is_replaced_or_undone_loses_a_key_in_file_and_store(folder: Path):
    tools = PlanTools.in_workspace(folder)
    tools.write_task_list([{"id": "a", "description": "d"}, {"id": "b", "description": "d", "size": 1}])
    tools.update_task("a", {"color": "red"})

    tools.undo(tools.task_history("a")["history"][-1]["number"])
    tools.replace_task_list([{"id": "a", "description": "d"}, {"id": "b", "description": "d"}])

    for key, name in (("a", "color"), ("b", "size")):
        assert name not in told(key)
        assert name not in in_file(folder)[key]


@pytest.mark.requirement("JB-005", "JB-024")
@pytest.mark.parametrize("status", ["pending", "in_progress", "blocked"])
def test_a_completion_time_of_a_task_that_is_not_done_harms_nobody(folder: Path, status: str):
    begun(folder, {"id": "a", "status": status, "started_at": "2026-01-01T00:00:00"})

    save(folder, {**in_file(folder)["a"], "completed_at": "2026-01-02T03:04:05"})

    assert (told("a")["status"], told("a")["completed_at"]) == (status, None)
    assert plan.mark_task_status("a", "completed")["status"] == "success"
    assert in_file(folder)["a"]["completed_at"] != "2026-01-02T03:04:05"


@pytest.mark.requirement("JB-005")
def test_a_task_that_is_done_without_a_time_has_the_time_when_that_was_seen(folder: Path):
    begun(folder, {"id": "a"})

    save(folder, {**in_file(folder)["a"], "status": "completed", "completed_at": None})

    assert told("a")["completed_at"] is not None


@pytest.mark.requirement("JB-006")
def test_a_result_stays_while_other_words_of_its_pending_task_change(folder: Path):
    begun(folder, {"id": "a", "result": "half of it"})

    save(folder, {**in_file(folder)["a"], "error": "disk full"})
    plan.mark_task_status("a", "pending", notes="n")

    assert (told("a")["result"], told("a")["error"]) == ("half of it", "disk full")
    assert (in_file(folder)["a"]["result"], in_file(folder)["a"]["error"]) == ("half of it", "disk full")


@pytest.mark.requirement("JB-008")
def test_an_empty_note_stays(folder: Path):
    begun(folder, {"id": "a", "notes": [{"note": "", "who": "me"}]})

    plan.mark_task_status("a", "in_progress", notes="ours")

    assert [note["note"] for note in told("a")["notes"]] == ["", "ours"]
    assert in_file(folder)["a"]["notes"][0] == {"note": "", "who": "me"}


@pytest.mark.requirement("JB-008", "JB-063")
def test_a_note_is_by_whom_it_says(folder: Path):
    begun(folder, {"id": "a", "notes": [{"note": "n", "actor": "Ada"}]})

    assert told("a")["notes"][0]["actor"] == "Ada"


@pytest.mark.requirement("JB-008")
def test_a_task_that_comes_back_has_the_notes_of_the_file_alone(folder: Path):
    begun(folder, {"id": "a", "notes": [{"note": "kept"}, {"note": "gone"}]}, {"id": "b"})
    save(folder, in_file(folder)["b"])
    assert "a" not in [task["id"] for task in plan.read_task_breakdown()["tasks"]]

    save(folder, in_file(folder)["b"], {"id": "a", "notes": [{"note": "kept"}]})
    plan.mark_task_status("b", "completed")

    assert [note["note"] for note in told("a")["notes"]] == ["kept"]
    assert in_file(folder)["a"]["notes"] == [{"note": "kept"}]


# ------------------------------------------------------------------------------------------------------------- needs


@pytest.mark.requirement("JB-011", "JB-031")
def test_a_list_frees_a_task_of_a_need_that_was_taken_out_by_hand(folder: Path):
    begun(folder, {"id": "a"}, {"id": "b", "dependencies": ["a"]})
    save(folder, in_file(folder)["b"])

    plan.write_task_list([{"id": "b", "description": "d"}])

    assert plan.get_next_task()["task"]["id"] == "b"


@pytest.mark.requirement("JB-011", "JB-031")
def test_a_need_that_comes_back_with_a_list_can_be_met(folder: Path):
    begun(folder, {"id": "a"}, {"id": "b", "dependencies": ["a"]})
    save(folder, in_file(folder)["b"])

    plan.write_task_list([
        {"id": "b", "description": "d", "dependencies": ["a"]}, {"id": "a", "description": "d"},
    ])  # fmt: skip
    waiting = plan.get_next_task()["task"]["id"]
    plan.mark_task_status("a", "completed")

    assert (waiting, plan.get_next_task()["task"]["id"]) == ("a", "b")


@pytest.mark.requirement("JB-014", "JB-061")
def test_a_task_that_needs_itself_by_hand_can_be_freed(folder: Path):
    begun(folder, {"id": "a", "dependencies": ["a"]})
    blocked = plan.get_next_task()["task"]

    plan.update_task("a", {"dependencies": []})

    assert (blocked, plan.get_next_task()["task"]["id"]) == (None, "a")
    assert in_file(folder)["a"]["dependencies"] == []


@pytest.mark.requirement("JB-045")
def test_arguments_nested_without_end_are_refused(folder: Path):
    begun(folder, {"id": "a"})
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]

    answer = PlanTools.in_workspace(folder).tools().call("mark_task_status", {"task_id": "a", "status": deep})

    assert answer["status"] == "error"
