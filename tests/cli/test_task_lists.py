"""`list-tasks`, `search`, `show`, `task-status`: what people see of tasks."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Call


@pytest.fixture
def two_plans(call: Call) -> None:
    """A standing plan of which T1 is done, and another one."""
    call("add", "Set up the database")
    call("add", "Create the models", "--after", "T1")
    call("add", "Write 50 % of the page", "--priority", "HIGH")
    call("add", "Choose colours", "--plan", "site")
    call("complete", "main:T1", "--result", "It runs on ZEBRA")


@pytest.mark.requirement("JB-060")
def test_the_tasks_of_open_plans_are_listed_with_how_much_is_done(two_plans: None, call: Call):
    answer = call("list-tasks")

    assert answer.out.splitlines() == [
        "TASK     STATUS     PRIORITY  AFTER  TITLE",
        "main:T1  completed  3         -      Set up the database",
        "main:T2  pending    3         T1     Create the models",
        "main:T3  pending    2         -      Write 50 % of the page",
        "site:T1  pending    3         -      Choose colours",
    ]
    assert answer.err == "1 of 4 completed (25 %)\n"


def test_one_plan_is_listed_by_its_keys_and_an_unknown_one_is_not_found(two_plans: None, call: Call):
    answer = call("list-tasks", "--plan", "site")
    unknown = call("list-tasks", "--plan", "nope")

    assert [line.split()[0] for line in answer.out.splitlines()] == ["TASK", "T1"]
    assert (unknown.code, unknown.out) == (3, "")


def test_plans_that_are_done_are_listed_when_asked_for(two_plans: None, call: Call):
    call("complete", "site:T1")

    def listed(*arguments: str) -> list[str]:
        return [one["id"] for one in call("list-tasks", "--json", *arguments).data]

    assert listed() == ["main:T1", "main:T2", "main:T3"]
    assert listed("--all") == ["main:T1", "main:T2", "main:T3", "site:T1"]
    assert listed("--plan", "site") == ["site:T1"]
    assert listed("--status", "completed", "--all") == ["main:T1", "site:T1"]


def test_pages_follow_each_other_by_the_command_that_is_printed(two_plans: None, call: Call):
    seen, arguments = [], ["list-tasks", "--limit", "3", "--status", "pending"]
    while arguments:
        answer = call(*arguments)
        seen += [line.split()[0] for line in answer.out.splitlines()[1:]]
        more = answer.err.partition("more: tasktrail ")[2].split()
        arguments = [*more, "--limit", "1"] if more else []

    assert seen == ["main:T2", "main:T3", "site:T1"]
    pages = [call("list-tasks", "--limit", "2", "--json").document]
    pages.append(call("list-tasks", "--limit", "2", "--json", "--cursor", pages[0]["next"]).document)
    assert [one["id"] for page in pages for one in page["data"]] == ["main:T1", "main:T2", "main:T3", "site:T1"]
    assert pages[1]["next"] is None
    assert call("list-tasks", "--cursor", "nonsense").code == 2


def test_nothing_to_list_is_no_error_and_says_how_to_begin(call: Call):
    answer = call("list-tasks")

    assert (answer.code, answer.out) == (0, "")
    assert answer.err == 'no tasks here; to begin: tasktrail add "What is to be done"\n'
    assert call("list-tasks", "--json").document == {"schema": "tasktrail/task-list@1", "data": [], "next": None}


def test_a_plan_that_is_done_is_no_reason_to_begin(call: Call):
    call("add", "Set up the database")
    call("complete", "T1")

    assert call("list-tasks").err == "nothing is left to do; what was done: tasktrail list-tasks --all\n"
    assert "T1" in call("list-tasks", "--all").out


def test_steps_are_listed_by_their_kind(failed: str, two_plans: None, call: Call):
    def listed(*arguments: str) -> list[str]:
        return [one["id"] for one in call("list-tasks", "--json", *arguments).data]

    assert listed("--kind", "dag") == []
    assert listed("--kind", "dag", "--all") == [f"{failed}:{step}" for step in ("fetch_data", "process", "save")]
    assert not [one for one in listed("--all") if failed in one]
    assert call("list-tasks", "--kind", "dag", "--plan", "main").code == 2


def test_search_finds_ids_titles_and_results_whatever_the_case(two_plans: None, call: Call):
    def found(text: str, *arguments: str) -> list[str]:
        return [one["id"] for one in call("search", text, "--json", *arguments).data]

    assert found("CREATE") == ["main:T2"]
    assert found("zebra") == ["main:T1"]
    assert found("t1") == ["main:T1", "site:T1"]
    assert found("t1", "--plan", "site") == ["site:T1"]
    assert found("50 %") == ["main:T3"], "what the database takes for a joker is a letter"
    assert found("5_ %") == []
    nothing = call("search", "nowhere")
    assert (nothing.code, nothing.out) == (0, "")
    assert "no task has 'nowhere' in its id, title or result" in nothing.err
    assert call("search", " ").code == 2


def test_the_status_is_one_word_and_the_documents_names_work(two_plans: None, call: Call):
    assert call("task-status", "T2").out == "pending\n"
    assert call("task-status", "T2", "--json").data == {"id": "main:T2", "run": "main", "status": "pending"}
    assert call("task-status", "T9").code == 3
    assert call("complete-task", "T2").out == "main:T2 is completed\n"
    assert call("tasks", "--json").data[1]["status"] == "completed"


@pytest.mark.requirement("JB-058", "JB-063")
def test_show_tells_all_about_a_task(two_plans: None, call: Call):
    call("start", "T2")
    call("note", "T2", "half of it")
    call("fail", "T2", "--error", "no room\nat all")
    call("retry", "T2")
    call("edit", "T2", "--set", "module=models")
    call("edit", "T3", "--after", "T2")

    shown = call("show", "main:T2")
    record = call("show", "main:T2", "--json").data

    facts = dict(line.split(": ", 1) for line in shown.out.splitlines()[1:] if ": " in line[:14])
    assert shown.out.startswith("main:T2  Create the models\n")
    assert {key: facts[key].strip() for key in ("Status", "Needs", "Needed by", "module")} == {
        "Status": "pending", "Needs": "T1 (completed)", "Needed by": "T3 (pending)", "module": "models",
    }  # fmt: skip
    assert "half of it" in shown.out
    assert "TaskFailed: no room" in shown.out
    assert "in_progress → failed" in shown.out
    assert "tasktrail explain main:T2" in shown.err
    assert record["needed_by"] == [{"id": "main:T3", "status": "pending"}]
    assert [one["outcome"] for one in record["attempt_list"]] == ["error"]
    assert record["attempt_list"][0]["duration_ms"] >= 0
    assert [one["verb"] for one in record["events"]] == ["start", "note", "fail", "retry", "edit"]
    assert "start" in record["allowed"]


def test_show_names_who_has_claimed_a_task(two_plans: None, call: Call):
    call("next", "--claim", "--owner", "ann")

    assert "Claimed:    by ann\n" in call("show", "T3").out
    assert call("show", "T3", "--json").data["claim"] == {"owner": "ann", "ran_out": False}


def test_show_of_a_step_has_its_value_and_the_stack_of_its_error(failed: str, call: Call):
    fetched = call("show", f"{failed}:fetch_data", "--json").data
    process = call("show", f"{failed}:process")

    assert (fetched["result"], fetched["needed_by"]) == ({"rows": [1, 2, 3]}, [])
    assert "TimeoutError: no answer, password=[" in process.out
    assert "Traceback" in process.out
    assert "hunter2secret" not in process.out


def test_titles_cannot_steer_the_terminal(call: Call):
    call("add", "red \x1b[31m alert\nnext line")

    assert "\x1b" not in call("list-tasks").out + call("show", "T1").out + call("next").out
    assert len(call("list-tasks").out.splitlines()) == 2
