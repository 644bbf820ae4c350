"""What `PlanTools` answers: the document's words, errors as values, and nothing that the caller gave is touched."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tasktrail.config import find_store_for_folder, load
from tasktrail.engine.project import ledger_of
from tasktrail.engine.verification import verify
from tasktrail.plan import PlanTools

FOUR = "pending, in_progress, completed, failed"


@pytest.fixture
def tools(tmp_path: Path) -> PlanTools:
    folder = tmp_path / "shop"
    folder.mkdir()
    return PlanTools(folder)


def task(key: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "description": f"Do {key}", "dependencies": list(dependencies), **more}


@pytest.mark.requirement("JB-027", "JB-034", "JB-038")
def test_without_a_plan_reading_is_empty_and_changing_an_error(tools: PlanTools):
    found = tools.read_task_breakdown()
    names = ("pending_count", "in_progress_count", "completed_count", "failed_count", "total_tasks")

    assert [found[name] for name in names] == [0, 0, 0, 0, 0]
    assert (found["status"], found["tasks"], found["message"]) == ("success", [], "No task breakdown file found")
    assert tools.get_next_task() == {"status": "success", "task": None, "message": "No tasks in breakdown"}
    marked = tools.mark_task_status("T1", "completed")
    assert (marked["status"], marked["message"]) == ("error", "No task breakdown file found. Create tasks first.")
    assert tools.update_task("T1", {"priority": 1})["message"] == "No task breakdown file found"


@pytest.mark.requirement("JB-026", "JB-027")
def test_what_cannot_be_marked_is_an_error_with_its_code(tools: PlanTools):
    tools.write_task_list([task("T1")])

    wrong = tools.mark_task_status("T1", "done")
    unknown = tools.mark_task_status("T9", "completed")

    assert (wrong["status"], wrong["message"]) == ("error", f"Invalid status: done. Must be: {FOUR}")
    assert (unknown["message"], unknown["code"]) == ("Task T9 not found in breakdown", "not_found")
    assert tools.update_task("T9", {"priority": 1})["message"] == "Task T9 not found"


@pytest.mark.requirement("JB-014")
def test_all_faults_of_a_list_are_named_at_once(tools: PlanTools):
    answer = tools.write_task_list(
        [{"id": "T1"}, {"description": "x"}, task("T2", "T9"), task("T3", priority="soon"), task("T3"), "T4"]  # type: ignore[list-item]
    )

    assert (answer["status"], answer["code"]) == ("error", "bad_input")
    assert answer["errors"] == [
        "T1: expected tasks[0].description to be given",
        "expected tasks[1].id to be given",
        'T3: expected tasks[3].priority to be a whole number or one of CRITICAL, HIGH, MEDIUM, LOW, got: "soon"',
        'expected tasks[5] to be an object, got: "T4"',
        "task T3 is given 2 times",
        "task T2 needs T9, which does not exist",
    ]
    assert all(fault in answer["message"] for fault in answer["errors"])
    assert tools.read_task_breakdown()["tasks"] == []


@pytest.mark.requirement("JB-002", "JB-013", "JB-015")
def test_unknown_keys_come_back_and_what_the_caller_gave_is_left_alone(tools: PlanTools):
    given = [task("T1", module="auth", estimated_complexity="low", tags=["a", {"b": None}]), task("T2")]
    before = deepcopy(given)

    tools.write_task_list(given)

    assert given == before
    first, second = tools.read_task_breakdown()["tasks"]
    assert (first["module"], first["estimated_complexity"], first["tags"]) == ("auth", "low", ["a", {"b": None}])
    assert "module" not in second


@pytest.mark.requirement("JB-011")
def test_what_was_read_can_be_written_back(tools: PlanTools):
    tools.write_task_list([task("T1", module="auth"), task("T2", "T1")])
    tools.mark_task_status("T1", "in_progress", notes="begins")
    tools.mark_task_status("T1", "failed", result="no network")
    before = tools.read_task_breakdown()

    answer = tools.write_task_list(before["tasks"])

    assert answer["changes"] == {"added": [], "changed": [], "removed": []}
    assert tools.read_task_breakdown() == before


@pytest.mark.requirement("JB-036")
def test_a_task_that_can_never_start_is_reported_with_the_reason(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2", "T1")])
    tools.mark_task_status("T1", "failed")

    found = tools.get_next_task()

    assert found["message"] == "No pending tasks (all completed, failed, or blocked by dependencies)"
    assert found["blocked"] == [{"id": "T2", "reason": "needs T1, which is failed"}]


@pytest.mark.requirement("JB-041", "JB-042")
def test_an_update_says_what_it_did_and_what_it_did_not(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2", "T1")])

    answer = tools.update_task("T2", {"priority": 1, "id": "X", "status": "completed", "owner": "ann"})

    assert (answer["status"], answer["updates"], answer["ignored"]) == (
        "success",
        {"priority": 1, "owner": "ann"},
        ["id", "status"],
    )
    second = tools.read_task_breakdown()["tasks"][1]
    assert (second["id"], second["status"], second["priority"], second["owner"]) == ("T2", "pending", 1, "ann")
    assert second["updated_at"].endswith("+00:00")
    assert tools.update_task("T2", {"status": "completed"})["hint"] == "mark_task_status changes the status"
    cycle = tools.update_task("T1", {"dependencies": ["T2"]})
    assert cycle["errors"] == ["tasks need each other in a cycle: T1 -> T2 -> T1"]


@pytest.mark.requirement("JB-054", "JB-055")
def test_another_process_goes_on_where_this_one_stopped(tools: PlanTools, tmp_path: Path):
    tools.write_task_list([task("T1"), task("T2", "T1")])
    tools.mark_task_status("T1", "in_progress")

    later = PlanTools(tmp_path / "shop")
    for one in later.read_task_breakdown()["tasks"]:
        if one["status"] == "in_progress":
            later.mark_task_status(one["id"], "pending", notes="Reset after interruption")

    found = later.get_next_task()["task"]
    assert (found["id"], found["attempts"], found["notes"][-1]["note"]) == ("T1", 1, "Reset after interruption")


# ------------------------------------------------------------------------------------------------------------ claims


def test_a_claim_is_worked_on_with_its_token_in_the_words_of_the_document(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2", "T1")])

    claim = tools.get_next_task(claim=True, owner="bob", lease_seconds=60)

    assert (claim["task"]["id"], claim["message"], claim["lease_seconds"]) == ("T1", "Next task: T1 - Do T1", 60)
    refused = tools.mark_task_status("T1", "completed")
    assert (refused["status"], refused["code"]) == ("error", "held")
    assert tools.heartbeat("T1", claim["token"])["status"] == "success"
    begun = tools.mark_task_status("T1", "in_progress", notes="half way", token=claim["token"])
    assert begun["new_status"] == "in_progress"
    first = tools.read_task_breakdown()["tasks"][0]
    assert (first["attempts"], first["claimed_by"], first["lease_expired"]) == (1, "bob", False)
    assert tools.write_task_list(tools.read_task_breakdown()["tasks"])["changes"]["changed"] == []
    done = tools.mark_task_status("T1", "completed", result="done", token=claim["token"])
    assert (done["status"], done["message"]) == ("success", "Task T1 marked as completed")
    assert tools.finish_task("T1", claim["token"], "done")["status"] == "success", "said again"
    assert tools.finish_task("T1", "bob")["code"] == "bad_input"


def test_a_claim_is_given_back_and_the_next_one_has_another_token(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2", "T1")])
    first = tools.claim_task("T1", owner="bob")
    assert tools.claim_task("T2")["code"] == "unmet_need"

    assert tools.release_task("T1", first["token"], "too hard")["new_status"] == "pending"

    second = tools.get_next_task(claim=True, owner="eve")
    assert (second["task"]["id"], second["task"]["attempts"]) == ("T1", 2)
    assert second["token"] != first["token"]
    late = tools.finish_task("T1", first["token"], "after all")
    assert (late["status"], late["code"]) == ("error", "lease_lost")
    assert tools.finish_task("T1", second["token"], status="failed", error="no network")["new_status"] == "failed"
    assert tools.read_task_breakdown()["tasks"][0]["error"] == "no network"


def test_nothing_can_be_claimed_without_a_plan(tools: PlanTools):
    assert tools.get_next_task(claim=True) == {"status": "success", "task": None, "message": "No tasks in breakdown"}
    assert tools.get_next_task(claim=True, lease_seconds=0)["status"] == "success"
    assert tools.finish_task("T1", "x", status="done")["message"] == "Invalid status: done. Must be: completed, failed"


# ----------------------------------------------------------------------------------------------------- looking closer


def ids(answer: dict[str, Any]) -> list[str]:
    return [one["id"] for one in answer["tasks"]]


def test_tasks_come_in_pages_and_by_status(tools: PlanTools):
    tools.write_task_list([task(f"T{number}") for number in range(5)])
    tools.mark_task_status("T3", "completed")

    first = tools.get_tasks(limit=2)
    second = tools.get_tasks(limit=3, cursor=first["next_cursor"])

    assert (ids(first), ids(second), second["next_cursor"]) == (["T0", "T1"], ["T2", "T3", "T4"], None)
    assert ids(tools.get_tasks("completed")) == ["T3"]
    assert tools.get_tasks("done")["status"] == "error"
    assert tools.get_tasks(limit=0)["code"] == "bad_input"
    assert tools.get_tasks(cursor="T9")["code"] == "not_found"


def test_a_search_finds_ids_descriptions_and_results_and_takes_signs_as_they_are(tools: PlanTools):
    tools.write_task_list([task("LOGIN"), task("T2", description="fix 100% of LOGINs"), task("T3"), task("T4")])
    tools.mark_task_status("T3", "completed", result="the login works")

    assert ids(tools.search_tasks("Login")) == ["LOGIN", "T2", "T3"]
    assert ids(tools.search_tasks("100%")) == ["T2"]
    assert ids(tools.search_tasks("_")) == []


@pytest.mark.requirement("JB-057", "JB-063")
def test_the_history_of_a_task_tells_every_move_note_and_edit(tools: PlanTools):
    tools.write_task_list([task("T1")])
    tools.mark_task_status("T1", "in_progress", notes="begins")
    tools.mark_task_status("T1", "completed", result="done")
    tools.add_note("T1", "looks good")
    tools.update_task("T1", {"priority": 1})

    found = tools.task_history("T1")["history"]

    assert [(one["event"], one.get("from"), one.get("to"), one.get("note")) for one in found] == [
        ("start", "pending", "in_progress", "begins"),
        ("complete", "in_progress", "completed", None),
        ("note", None, None, "looks good"),
        ("edit", None, None, None),
    ]
    assert (found[1]["changes"], found[3]["changes"]) == ({"summary": [None, "done"]}, {"priority": [3, 1]})
    newest = tools.task_history("T1", limit=1)
    assert tools.task_history("T1", limit=1, cursor=newest["next_cursor"])["history"][0]["note"] == "looks good"


def test_it_is_explained_what_a_task_waits_for_down_to_who_must_act(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2", "T1"), task("T3", "T2")])
    tools.get_next_task(claim=True, owner="bob")

    waiting = tools.explain_task("T3")
    assert (waiting["message"], waiting["reasons"][0]["cause"]) == (
        "T3 waits: T1 is in progress, claimed by bob",
        "in_progress",
    )

    tools.write_task_list([task("T1", status="failed"), task("T2", "T1"), task("T3", "T2")])
    assert tools.explain_task("T3")["reasons"][0]["cause"] == "unreachable"
    assert tools.explain_task("T9")["message"] == "Task T9 not found in breakdown"
    assert tools.add_note("T1", " ")["status"] == "error"


# ----------------------------------------------------------------------------------------------------- lists, read once


@pytest.mark.requirement("JB-011")
def test_a_list_may_say_how_often_a_task_was_attempted_and_the_proof_holds(tools: PlanTools, tmp_path: Path):
    tools.write_task_list([task("T1", status="failed", attempts=3), task("T2", attempts=1)])
    assert [one["attempts"] for one in tools.read_task_breakdown()["tasks"]] == [3, 1]

    tools.mark_task_status("T1", "in_progress")
    tools.write_task_list([task("T1", status="completed", attempts=1), task("T2", status="failed", attempts=2)])
    assert [one["attempts"] for one in tools.read_task_breakdown()["tasks"]] == [4, 2]

    tools.write_task_list([task("T1", status="completed", attempts=7), task("T2")])
    tools.mark_task_status("T1", "in_progress")

    assert [one["attempts"] for one in tools.read_task_breakdown()["tasks"]] == [8, 2]
    assert verify(ledger_of(find_store_for_folder(tmp_path / "shop"), load(tmp_path / "shop")).store) == []


def test_a_priority_may_be_one_of_four_words_in_any_case(tools: PlanTools):
    words = ["CRITICAL", "high", "Medium", "LOW"]
    tools.write_task_list([task(word, priority=word) for word in words])
    tools.update_task("LOW", {"priority": "critical"})
    tools.update_task("LOW", {"priority": None, "module": "x"})

    assert [one["priority"] for one in tools.read_task_breakdown()["tasks"]] == [1, 2, 3, 1]
    assert tools.update_task("LOW", {"priority": "soon", "description": " "})["errors"] == [
        "expected updates.description to be given",
        'expected updates.priority to be a whole number or one of CRITICAL, HIGH, MEDIUM, LOW, got: "soon"',
    ]


@pytest.mark.requirement("JB-045")
def test_what_is_no_json_is_an_error_like_any_other(tools: PlanTools):
    answer = tools.write_task_list([task("T1", result={1}), task("T2", priority=float("nan")), task("T3", due=object)])

    assert (answer["code"], len(answer["errors"])) == ("bad_input", 3)
    assert answer["errors"][0] == 'T1: expected tasks[0].result to be text, got: "{1}"'


@pytest.mark.requirement("JB-012", "JB-015")
def test_a_list_that_replaces_the_plan_keeps_no_progress_but_the_history(tools: PlanTools, tmp_path: Path):
    tools.write_task_list([task("T1"), task("T2"), task("T3")])
    tools.mark_task_status("T1", "completed", notes="easy", result="done")
    tools.mark_task_status("T2", "in_progress")
    tools.mark_task_status("T2", "failed", result="no network")

    answer = tools.replace_task_list([task("T1"), task("T2", status="completed", result="by hand")])

    assert answer["changes"] == {"added": [], "changed": ["T1", "T2"], "removed": ["T3"]}
    first, second = tools.read_task_breakdown()["tasks"]
    assert [first[name] for name in ("status", "result", "started_at", "completed_at")] == ["pending", None, None, None]
    assert (second["status"], second["result"], second["started_at"]) == ("completed", "by hand", None)
    assert second["attempts"] == 1
    assert [one["event"] for one in tools.task_history("T1")["history"]] == ["complete", "adopt"]
    assert verify(ledger_of(find_store_for_folder(tmp_path / "shop"), load(tmp_path / "shop")).store) == []


TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in b\n    c()\nKeyError: 7'


@pytest.mark.requirement("JB-058")
def test_a_task_says_how_long_it_took_and_nobody_writes_that_back(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2")])
    token = tools.claim_task("T1")["token"]
    assert "elapsed_seconds" not in tools.read_task_breakdown()["tasks"][0]
    done = tools.finish_task("T1", token)
    tools.mark_task_status("T2", "completed")

    first, second = (read := tools.read_task_breakdown()["tasks"])
    assert done["elapsed_seconds"] == first["elapsed_seconds"] >= 0
    assert "elapsed_seconds" not in second, "it never began"

    tools.write_task_list(read)

    assert tools.read_task_breakdown()["tasks"] == read
    assert tools.update_task("T1", {"elapsed_seconds": 5, "owner": "ann"})["ignored"] == ["elapsed_seconds"]


@pytest.mark.requirement("JB-058")
def test_seconds_are_those_between_start_and_end_and_each_attempt_has_its_own(tools: PlanTools):
    times = {"started_at": "2026-01-01T10:00:00+00:00", "completed_at": "2026-01-01T10:01:30.500000+00:00"}
    tools.write_task_list([task("T1", status="completed", attempts=1, **times), task("T2")])
    claimed = tools.claim_task("T2", owner="bo")
    tools.finish_task("T2", claimed["token"], status="failed", error=TRACEBACK)
    tools.mark_task_status("T2", "pending")
    tools.claim_task("T2", owner="bo")

    assert tools.read_task_breakdown()["tasks"][0]["elapsed_seconds"] == 90.5
    first, second = tools.task_history("T2")["attempts"]
    assert (first["attempt"], first["outcome"], first["actor"]) == (1, "error", "bo")
    assert first["elapsed_seconds"] >= 0
    assert (second["attempt"], "outcome" in second, "elapsed_seconds" in second) == (2, False, False)


@pytest.mark.requirement("JB-059")
def test_a_traceback_is_a_message_in_lists_and_a_stack_where_one_task_is_looked_at(tools: PlanTools):
    tools.write_task_list([task("T1"), task("T2"), task("T3")])
    token = tools.claim_task("T1")["token"]
    tools.finish_task("T1", token, status="failed", error=TRACEBACK)
    tools.mark_task_status("T2", "failed", error=TRACEBACK)
    tools.mark_tasks([{"task_id": "T3", "status": "failed", "error": TRACEBACK}])

    tasks = tools.read_task_breakdown()["tasks"]
    assert [one["error"] for one in tasks] == ["KeyError: 7"] * 3
    assert "Traceback" not in str(tasks)
    assert tools.task_history("T1")["attempts"][0]["stack"] == TRACEBACK
    for key in ("T2", "T3"):
        last = tools.task_history(key)["history"][-1]
        assert (last["event"], last["changes"]["stack"]) == ("fail", [None, TRACEBACK])


@pytest.mark.requirement("JB-026", "JB-059")
def test_an_error_of_what_does_not_fail_is_refused(tools: PlanTools):
    tools.write_task_list([task("T1")])

    assert tools.mark_task_status("T1", "completed", error="x")["code"] == "bad_input"
    batch = tools.mark_tasks([{"task_id": "T1", "status": "completed", "error": "x"}])
    assert batch["errors"] == ["updates[0]: expected error with status failed alone"]
    token = tools.claim_task("T1")["token"]
    assert tools.finish_task("T1", token, error="x")["code"] == "bad_input"
    assert tools.read_task_breakdown()["tasks"][0]["status"] == "in_progress"


def test_an_error_of_a_claimed_task_that_goes_on_is_refused(tools: PlanTools):
    tools.write_task_list([task("T1")])
    token = tools.get_next_task(claim=True)["token"]

    answer = tools.mark_task_status("T1", "in_progress", error="boom", token=token)

    assert (answer["status"], answer["hint"]) == ("error", "say it in notes")
