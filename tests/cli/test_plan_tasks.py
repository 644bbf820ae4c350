"""Tasks of a plan by hand and by token: added, begun, answered, edited, taken out."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from tests.cli.adding import added_at_once
from tests.cli.conftest import Answer, Call


@pytest.fixture
def three(call: Call) -> None:
    """A standing plan: T2 needs T1, T3 needs nothing and is less urgent."""
    call("add", "Set up the database")
    call("add", "Create the models", "--after", "T1")
    call("add", "Write the page", "--priority", "LOW")


def token_of(claimed: Answer) -> str:
    return claimed.out.splitlines()[1].removeprefix("token ")


def status(call: Call, key: str) -> str:
    return call("task-status", key).out.strip()


# add


def test_the_first_task_makes_the_standing_plan_and_each_gets_the_next_id(call: Call):
    first = call("add", "Fix login")
    named = call("add", "Deploy", "--id", "T7")
    after = call(
        "add", "Tell everybody", "--after", "T1,main:T7", "--priority", "high", "--note", "on Monday", "--json"
    )

    assert [(one.code, one.out) for one in (first, named)] == [(0, "T1\n"), (0, "T7\n")]
    assert (after.data["id"], after.data["key"], after.data["needs"]) == ("main:T8", "T8", ["T1", "T7"])
    assert (after.data["priority"], after.data["notes"][0]["note"]) == (2, "on Monday")
    assert call("list-runs", "--json").data[0]["kind"] == "plan"
    assert call("doctor", "--verify").code == 0


def test_ids_that_are_taken_are_passed_over(call: Call):
    call("add", "Second", "--id", "T2")
    call("add", "Named", "--id", "x")

    assert [call("add", "Another").out for _ in range(2)] == ["T1\n", "T3\n"]


@pytest.mark.crash
def test_those_who_add_at_once_get_ids_of_their_own(call: Call):
    assert sorted(added_at_once(6)) == ["T1", "T2", "T3", "T4", "T5", "T6"]
    assert len(call("list-tasks", "--json").data) == 6


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["x", "--after", "T9,T1"], 2, "plan main has no task T9\n"),
        (["x", "--after", "other:T1"], 2, "other:T1 is not of plan main; a task needs tasks of its own plan"),
        (["x", "--id", "T1"], 4, "plan main has a task T1 already, which is pending"),
        (["  "], 2, "expected the title to say what is to be done, got nothing"),
        (["x", "--id", "a\nb"], 2, "expected an id to be 1-200 printable characters"),
        (["x", "--priority", "soon"], 2, "expected a whole number or one of CRITICAL, HIGH, MEDIUM, LOW, got: soon"),
        (["x", "--plan", "a b"], 2, "expected a run id to be"),
    ],
)
def test_what_cannot_be_a_task_changes_nothing(three: None, call: Call, arguments: list[str], code: int, words: str):
    answer = call("add", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err
    assert len(call("list-tasks", "--json").data) == 3


def test_a_plan_that_was_called_off_is_open_again_with_a_new_task(three: None, call: Call):
    call("cancel", "plan/main")

    assert call("add", "After all").out == "T4\n"

    assert call("next", "--claim").out.startswith("T4 After all\n")


# verbs


def test_a_plan_is_worked_through_by_hand(three: None, call: Call):
    started = call("start", "T1")
    done = call("complete", "T1", "--result", "It runs")

    assert (started.code, started.out) == (0, "main:T1 is in_progress\n")
    assert (done.out, done.err) == ("main:T1 is completed\n", "next: T2 Create the models\n")
    assert call("show", "T1", "--json").data["result"] == "It runs"
    call("complete", "T2")
    assert call("skip", "T3").err == "plan main is completed, nothing is left to do\n"


def test_start_refuses_unmet_needs_unless_forced_and_names_them(three: None, call: Call):
    refused = call("start", "T2")
    forced = call("start", "T2", "--force")

    assert refused.code == 4
    assert "task T2 waits for T1 (pending)\n" in refused.err
    assert "tasktrail start main:T2 --force" in refused.err
    assert forced.code == 0
    assert call("show", "T2", "--json").data["reason"] == "started although 1 of its needs were not met"


def test_nothing_starts_in_a_plan_that_is_paused(three: None, call: Call):
    call("pause", "plan/main")

    answer = call("start", "T1")

    assert (answer.code, status(call, "T1")) == (4, "pending")
    assert "plan main is paused, nothing new starts\nhint: tasktrail resume plan/main" in answer.err


@pytest.mark.requirement("JB-059")
def test_a_failed_task_keeps_its_error_and_is_retried(three: None, call: Call):
    call("start", "T1")
    failed = call("fail", "T1", "--error", "no room, password=hunter2secret", "--json").data

    assert (failed["status"], failed["error_type"]) == ("failed", "TaskFailed")
    assert failed["error"].startswith("no room, password=[")
    assert call("next").out.startswith("T3 ")
    assert call("retry", "T1").out == "main:T1 is pending\n"
    assert call("retry", "main:T1").code == 4


def test_retry_of_a_plan_takes_all_that_failed(three: None, call: Call):
    call("fail", "T1")
    call("fail", "T3")

    assert call("retry", "plan/main").out == "T1, T3 are pending again\n"


def test_a_task_is_called_off_by_its_key(three: None, call: Call):
    answer = call("cancel", "T1", "--reason", "no longer wanted")

    assert (answer.code, answer.out) == (0, "main:T1 is cancelled\n")
    assert [status(call, key) for key in ("T1", "T2")] == ["cancelled", "pending"]
    assert call("reopen", "T1").out == "main:T1 is pending\n"


def test_a_wrong_state_names_the_commands_that_are_possible(three: None, call: Call):
    answer = call("unblock", "T1")

    assert answer.code == 4
    assert "possible now: start, complete, fail, block, skip, cancel; as in: tasktrail start main:T1" in answer.err


def test_a_key_of_several_plans_lists_them_and_what_is_done_with_stands_back(three: None, call: Call):
    call("add", "Another", "--plan", "site")

    several = call("start", "T1")
    call("complete", "site:T1")

    assert several.code == 4
    assert {"  plan/main:T1", "  plan/site:T1"} <= set(several.err.splitlines())
    assert call("start", "T1").out == "main:T1 is in_progress\n"


def test_a_plan_in_which_something_failed_is_still_open(call: Call):
    call("add", "In main")
    call("add", "In site", "--plan", "site")
    call("fail", "main:T1")
    call("complete", "site:T1")

    assert call("retry", "T1").out == "main:T1 is pending\n"


def test_steps_are_begun_by_code_alone(failed: str, call: Call):
    answer = call("start", f"{failed}:save")

    assert answer.code == 4
    assert "code executes the steps of run my-dag-123\nhint: tasktrail resume my-dag-123" in answer.err
    assert "possible now: complete, fail, block" in call("unblock", f"{failed}:save").err


def test_a_failed_step_is_done_again_by_its_key(failed: str, call: Call):
    Path("mended").touch()

    assert call("retry", "process").code == 0
    assert status(call, f"{failed}:process") == "completed"


# claims


def test_a_claim_is_ended_with_its_token_alone(three: None, call: Call):
    claimed = call("next", "--claim", "--owner", "ann")
    token = token_of(claimed)

    assert claimed.out.startswith("T1 Set up the database\n")
    assert f"tasktrail complete main:T1 --token {token}" in claimed.err
    assert call("next").out.startswith("T3"), "nobody else gets it"
    refused = call("complete", "T1")
    assert (refused.code, status(call, "T1")) == (4, "in_progress")
    assert "hint: tasktrail complete main:T1 --token TOKEN, or: tasktrail complete main:T1 --force\n" in refused.err
    assert call("note", "T1", "half of it", "--token", token).out == "main:T1 is noted\n"
    done = call("complete", "T1", "--token", token, "--result", "It runs", "--json").data
    assert done["status"] == "completed"
    shown = call("show", "T1", "--json").data
    assert (shown["result"], shown["attempt_list"][0]["actor"], shown["claim"]) == ("It runs", "ann", None)


def test_a_claim_fails_is_given_back_or_waits_for_a_person(three: None, call: Call):
    first = token_of(call("next", "--claim"))
    assert call("release", "T1", "--token", first).out == "main:T1 is pending\n"
    second = token_of(call("next", "--claim"))
    assert call("block", "T1", "--token", first).code == 4, "that claim has ended"
    assert call("block", "T1", "--token", second, "--reason", "which server?").out == "main:T1 is blocked\n"
    call("unblock", "T1")
    third = token_of(call("next", "--claim"))
    assert call("fail", "T1", "--token", third, "--error", "no room").out == "main:T1 is failed\n"

    outcomes = [one["outcome"] for one in call("show", "T1", "--json").data["attempt_list"]]
    assert outcomes == ["released", "released", "error"]
    assert call("doctor", "--verify").code == 0


def test_a_late_answer_is_kept_and_changes_nothing(three: None, call: Call):
    token = token_of(call("next", "--claim"))
    call("cancel", "T1")

    answer = call("complete", "T1", "--token", token, "--result", "done")
    stranger = call("complete", "T3", "--token", token)

    assert (answer.code, status(call, "T1")) == (4, "cancelled")
    assert "hint: tasktrail next --claim --plan main" in answer.err
    assert call("history", "T1", "--json").data[-1]["verb"] == "late"
    assert (stranger.code, status(call, "T3")) == (2, "pending")


def test_a_claim_is_a_record_and_its_lease_a_wish(three: None, call: Call):
    claimed = call("next", "--claim", "--lease", "60", "--json").document

    assert claimed["schema"] == "tasktrail/claim@1"
    data = claimed["data"]
    assert (data["id"], data["lease_ms"], data["taken_back"]) == ("main:T1", 60_000, [])
    assert data["token"].split(".")[1] == "60000000"
    assert call("next", "--claim", "--lease", "0").code == 2
    assert call("next", "--owner", "ann").code == 2
    assert call("complete", "T1", "--token", data["token"], "--value", "1").code == 2
    assert call("next", "--claim", "--plan", "nope").code == 3


# what it is


@pytest.mark.requirement("JB-061")
def test_edit_changes_what_a_task_is_and_checks_for_cycles(three: None, call: Call):
    edited = call(
        "edit", "T3", "--title", "Write it", "--priority", "1", "--after", "T2", "--set", "size=3", "--set", "a=b c"
    )
    cycle = call("edit", "T1", "--after", "T3")

    assert (edited.code, edited.out) == (0, "main:T3 is edited\n")
    shown = call("show", "T3", "--json").data
    assert (shown["title"], shown["priority"], shown["extra"]) == ("Write it", 1, {"size": 3, "a": "b c"})
    assert shown["needs"] == [{"id": "main:T2", "status": "pending"}]
    assert cycle.code == 2
    assert "T1" in cycle.err
    assert call("edit", "T3", "--not-after", "T2", "--json").data["needs"] == []
    assert call("start", "T3").code == 0
    assert call("doctor", "--verify").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "say what to change"),
        (["--not-after", "T3"], 2, "task T2 does not need T3"),
        (["--after", "T9"], 2, "T9"),
        (["--set", "status=done"], 2, "--set cannot change status"),
        (["--title", " "], 2, "expected the title to say what is to be done, got nothing"),
        (["--set", "status"], 2, "expected --set to be KEY=VALUE, got: 'status'"),
    ],
)
def test_an_edit_that_cannot_be_made_changes_nothing(
    three: None, call: Call, arguments: list[str], code: int, words: str
):
    before = call("show", "T2", "--json").data

    answer = call("edit", "T2", *arguments)

    assert answer.code == code
    assert words in answer.err
    assert call("show", "T2", "--json").data == before


def test_rm_refuses_what_others_need_and_unlinks_by_force(three: None, call: Call):
    refused = call("rm", "T1")
    forced = call("rm", "T1", "--force")

    assert (refused.code, forced.code) == (4, 0)
    assert "task T1 cannot be taken out: T2 needs it\nhint: tasktrail rm main:T1 --force\n" in refused.err
    assert (forced.out, forced.err) == ("main:T1 is removed\n", "no longer needed by T2\n")
    assert [one["key"] for one in call("list-tasks", "--json").data] == ["T2", "T3"]
    assert call("start", "T2").code == 0
    assert call("doctor", "--verify").code == 0


def test_what_was_taken_out_has_its_history_and_nothing_else(three: None, call: Call):
    assert call("rm", "T3", "--json").data == {"id": "main:T3", "run": "main", "unlinked": []}

    gone = call("start", "T3")

    assert gone.code == 3
    assert "task T3 was taken out of its plan\nhint: tasktrail history T3\n" in gone.err
    assert call("history", "T3").code == 0
    assert "which was taken out of it" in call("add", "Again", "--id", "T3").err
    assert call("add", "x", "--after", "T3").code == 2


def test_steps_are_not_edited_but_noted(failed: str, call: Call):
    assert call("edit", f"{failed}:process", "--title", "x").code == 4
    assert call("rm", f"{failed}:process").code == 4
    assert call("note", f"{failed}:process", "asked bob@example.com").code == 0
    assert call("history", f"{failed}:process", "--json").data[-1]["note"] == "asked [email]"
    assert call("note", f"{failed}:process", " ").code == 2


# an empty file


def test_an_empty_file_takes_nothing_out_unasked(three: None, call: Call):
    Path("empty.json").write_text('{"tasks": []}', "utf-8")

    refused = call("write-tasks", "empty.json")

    assert refused.code == 2
    assert "empty.json has no tasks; 3 tasks would be taken out of plan main\n" in refused.err
    assert len(call("list-tasks", "--json").data) == 3
    asked = refused.err.splitlines()[-1].removeprefix("hint: tasktrail ")
    assert call(*asked.split()).code == 0
    assert call("list-tasks", "--plan", "main", "--json").data == []


TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in b\n    c()\nKeyError: 7\n'


@pytest.mark.requirement("JB-058", "JB-059")
def test_a_traceback_is_told_from_a_file_or_stdin_and_shown_with_its_task(
    three: None, call: Call, monkeypatch: pytest.MonkeyPatch
):
    Path("log.txt").write_text(TRACEBACK)
    call("fail", "T1", "--error-file", "log.txt")
    call("start", "T3")
    monkeypatch.setattr("sys.stdin", StringIO(TRACEBACK))
    call("fail", "T3", "--error-file", "-")

    first, third = (call("show", key, "--json").data for key in ("T1", "T3"))

    assert (first["error"], first["stack"], first["elapsed_ms"]) == ("KeyError: 7", TRACEBACK.strip(), None)
    assert (third["error"], third["stack"], third["attempt_list"][0]["stack"]) == (
        "KeyError: 7",
        None,
        TRACEBACK.strip(),
    )
    assert third["elapsed_ms"] >= 0
    assert '  File "a.py", line 1, in b\n' in call("show", "T1").out
    assert " after it began\n" in call("show", "T3").out
    assert "stack" not in call("history", "T1").out
    assert call("fail", "T3", "--error", "x", "--error-file", "log.txt").code == 2
