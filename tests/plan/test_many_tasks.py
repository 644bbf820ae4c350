"""`mark_tasks` and `undo` of `PlanTools`: many tasks at once, and back; what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasktrail.plan import PlanTools


@pytest.fixture
def tools(tmp_path: Path) -> PlanTools:
    tools = PlanTools(tmp_path)
    tools.write_task_list([{"id": key, "description": f"Do {key}"} for key in ("T1", "T2", "T3")])
    return tools


def statuses(tools: PlanTools) -> list[str]:
    return [task["status"] for task in tools.read_task_breakdown()["tasks"]]


@pytest.mark.requirement("JB-062")
def test_many_tasks_are_marked_or_none_and_every_fault_is_named(tools: PlanTools) -> None:
    updates: list[dict[str, Any]] = [{"task_id": "T1", "status": "completed"}, {"task_id": "T8", "status": "failed"}]
    answer = tools.mark_tasks([*updates, {"task_id": "T9", "status": "failed"}])

    assert (answer["status"], answer["code"]) == ("error", "bad_input")
    assert [error.split()[-1] for error in answer["errors"]] == ["T8", "T9"]
    assert statuses(tools) == ["pending"] * 3

    answer = tools.mark_tasks([*updates, {"task_id": "T3", "status": "failed", "notes": "no"}], partial=True)
    assert answer["message"] == "2 of 3 tasks marked"
    assert [one["status"] for one in answer["results"]] == ["success", "error", "success"]
    assert statuses(tools) == ["completed", "pending", "failed"]


@pytest.mark.requirement("JB-062")
def test_updates_that_cannot_be_are_all_named(tools: PlanTools) -> None:
    wrong: list[Any] = [{"task_id": "T1", "status": "done"}, {"status": "failed", "note": "x"}, "T3"]

    assert tools.mark_tasks(wrong)["errors"] == [
        "updates[0]: Invalid status: 'done'. Must be: pending, in_progress, completed, failed",
        "updates[1]: unknown key 'note'; known are task_id, status, notes, result, error",
        "updates[1]: expected task_id to be an id, got: None",
        "updates[2]: expected an update to be an object, got: 'T3'",
    ]
    assert tools.mark_tasks("T1")["status"] == "error"  # type: ignore[arg-type]  # what an agent may send
    assert tools.mark_tasks([]) == {"status": "success", "message": "0 of 0 tasks marked", "results": []}


def test_the_number_of_the_history_undoes_a_change(tools: PlanTools) -> None:
    tools.mark_task_status("T1", "completed", result="fine")
    number = tools.task_history("T1")["history"][-1]["number"]

    dry = tools.undo(number, dry_run=True)
    assert (dry["message"], statuses(tools)[0]) == ("Would undo changes of 1 task", "completed")
    answer = tools.undo(number)

    assert answer == {
        "status": "success", "message": "Changes of 1 task undone",
        "undone": [{"task_id": "T1", "events": [number], "from": "completed", "to": "pending"}],
    }  # fmt: skip
    again = tools.undo(number)
    assert (again["status"], again["code"]) == ("error", "conflict")


def test_an_actors_changes_are_undone_and_what_was_claimed_is_told(tools: PlanTools) -> None:
    claim = tools.get_next_task(claim=True, owner="bo")
    tools.mark_task_status("T2", "completed")
    tools.finish_task("T1", claim["token"], "done")

    answer = tools.undo(actor="bo", since="2020-01-01")

    assert statuses(tools) == ["pending", "completed", "pending"]
    assert answer["effects"] == ["attempt 1 of task T1, by bo, really ran: what it did outside stays"]


def test_another_plan_is_left_alone_and_half_an_order_is_refused(tools: PlanTools, tmp_path: Path) -> None:
    other = PlanTools(tmp_path, plan="other")
    assert other.undo(1)["message"] == "No task breakdown file found. Create tasks first."
    other.write_task_list([{"id": "X", "description": "Do X"}])
    other.mark_task_status("X", "completed")
    number = other.task_history("X")["history"][-1]["number"]

    assert tools.undo(number)["code"] == "not_found"
    for order in ({}, {"event": 1, "batch": 1}, {"actor": "bo"}, {"actor": "bo", "since": "soon"}):
        assert tools.undo(**order)["code"] == "bad_input"
    assert statuses(other) == ["completed"]
