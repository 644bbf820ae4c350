"""`list-runs`, `history`, `cancel`: what is asked of records that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import open_project
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.lifecycle import Ask
from tests.cli.conftest import Call


@pytest.fixture
def ledger() -> Ledger:
    return open_project()


def test_an_empty_list_is_no_error_and_makes_no_store(call: Call, tmp_path):
    answer = call("list-runs")

    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "no runs here; to begin one: tasktrail run dag MODULE:RUNNER\n"
    assert call("list-runs", "--json").document == {"schema": "tasktrail/run-list@1", "data": [], "next": None}
    assert list(tmp_path.iterdir()) == []


def test_runs_are_listed_newest_first_and_never_cut_in_a_pipe(ledger: Ledger, call: Call):
    ledger.create_run(RunDraft("dag", "first", "first", (TaskDraft("a"),)))
    ledger.create_run(RunDraft("plan", "x" * 120, "launch", (TaskDraft("a"), TaskDraft("b"))))

    lines = call("list-runs").out.splitlines()

    assert re.split(r"\s{2,}", lines[0]) == ["RUN", "KIND", "WORKFLOW", "STATUS", "DONE", "STARTED", "DURATION"]
    assert re.split(r"\s{2,}", lines[1]) == ["x" * 120, "plan", "launch", "created", "0/2", "-", "-"]
    assert re.split(r"\s{2,}", lines[2]) == ["first", "dag", "-", "created", "0/1", "-", "-"]


def test_a_page_names_the_next_one(ledger: Ledger, call: Call):
    for n in range(5):
        ledger.create_run(RunDraft("dag", f"run-{n}", "etl"))

    page = call("list-runs", "--limit", "3", "--json")
    rest = call("list-runs", "--limit", "3", "--json", "--cursor", page.document["next"])

    assert [one["id"] for one in page.data + rest.data] == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    assert rest.document["next"] is None
    assert "more: tasktrail list-runs --cursor dag/run-2\n" in call("list-runs", "--limit", "3").err


def test_filters_are_understood(ledger: Ledger, call: Call):
    ledger.create_run(RunDraft("dag", "a", "etl"))
    ledger.create_run(RunDraft("plan", "b", "launch"))

    assert [one["id"] for one in call("list-runs", "--kind", "plan", "--json").data] == ["b"]
    assert [one["id"] for one in call("list-runs", "--workflow", "etl", "--json").data] == ["a"]
    assert call("list-runs", "--status", "COMPLETED", "--json").data == []
    assert call("runs", "--json").data == call("list-runs", "--json").data


def test_an_id_of_several_kinds_is_written_with_its_kind(ledger: Ledger, call: Call):
    ledger.create_run(RunDraft("dag", "A", "etl"))
    ledger.create_run(RunDraft("plan", "A", "etl"))

    assert [(one["id"], one["run"]) for one in call("list-runs", "--json").data] == [
        ("plan/A", "plan/A"),
        ("dag/A", "dag/A"),
    ]
    answer = call("cancel", "A")
    assert (answer.code, "  plan/A\n  dag/A\n" in answer.err) == (4, True)


def test_no_integer_row_id_is_shown(ledger: Ledger, call: Call):
    run = ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("a"),)))

    for arguments in (["list-runs"], ["status", "A"], ["history", "A"]):
        document = call(*arguments, "--json").document
        records = (
            document["data"] if isinstance(document["data"], list) else [document["data"], *document["data"]["tasks"]]
        )
        assert records
        assert all(one["run"] == "A" and isinstance(one["id"], str) for one in records)
        assert run.id not in [one["id"] for one in records]


def test_a_history_says_who_changed_what_when_and_why(ledger: Ledger, call: Call):
    run = ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("a"),)))
    task = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))[0]
    ledger.ask(task.id, Ask("block", reason="needs\na key"), note="asked Ann")

    line = call("history", "A:a").out.splitlines()[1]

    assert re.split(r"\s{2,}", line)[2:] == [
        ledger.actor, "a", "block", "pending → blocked; reason needs\\x0aa key; “asked Ann”",
    ]  # fmt: skip
    (record,) = call("history", "A:a", "--json").data
    assert record["task"] == "A:a"
    assert record["changes"]["reason"] == [None, "needs\na key"]
    assert record["at"].endswith("Z")
    assert record["id"] == f"event/{record['seq']}"


def test_as_names_who_asks(ledger: Ledger, call: Call):
    ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("a"),)))

    call("--as", "ann@desk", "cancel", "A", "--reason", "enough")

    record = next(one for one in call("history", "A", "--json").data if one["verb"] == "cancel" and not one["task"])
    assert (record["actor"], record["note"]) == ("ann@desk", "enough")


def test_a_history_pages_back(ledger: Ledger, call: Call):
    run = ledger.create_run(RunDraft("dag", "A", "etl", tuple(TaskDraft(f"t{n}") for n in range(5))))
    for task in ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)):
        ledger.ask(task.id, Ask("skip"))

    page = call("history", "A", "--limit", "3", "--json")

    assert len(page.data) == 3
    assert (
        f"earlier: tasktrail history A --cursor {page.document['next']}\n" == call("history", "A", "--limit", "3").err
    )
    older = call("history", "A", "--limit", "100", "--cursor", page.document["next"], "--json")
    assert older.data[-1]["seq"] < page.data[0]["seq"]


def test_cancel_calls_a_run_off_and_twice_changes_nothing(ledger: Ledger, call: Call):
    ledger.create_run(RunDraft("dag", "A", "etl", (TaskDraft("a"), TaskDraft("b"))))

    first = call("cancel", "A", "--reason", "not today")
    events = len(call("history", "A", "--json").data)
    second = call("cancel", "A", "--json")

    assert (first.code, first.out) == (0, "run A is cancelled: 2 cancelled\n")
    assert (second.code, second.data["status"]) == (0, "cancelled")
    assert len(call("history", "A", "--json").data) == events


def test_cancel_of_what_is_over_is_refused(failed: str, call: Call):
    answer = call("cancel", failed)

    assert answer.code == 4
    assert "run my-dag-123 is failed; cancel needs a run that is not over" in answer.err


def test_a_plan_is_not_resumed_by_code(ledger: Ledger, call: Call):
    ledger.create_run(RunDraft("plan", "A", "launch", (TaskDraft("a"),)))

    assert "run A is of kind plan: people and agents do its tasks" in call("resume", "A").err


@pytest.mark.requirement("BL-106")
def test_text_was_scrubbed_before_it_was_stored_and_data_is_shown_as_it_is(call: Call):
    Path("secret.py").write_text(
        "from tasktrail.dag import StatefulDAGRunner\n"
        "def build():\n"
        "    runner = StatefulDAGRunner('secret')\n"
        "    runner.register_step('data', lambda: 'password=inresult')\n"
        "    runner.register_step('text', lambda: {}['password=inerror'], max_retries=0)\n"
        "    return runner\n"
    )
    call("run", "dag", "secret:build", "--run-id", "one", "--output-dir", "out")

    shown = [call("history", "one").out, call("history", "one", "--json").out]

    assert all("password=inresult" in one for one in shown)
    assert not any("inerror" in one for one in shown)
    assert Path("out/data/result.json").read_text() == '"password=inresult"\n'


def test_history_is_silent_about_what_did_not_change(ledger: Ledger, call: Call):
    ledger.create_run(RunDraft("dag", "empty", "etl"))

    assert "→" not in call("history", "empty").out
