"""The verbs of a task by hand: what they record, what comes of the run, and what they refuse."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import open_project
from tasktrail.model.lifecycle import Ask
from tests.cli.conftest import Call
from tests.mapped import mapped_run, task_of


@pytest.fixture
def ledger() -> Ledger:
    return open_project()


def test_a_failed_step_is_done_by_hand_and_its_value_is_data(failed: str, call: Call):
    answer = call(
        "complete", f"{failed}:process", "--note", "asked bob@example.com", "--value", '{"token": "a@b.example"}'
    )

    assert (answer.code, answer.out) == (0, "my-dag-123:process is completed\n")
    assert "nobody executes run my-dag-123" in answer.err
    assert "to do: tasktrail resume my-dag-123" in answer.err
    event = call("history", f"{failed}:process", "--json").data[-1]
    assert (event["verb"], event["note"]) == ("complete", "asked [email]")
    assert event["changes"]["output"] == [None, '{"token":"a@b.example"}'], "data is stored exactly"


def test_a_value_is_what_the_next_step_gets(failed: str, call: Call):
    call("complete", f"{failed}:process", "--value", "41")

    assert call("resume", failed).code == 0
    assert '{"saved":41}' in call("history", f"{failed}:save", "--json").data[-1]["changes"]["output"]


def test_a_value_may_be_long_and_come_from_a_file_or_stdin(failed: str, call: Call, monkeypatch: pytest.MonkeyPatch):
    Path("value.json").write_text('"' + "x" * 5000 + '"')
    monkeypatch.setattr("sys.stdin", io.StringIO("[1, 2]"))

    assert call("complete", f"{failed}:process", "--value-file", "value.json").code == 0
    assert call("complete", f"{failed}:save", "--value-file", "-").code == 0

    assert call("history", f"{failed}:save", "--json").data[-1]["changes"]["output"] == [None, "[1,2]"]
    assert call("doctor", "--verify").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--value", "{'a': 1}"], 2, "--value:1:2 is not JSON: Expecting property name"),
        (["--value", "text"], 2, "hint: a text needs its own quotes: --value '\"text\"'"),
        (["--value", "NaN"], 2, "--value is not JSON"),
        (["--value", "[" * 100_000], 2, "is nested too deeply"),
        (["--value-file", "nope.json"], 3, "there is no file nope.json"),
        (["--value-file", "."], 2, ". cannot be read"),
        (["--value", "1", "--value-file", "x"], 2, "give one of --value and --value-file, not both"),
    ],
)
def test_a_value_that_is_none_changes_nothing(failed: str, call: Call, arguments: list[str], code: int, words: str):
    answer = call("complete", f"{failed}:process", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err
    assert call("status", failed, "--json").data["tasks"][1]["status"] == "failed"


def test_a_wrong_state_says_what_is_possible(failed: str, call: Call):
    answer = call("unblock", f"{failed}:process")

    assert answer.code == 4
    assert answer.err == (
        "error: task process is failed; unblock needs blocked\n"
        "hint: possible now: complete, retry, skip, cancel; as in: tasktrail complete my-dag-123:process\n"
    )


def test_a_step_that_is_not_there_names_what_was_probably_meant(failed: str, call: Call):
    answer = call("skip", f"{failed}:proces")

    assert answer.code == 3
    assert "did you mean process?" in answer.err


def test_block_keeps_its_reason_and_unblock_lets_it_go(failed: str, call: Call):
    assert call("block", f"{failed}:save", "--reason", "wait for Ann").out == "my-dag-123:save is blocked\n"
    assert call("explain", f"{failed}:save").out == (
        "save waits for a person: wait for Ann\n    to do: tasktrail complete my-dag-123:save\n"
    )
    assert call("unblock", f"{failed}:save").out == "my-dag-123:save is pending\n"


def test_skip_and_reopen(failed: str, call: Call):
    skipped = call("skip", f"{failed}:process", "--reason", "not today", "--json").data
    again = call("reopen", f"{failed}:process")

    assert (skipped["id"], skipped["status"], skipped["reason"]) == ("my-dag-123:process", "skipped", "not today")
    assert (skipped["run_status"], skipped["owner"], skipped["allowed"]) == ("running", None, ["reopen"])
    assert again.out == "my-dag-123:process is pending\n"


def test_one_step_is_cancelled_and_the_run_is_not(failed: str, call: Call):
    answer = call("cancel", f"{failed}:save", "--reason", "enough")

    assert (answer.code, answer.out) == (0, "my-dag-123:save is cancelled\n")
    assert call("status", failed, "--json").data["cancelled_at"] is None


def test_a_part_of_a_mapped_step_is_moved_by_its_number(ledger: Ledger, call: Call):
    run = mapped_run(ledger)

    assert call("complete", "pages:parse#1", "--value", '"by hand"').out == "pages:parse#1 is completed\n"

    assert task_of(ledger, run, "parse", 1).output == '"by hand"'
    assert task_of(ledger, run, "parse").status == "pending"


def test_the_last_step_done_by_hand_ends_the_run(ledger: Ledger, call: Call):
    mapped_run(ledger)
    for step in ("parse", "parse#0", "parse#1", "parse#2"):
        call("skip", f"pages:{step}")

    answer = call("complete", "pages:report")

    assert "run pages is completed, nothing is left to do" in answer.err


def test_a_step_that_a_dead_process_left_is_nobodys(ledger: Ledger, call: Call):
    run = mapped_run(ledger)
    row = {
        "name": "ann",
        "host": "desk",
        "pid": 2**22 + 1,
        "boot_id": "b",
        "lock_name": "gone",
        "at": 1,
        "queues": None,
        "labels": None,
    }
    worker = ledger.store.write(lambda tx: tx.row("add_worker", **row))
    assert worker is not None
    ledger.ask(task_of(ledger, run, "parse", 0).id, Ask("start", worker_id=int(str(worker[0]))))

    assert call("complete", "pages:parse#0").code == 0


def test_what_a_claim_holds_needs_force_which_is_recorded(ledger: Ledger, call: Call):
    run = mapped_run(ledger)
    ledger.ask(task_of(ledger, run, "parse", 0).id, Ask("start", lease_token="secret", lease_until=10**18))

    refused = call("complete", "pages:parse#0", "--value", "1")
    forced = call("complete", "pages:parse#0", "--value", "1", "--force", "--note", "I know")

    assert refused.code == 4
    assert "is held by a claim that has not ended; complete would take it away" in refused.err
    assert "tasktrail complete pages:parse#0 --force" in refused.err
    assert forced.code == 0
    note = call("history", "pages:parse#0", "--json").data[-1]["note"]
    assert note == "I know; by force: a claim that has not ended held it"


def test_a_bare_step_is_looked_for_in_open_runs(ledger: Ledger, call: Call):
    mapped_run(ledger)
    mapped_run(ledger, "other")

    answer = call("complete", "report")

    assert answer.code == 4
    assert "say dag/other:report" in answer.err


def test_references_of_steps_are_completed(ledger: Ledger, spawn: Call):
    mapped_run(ledger)

    answer = spawn(_TASKTRAIL_COMPLETE="zsh_complete", COMP_WORDS="tasktrail skip pages:re", COMP_CWORD="2")

    assert "pages:report" in answer.out
    assert "parse" not in answer.out
