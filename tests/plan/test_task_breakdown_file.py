"""`architecture/task-breakdown.json` as a document: the module's functions, people's edits, other processes."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tasktrail import plan
from tasktrail.engine.project import open_project
from tasktrail.engine.verification import verify
from tasktrail.plan import PlanTools

HAND_MADE = """{
  "x-owner": "CC",
  "tasks": [
    {"id": "T1", "description": "Setup", "color": "red", "status": "completed"},
    {"id": "T2", "description": "API", "dependencies": ["T1"]},
    {"id": "T3", "description": "UI", "dependencies": ["T2", "T9"],   "notes": [{"note": "by hand"}]}
  ]
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A workspace. Whatever a test did to it, the store's history folds to its rows."""
    plan.set_workspace(tmp_path)
    yield tmp_path
    plan.set_workspace(None)
    if (tmp_path / ".tasktrail").exists():
        assert verify(open_project(tmp_path).store) == []


def file_of(folder: Path) -> Path:
    return folder / "architecture" / "task-breakdown.json"


def written(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file_of(folder).read_text())
    return found


def in_file(folder: Path, key: str) -> dict[str, Any]:
    (found,) = [task for task in written(folder)["tasks"] if task["id"] == key]
    return dict(found)


def by_hand(folder: Path, text: str) -> None:
    file_of(folder).parent.mkdir(exist_ok=True)
    file_of(folder).write_text(text)


def task(key: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "description": f"Do {key}", "dependencies": list(dependencies), **more}


# -------------------------------------------------------------------------------------------------------- the functions


@pytest.mark.requirement("JB-001", "JB-010", "JB-016", "JB-017")
def test_a_list_makes_the_file_and_says_where(folder: Path):
    answer = plan.write_task_list([task("T1"), task("T2", "T1", module="m")])

    assert {name: answer[name] for name in ("status", "file_path", "absolute_path", "task_count", "message")} == {
        "status": "success",
        "file_path": "architecture/task-breakdown.json",
        "absolute_path": str(file_of(folder)),
        "task_count": 2,
        "message": "Task breakdown written: 2 tasks",
    }
    assert list(written(folder)) == ["generated_at", "total_tasks", "tasks"]
    assert written(folder)["total_tasks"] == 2
    assert in_file(folder, "T2") == {
        "id": "T2", "description": "Do T2", "module": "m", "priority": 3, "dependencies": ["T1"], "status": "pending",
        "started_at": None, "completed_at": None, "result": None, "attempts": 0, "notes": [],
    }  # fmt: skip


@pytest.mark.requirement("JB-018")
@pytest.mark.parametrize(
    "call",
    [
        lambda: plan.write_task_list([task("T1")]), plan.read_task_breakdown, plan.get_next_task,
        lambda: plan.mark_task_status("T1", "completed"), lambda: plan.update_task("T1", {"priority": 1}),
    ],
)  # fmt: skip
def test_without_a_workspace_every_function_answers_with_an_error(call: Any):
    plan.set_workspace(None)

    assert (call()["status"], "configured" in call()["message"]) == ("error", True)


@pytest.mark.requirement("JB-004", "JB-005", "JB-006", "JB-007", "JB-008", "JB-009", "JB-054", "JB-063")
def test_every_mark_is_in_the_file_when_the_call_returns(folder: Path):
    plan.write_task_list([task("T1")])

    plan.mark_task_status("T1", "in_progress", notes="begins")
    begun = in_file(folder, "T1")
    plan.mark_task_status("T1", "completed", result="done")
    done = in_file(folder, "T1")

    assert (begun["status"], begun["attempts"], begun["completed_at"]) == ("in_progress", 1, None)
    assert [note["note"] for note in begun["notes"]] == ["begins"]
    assert begun["status_updated_at"] == begun["started_at"] == done["started_at"]
    assert (done["status"], done["result"]) == ("completed", "done")
    assert done["completed_at"] == done["status_updated_at"]
    assert [(move["from"], move["to"]) for move in done["history"]] == [
        ("pending", "in_progress"), ("in_progress", "completed"),
    ]  # fmt: skip


@pytest.mark.requirement("JB-027", "JB-038")
def test_without_a_file_marks_are_errors_and_reads_are_empty_and_nothing_is_made(folder: Path):
    assert plan.read_task_breakdown()["message"] == "No task breakdown file found"
    assert plan.read_task_breakdown()["in_progress_count"] == 0
    assert plan.get_next_task()["message"] == "No tasks in breakdown"
    assert plan.mark_task_status("T1", "completed")["message"] == "No task breakdown file found. Create tasks first."
    assert plan.update_task("T1", {"priority": 1})["message"] == "No task breakdown file found"
    assert list(folder.iterdir()) == []


@pytest.mark.requirement("JB-041")
def test_an_update_is_in_the_file_with_its_time(folder: Path):
    plan.write_task_list([task("T1"), task("T2")])

    plan.update_task("T2", {"description": "Other", "dependencies": ["T1"], "color": "red"})

    found = in_file(folder, "T2")
    assert (found["description"], found["dependencies"], found["color"]) == ("Other", ["T1"], "red")
    assert found["updated_at"]
    assert "updated_at" not in in_file(folder, "T1")


@pytest.mark.requirement("JB-011", "JB-012")
def test_a_new_list_keeps_what_tasks_have_reached_and_takes_out_what_is_gone(folder: Path):
    plan.write_task_list([task("T1"), task("T2"), task("T3")])
    plan.mark_task_status("T1", "completed", result="done")

    answer = plan.write_task_list([task("T4", "T1"), task("T3"), task("T1", priority=1)])

    assert answer["changes"] == {"added": ["T4"], "changed": ["T1"], "removed": ["T2"]}
    assert [one["id"] for one in written(folder)["tasks"]] == ["T4", "T3", "T1"]
    assert written(folder)["total_tasks"] == 3
    assert (in_file(folder, "T1")["status"], in_file(folder, "T1")["result"]) == ("completed", "done")


@pytest.mark.requirement("JB-014")
def test_a_list_that_cannot_be_leaves_the_file_as_it_is(folder: Path):
    plan.write_task_list([task("T1")])
    before = file_of(folder).read_bytes()

    answer = plan.write_task_list([task("T1", "T1"), task("T2", "T7"), task("T2"), task("T3", "T4"), task("T4", "T3")])

    assert answer["errors"] == [
        "task T2 is given 2 times", "task T2 needs T7, which does not exist", "task T1 needs itself",
        "tasks need each other in a cycle: T3 -> T4 -> T3",
    ]  # fmt: skip
    assert file_of(folder).read_bytes() == before


@pytest.mark.requirement("JB-066")
def test_text_that_comes_through_us_is_scrubbed_in_file_and_store(folder: Path):
    plan.write_task_list([task("T1")])

    plan.mark_task_status("T1", "failed", notes="password=hunter2hunter2", result="token ghp_" + "a" * 36)

    for path in (file_of(folder), *folder.glob(".tasktrail/*")):
        assert b"hunter2" not in path.read_bytes()
        assert b"ghp_aaaa" not in path.read_bytes()


# --------------------------------------------------------------------------------------------------------- by hand


@pytest.mark.requirement("JB-039", "JB-002", "JB-013")
def test_a_hand_written_file_is_read_without_making_a_store(folder: Path):
    by_hand(folder, HAND_MADE)

    answer = plan.read_task_breakdown()

    assert (answer["total_tasks"], answer["completed_count"], answer["pending_count"]) == (3, 1, 2)
    assert answer["tasks"][0]["color"] == "red"
    assert plan.get_next_task()["task"]["id"] == "T2"
    assert not (folder / ".tasktrail").exists()


@pytest.mark.requirement("JB-002")
def test_a_mark_changes_its_own_task_alone_in_a_hand_written_file(folder: Path):
    by_hand(folder, HAND_MADE)

    plan.mark_task_status("T2", "in_progress")

    after = file_of(folder).read_text()
    kept = [line for line in HAND_MADE.splitlines() if '"T2"' not in line]
    assert [line for line in after.splitlines() if line in kept] == kept
    assert (in_file(folder, "T2")["status"], in_file(folder, "T2")["attempts"]) == ("in_progress", 1)


def test_what_people_typed_stays_as_they_typed_it(folder: Path):
    by_hand(folder, HAND_MADE.replace("by hand", "password=hunter2hunter2"))

    plan.mark_task_status("T3", "in_progress", notes="ours")

    assert [note["note"] for note in in_file(folder, "T3")["notes"]] == ["password=hunter2hunter2", "ours"]
    assert "timestamp" not in in_file(folder, "T3")["notes"][0]
    assert all(b"hunter2" not in path.read_bytes() for path in folder.glob(".tasktrail/*"))


@pytest.mark.requirement("JB-036")
def test_a_need_that_does_not_exist_is_said_of_its_task_and_met_once_it_does(folder: Path):
    by_hand(folder, HAND_MADE)
    plan.mark_task_status("T2", "completed")

    found = {one["id"]: one for one in plan.read_task_breakdown()["tasks"]}["T3"]
    nothing = plan.get_next_task()
    by_hand(folder, file_of(folder).read_text().replace('{"id": "T3"', '{"id": "T9", "description": "x"}, {"id": "T3"'))
    ninth = plan.get_next_task()["task"]["id"]
    plan.mark_task_status("T9", "completed")

    assert found["unknown_dependencies"] == ["T9"]
    assert (nothing["task"], nothing["blocked"]) == (
        None, [{"id": "T3", "reason": "needs T9, which does not exist"}],
    )  # fmt: skip
    assert (ninth, plan.get_next_task()["task"]["id"]) == ("T9", "T3")


def test_a_needed_task_that_is_taken_out_by_hand_is_missed(folder: Path):
    by_hand(folder, HAND_MADE)
    plan.mark_task_status("T2", "in_progress")
    text = file_of(folder).read_text()
    document = json.loads(text)
    document["tasks"] = document["tasks"][1:]
    by_hand(folder, json.dumps(document))
    plan.mark_task_status("T2", "pending")

    assert plan.get_next_task()["blocked"][0] == {"id": "T2", "reason": "needs T1, which does not exist"}
    assert [one["id"] for one in plan.read_task_breakdown()["tasks"]] == ["T2", "T3"]


def test_edits_by_hand_between_two_calls_are_honoured(folder: Path):
    plan.write_task_list([task("T1"), task("T2"), task("T3", "T1")])
    plan.mark_task_status("T1", "in_progress", notes="ours")
    document = written(folder)
    document["tasks"][0].update(status="completed", description="Renamed", extra=[1, {"a": None}])
    document["tasks"][0]["notes"].append({"note": "theirs"})
    document["tasks"][2]["dependencies"] = ["T1", "T2"]
    document["tasks"].reverse()
    by_hand(folder, json.dumps(document))

    nexts = plan.get_next_task()["task"]["id"]
    plan.mark_task_status("T2", "completed", notes="also")

    found = {one["id"]: one for one in plan.read_task_breakdown()["tasks"]}
    assert list(found) == ["T3", "T2", "T1"]
    assert (nexts, plan.get_next_task()["task"]["id"]) == ("T2", "T3")
    assert (found["T1"]["status"], found["T1"]["description"], found["T1"]["extra"]) == (
        "completed", "Renamed", [1, {"a": None}],
    )  # fmt: skip
    assert [note["note"] for note in found["T1"]["notes"]] == ["ours", "theirs"]
    assert found["T3"]["dependencies"] == ["T1", "T2"]
    assert [note["note"] for note in in_file(folder, "T1")["notes"]] == ["ours", "theirs"]


@pytest.mark.requirement("JB-024")
@pytest.mark.parametrize("ended", ["completed", "failed"])
@pytest.mark.parametrize("status", ["pending", "in_progress", "blocked"])
def test_an_ended_task_that_is_opened_again_by_hand_has_no_completion_time(folder: Path, ended: str, status: str):
    plan.write_task_list([task("T1")])
    plan.mark_task_status("T1", ended, result="kept")
    by_hand(folder, file_of(folder).read_text().replace(f'"status": "{ended}"', f'"status": "{status}"'))

    found = plan.read_task_breakdown()["tasks"][0]
    marked = plan.mark_task_status("T1", "completed", result="again")

    assert (found["status"], found["completed_at"], found["result"]) == (status, None, "kept")
    assert marked["status"] == "success"
    assert in_file(folder, "T1")["completed_at"] == in_file(folder, "T1")["status_updated_at"]


def test_a_note_that_somebody_deletes_stays_deleted(folder: Path):
    plan.write_task_list([task("T1")])
    plan.mark_task_status("T1", "in_progress", notes="one")
    plan.mark_task_status("T1", "in_progress", notes="two")
    document = written(folder)
    del document["tasks"][0]["notes"][0]
    by_hand(folder, json.dumps(document))

    plan.mark_task_status("T1", "completed", notes="three")

    assert [note["note"] for note in in_file(folder, "T1")["notes"]] == ["two", "three"]
    assert [note["note"] for note in plan.read_task_breakdown()["tasks"][0]["notes"]] == ["two", "three"]


def test_a_note_in_the_place_of_one_with_the_same_words_is_told(folder: Path):
    plan.write_task_list([task("T1")])
    plan.mark_task_status("T1", "in_progress", notes="one")
    document = written(folder)
    document["tasks"][0]["notes"] = [{"note": "one"}]
    by_hand(folder, json.dumps(document))

    assert [note["note"] for note in plan.read_task_breakdown()["tasks"][0]["notes"]] == ["one"]


def test_an_undone_note_leaves_the_file(folder: Path):
    plan.write_task_list([task("T1")])
    tools = PlanTools.in_workspace(folder)
    tools.add_note("T1", "one")
    tools.add_note("T1", "two")
    assert [note["note"] for note in in_file(folder, "T1")["notes"]] == ["one", "two"]
    number = tools.task_history("T1")["history"][0]["number"]

    assert tools.undo(event=number)["status"] == "success"

    assert [note["note"] for note in in_file(folder, "T1")["notes"]] == ["two"]


def test_a_mark_through_the_store_first_adopts_what_the_file_says(folder: Path):
    plan.write_task_list([task("T1")])
    plan.mark_task_status("T1", "in_progress")
    text = file_of(folder).read_text().replace('"in_progress"', '"pending"', 1).replace('"T1"', '"T2"')
    by_hand(folder, text)
    tools = PlanTools(f"sqlite:///{folder}/.tasktrail/tasktrail.db", folder.name)

    marked, gone = tools.mark_task_status("T2", "in_progress"), tools.mark_task_status("T1", "completed")

    assert (marked["status"], in_file(folder, "T2")["status"]) == ("success", "in_progress")
    assert gone["message"] == "Task T1 not found in breakdown"


def test_a_completed_task_that_is_pending_by_hand_can_be_marked_completed_again(folder: Path):
    plan.write_task_list([task("T1")])
    plan.mark_task_status("T1", "completed")
    by_hand(folder, file_of(folder).read_text().replace('"status": "completed"', '"status": "pending"'))

    plan.mark_task_status("T1", "completed")

    assert [move["to"] for move in in_file(folder, "T1")["history"]] == ["completed", "pending", "completed"]


def test_tasks_in_a_cycle_by_hand_are_kept_and_never_start(folder: Path):
    by_hand(folder, '{"tasks": [{"id": "a", "dependencies": ["b", "a"]}, {"id": "b", "dependencies": ["a"]}]}')

    assert plan.get_next_task()["task"] is None
    plan.mark_task_status("b", "completed")
    assert plan.get_next_task()["task"] is None
    assert in_file(folder, "a")["dependencies"] == ["b", "a"]


@pytest.mark.requirement("JB-007", "JB-011")
def test_attempts_that_the_file_counts_go_on_from_there(folder: Path):
    by_hand(folder, '{"tasks": [{"id": "a", "attempts": 3, "started_at": "2026-01-02T03:04:05"}]}')

    plan.mark_task_status("a", "in_progress")
    plan.mark_task_status("a", "pending")
    plan.mark_task_status("a", "in_progress")

    assert (in_file(folder, "a")["attempts"], in_file(folder, "a")["started_at"]) == (5, "2026-01-02T03:04:05")


@pytest.mark.requirement("JB-040")
@pytest.mark.parametrize(
    "text", ["", "{", '{"tasks": {}}', "[]", '{"tasks": [{"id": "a", "status": "done"}]}', '{"tasks": [{"id": "a"}'],
)  # fmt: skip
def test_a_broken_file_is_an_error_with_its_place_and_stays(folder: Path, text: str):
    plan.write_task_list([task("a")])
    by_hand(folder, text)
    calls = [
        plan.read_task_breakdown, plan.get_next_task, lambda: plan.mark_task_status("a", "completed"),
        lambda: plan.update_task("a", {"priority": 1}), lambda: plan.write_task_list([task("a")]),
    ]  # fmt: skip

    for call in calls:
        answer = call()
        assert answer["status"] == "error"
        assert f"{file_of(folder)}:1:" in answer["message"]
    assert file_of(folder).read_text() == text


def test_a_file_that_lost_its_store_goes_on_with_its_own_history(folder: Path):
    plan.write_task_list([task("T1"), task("T2", "T1")])
    plan.mark_task_status("T1", "in_progress", notes="one")
    plan.mark_task_status("T1", "completed", result="done")
    other = folder / "elsewhere"
    (other / "architecture").mkdir(parents=True)
    (other / ".tasktrail").mkdir()
    file_of(other).write_text(file_of(folder).read_text())
    plan.set_workspace(other)

    plan.mark_task_status("T1", "pending", notes="two")

    found = in_file(other, "T1")
    assert [(move["from"], move["to"]) for move in found["history"]] == [
        ("pending", "in_progress"), ("in_progress", "completed"), ("completed", "pending"),
    ]  # fmt: skip
    assert [note["note"] for note in found["notes"]] == ["one", "two"]
    assert found["attempts"] == 1


# ---------------------------------------------------------------------------------------------------- many at once


@pytest.mark.requirement("JB-056")
def test_forty_threads_write_and_mark_one_file_and_nothing_is_lost(folder: Path):
    keys = [f"T{n}" for n in range(40)]
    plan.write_task_list([task(key) for key in keys])
    barrier = threading.Barrier(40)

    def mark(key: str) -> str:
        barrier.wait()
        plan.write_task_list([task(one) for one in keys])
        return str(plan.mark_task_status(key, "completed", notes=f"note of {key}", result=f"result of {key}")["status"])

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(mark, keys)) == {"success"}

    found = {one["id"]: one for one in written(folder)["tasks"]}
    assert list(found) == keys
    for key in keys:
        assert (found[key]["status"], found[key]["result"]) == ("completed", f"result of {key}")
        assert [note["note"] for note in found[key]["notes"]] == [f"note of {key}"]


def _mark_fifty(folder: Path, worker: int) -> int:
    tools = PlanTools.in_workspace(folder)
    answers = [tools.mark_task_status(f"T{worker}-{n}", "completed", notes="n", result=f"{n}") for n in range(50)]
    return sum(answer["status"] == "success" for answer in answers)


@pytest.mark.requirement("JB-056", "JB-057")
def test_eight_processes_mark_fifty_each_and_all_four_hundred_are_there(folder: Path):
    plan.write_task_list([task(f"T{worker}-{n}") for worker in range(8) for n in range(50)])
    context = multiprocessing.get_context("spawn")

    with context.Pool(8) as pool:
        assert pool.starmap(_mark_fifty, [(folder, worker) for worker in range(8)]) == [50] * 8

    found = written(folder)["tasks"]
    assert len(found) == 400
    assert all((one["status"], len(one["notes"]), len(one["history"])) == ("completed", 1, 1) for one in found)
