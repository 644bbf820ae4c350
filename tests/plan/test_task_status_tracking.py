"""What the document says of task status tracking, under the names of its tests."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tasktrail.plan import PlanTools

pytestmark = pytest.mark.requirement("JB-064")


@pytest.fixture(params=["store", "file"])
def tools(request: pytest.FixtureRequest, tmp_path: Path) -> PlanTools:
    """A plan that the store alone has, and one in its workspace's file."""
    return PlanTools(tmp_path) if request.param == "store" else PlanTools.in_workspace(tmp_path)


def task(key: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "description": f"Do {key}", "module": "m", "dependencies": list(dependencies), **more}


def read(tools: PlanTools, key: str) -> dict[str, Any]:
    tasks: list[dict[str, Any]] = tools.read_task_breakdown()["tasks"]
    (found,) = [one for one in tasks if one["id"] == key]
    return found


@pytest.mark.requirement("JB-053", "JB-065")
def test_task_status_tracking_basic(tools: PlanTools):
    tools.write_task_list([task("T1", priority=1), task("T2", "T1", priority=2)])
    while (found := tools.get_next_task())["task"]:
        tools.mark_task_status(found["task"]["id"], "in_progress", notes="begins")
        tools.mark_task_status(found["task"]["id"], "completed", notes="ends", result="done")

    breakdown = tools.read_task_breakdown()

    assert [(one["id"], one["status"], one["result"]) for one in breakdown["tasks"]] == [
        ("T1", "completed", "done"),
        ("T2", "completed", "done"),
    ]
    assert breakdown["progress_percent"] == 100


@pytest.mark.requirement("JB-003", "JB-010")
def test_write_task_list_initializes_status_fields(tools: PlanTools):
    answer = tools.write_task_list([task("T1"), task("T2", "T1")])

    assert (answer["status"], answer["task_count"], answer["message"]) == (
        "success",
        2,
        "Task breakdown written: 2 tasks",
    )
    for one in tools.read_task_breakdown()["tasks"]:
        fields = [one[name] for name in ("status", "started_at", "completed_at", "result", "attempts", "notes")]
        assert fields == ["pending", None, None, None, 0, []]


@pytest.mark.requirement("JB-004", "JB-007", "JB-020", "JB-066")
def test_mark_task_in_progress_sets_timestamps(tools: PlanTools):
    tools.write_task_list([task("T1")])

    tools.mark_task_status("T1", "in_progress", notes="Starting work")

    one = read(tools, "T1")
    assert (one["status"], one["attempts"], [note["note"] for note in one["notes"]]) == (
        "in_progress",
        1,
        ["Starting work"],
    )
    assert datetime.fromisoformat(one["started_at"]).tzinfo is not None
    assert one["status_updated_at"] == one["started_at"]


@pytest.mark.requirement("JB-005", "JB-006", "JB-021", "JB-025")
def test_mark_task_completed_sets_timestamps_and_result(tools: PlanTools):
    tools.write_task_list([task("T1")])
    tools.mark_task_status("T1", "in_progress", notes="Starting")

    answer = tools.mark_task_status("T1", "completed", result="Created auth module", notes="Finished")

    assert answer == {
        "status": "success",
        "message": "Task T1 marked as completed",
        "task_id": "T1",
        "new_status": "completed",
    }
    one = read(tools, "T1")
    assert (one["result"], len(one["notes"])) == ("Created auth module", 2)
    assert datetime.fromisoformat(one["completed_at"]) >= datetime.fromisoformat(one["started_at"])


@pytest.mark.requirement("JB-028", "JB-031", "JB-033")
def test_get_next_task_respects_dependencies(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2", "T1"), task("T3", "T1", "T2")])

    assert tools.get_next_task()["task"]["id"] == "T1"
    tools.mark_task_status("T1", "completed")
    found = tools.get_next_task()
    assert (found["task"]["id"], found["message"]) == ("T2", "Next task: T2 - Do T2")
    tools.mark_task_status("T2", "in_progress")
    assert tools.get_next_task()["task"] is None
    tools.mark_task_status("T2", "completed")
    assert tools.get_next_task()["task"]["id"] == "T3"


@pytest.mark.requirement("JB-037")
def test_read_task_breakdown_counts_statuses(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2"), task("T3"), task("T4")])
    for key, status in (("T1", "completed"), ("T2", "in_progress"), ("T3", "failed")):
        tools.mark_task_status(key, status)

    found = tools.read_task_breakdown()

    names = ("total_tasks", "pending_count", "in_progress_count", "completed_count", "failed_count")
    assert [found[name] for name in names] == [4, 1, 1, 1, 1]


@pytest.mark.requirement("JB-007", "JB-023")
def test_multiple_attempts_increment_correctly(tools: PlanTools):
    tools.write_task_list([task("T1")])
    attempts = []
    for status in ("in_progress", "pending", "in_progress", "pending", "in_progress"):
        tools.mark_task_status("T1", status)
        attempts.append(read(tools, "T1")["attempts"])

    assert attempts == [1, 1, 2, 2, 3]


@pytest.mark.requirement("JB-008", "JB-029")
def test_notes_accumulate_over_time(tools: PlanTools):
    tools.write_task_list([task("T1")])
    for text in ("first", "second", "third"):
        tools.mark_task_status("T1", "in_progress", notes=text)
    tools.mark_task_status("T1", "completed", notes="fourth")

    notes = read(tools, "T1")["notes"]

    assert [note["note"] for note in notes] == ["first", "second", "third", "fourth"]
    assert all(datetime.fromisoformat(note["timestamp"]) for note in notes)
