"""`run dag --status`: the document's table, its words, and what to type next."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import open_project
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.run import Run
from tests.cli.conftest import Call
from tests.mapped import do, mapped_run


@pytest.fixture
def ledger() -> Ledger:
    return open_project()


def make_run(ledger: Ledger, name: str, *tasks: TaskDraft, workflow: str = "etl") -> Run:
    return ledger.create_run(RunDraft("dag", name, workflow, tasks))


def ask(ledger: Ledger, run: Run, key: str, *asks: Ask) -> None:
    """Move a task; times are not what these tests are about."""
    task = ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1))
    assert task is not None
    for one in asks:
        ledger.ask(task.id, one)


def rows(out: str) -> list[list[str]]:
    """Return the cells of the printed table, line by line, without its head."""
    lines = [line for line in out.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines[1:]]


@pytest.mark.requirement("BL-102", "BL-107", "BL-110")
def test_a_status_is_printed_in_the_form_of_the_document(failed: str, call: Call):
    answer = call("run", "dag", "--status", failed)

    assert answer.code == 0
    head, _, table = answer.out.partition("\nSteps:\n")
    assert re.fullmatch(
        r"DAG Run: my-dag-123 \(etl\)\nStatus: FAILED\n"
        r"Started: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\nDuration: \d+(\.\ds|ms)\n",
        head,
    )
    seconds = re.compile(r"\d+(\.\ds|ms)")
    assert (
        seconds.sub("N", table).replace(" ", "")
        == """\
┌─────────────┬──────────┬──────────┬─────────┐
│ Step ID     │ Status   │ Retries  │ Duration│
├─────────────┼──────────┼──────────┼─────────┤
│ fetch_data  │ SUCCESS  │ 0/3      │ N       │
│ process     │ FAILED   │ 3/3      │ N       │
│ save        │ SKIPPED  │ 0/3      │ -       │
└─────────────┴──────────┴──────────┴─────────┘
""".replace(" ", "")
    )


def test_the_dag_id_is_left_out_where_it_is_the_runs_own(ledger: Ledger, call: Call):
    make_run(ledger, "same", workflow="same")

    assert call("run", "dag", "--status", "same").out.splitlines()[0] == "DAG Run: same"


def test_why_it_failed_and_what_to_type_stands_on_stderr(failed: str, call: Call):
    assert call("run", "dag", "--status", failed).err == (
        "process failed: TimeoutError: no answer, password=[secret]\n"
        "to try them again: tasktrail run dag --retry my-dag-123\n"
    )


@pytest.mark.requirement("BL-103")
def test_verbose_adds_times_errors_and_metadata(failed: str, call: Call):
    answer = call("run", "dag", "--status", failed, "--verbose")

    assert "│ Started              │ Completed" in answer.out
    assert answer.out.count("process, attempt ") == 4
    assert answer.out.count("Traceback") == 1, "the stack of the last attempt alone"
    assert "File" in answer.out
    assert "tasktrail/cli" not in answer.out, "our own frames tell nobody anything"
    assert "\nMetadata:\n  created: " in answer.out
    assert "\n  target: flow.py:etl\n" in answer.out
    assert "hunter2secret" not in answer.out


@pytest.mark.requirement("BL-103")
def test_v_may_stand_before_the_command_too(failed: str, call: Call):
    assert "Metadata:" in call("-v", "run", "dag", "--status", failed).out


@pytest.mark.requirement("BL-108")
def test_colours_come_on_demand_and_never_in_a_pipe(failed: str, spawn: Call):
    piped = spawn("run", "dag", "--status", failed)
    forced = spawn("run", "dag", "--status", failed, FORCE_COLOR="1")
    asked = spawn("run", "dag", "--status", failed, "--color", "always")
    both = spawn("run", "dag", "--status", failed, FORCE_COLOR="1", NO_COLOR="1")

    assert "\x1b" not in piped.out + piped.err + both.out + both.err
    assert "\x1b[31m FAILED" in forced.out
    assert forced.out == asked.out


@pytest.mark.requirement("BL-109")
@pytest.mark.parametrize("reference", ["nope", "../../etc/passwd", "a:b", "", "x" * 10_000, "\x00", "🚀"])
def test_a_missing_or_impossible_id_is_told_and_ends_with_3(failed: str, call: Call, reference: str):
    answer = call("run", "dag", f"--status={reference}")

    assert (answer.code, answer.out) == ((3, "") if reference else (2, ""))
    assert answer.err.startswith("error: ")
    assert len(answer.err) < 500


@pytest.mark.requirement("BL-109")
def test_what_was_probably_meant_is_named(failed: str, call: Call):
    answer = call("run", "dag", "--status", "my-dag-132")

    assert answer.code == 3
    assert answer.err == (
        "error: no run has the id my-dag-132; did you mean my-dag-123?\nhint: tasktrail run dag --status my-dag-123\n"
    )


def test_a_dag_id_is_no_reference_and_its_newest_runs_are_named(failed: str, call: Call):
    answer = call("run", "dag", "--status", "etl")

    assert answer.code == 3
    assert "it is the name of a workflow, whose newest runs are\n  my-dag-123 (failed)\n" in answer.err


def test_without_a_store_nothing_is_found_and_none_is_made(call: Call, tmp_path):
    answer = call("run", "dag", "--status", "x")

    assert answer.code == 3
    assert list(tmp_path.iterdir()) == []


def test_every_status_has_its_word(ledger: Ledger, call: Call):
    keys = ("waits", "runs", "again", "asks", "off", "out")
    run = make_run(ledger, "words", *(TaskDraft(key, critical=False) for key in keys))
    ask(ledger, run, "runs", Ask("start"))
    ask(ledger, run, "again", Ask("start"), Ask("retry", failure=Failure("E", "no"), outcome="error"))
    ask(ledger, run, "asks", Ask("block", reason="look at it"))
    ask(ledger, run, "off", Ask("cancel"))
    ask(ledger, run, "out", Ask("skip"))

    answer = call("run", "dag", "--status", "words")

    assert [row[1] for row in rows(answer.out)] == ["PENDING", "RUNNING", "RETRY", "BLOCKED", "CANCELLED", "SKIPPED"]
    assert rows(answer.out)[2][2] == "1/3"
    assert "Status: RUNNING\n" in answer.out


def test_a_run_that_only_waits_for_the_next_try_is_called_retry(ledger: Ledger, call: Call):
    run = make_run(ledger, "again", TaskDraft("a"))
    ask(ledger, run, "a", Ask("start"), Ask("retry", failure=Failure("E", "no"), outcome="error"))

    assert "Status: RETRY\n" in call("run", "dag", "--status", "again").out


def test_a_run_that_nobody_executes_says_so_and_what_to_type(ledger: Ledger, call: Call):
    run = ledger.create_run(RunDraft("dag", "left", "etl", (TaskDraft("a"), TaskDraft("b")), target="flow.py:etl"))
    ask(ledger, run, "a", Ask("start"), Ask("complete"))

    answer = call("run", "dag", "--status", "left")

    assert answer.err == "nobody executes this run just now\nto go on: tasktrail resume left\n"


def test_a_run_without_steps_says_so(ledger: Ledger, call: Call):
    make_run(ledger, "empty")

    assert call("run", "dag", "--status", "empty").out.endswith("Started: -\nDuration: -\n\nSteps: none yet\n")


def test_json_speaks_of_runs_and_tasks_in_our_words_and_utc(failed: str, call: Call):
    answer = call("run", "dag", "--status", failed, "--json")

    assert answer.document["schema"] == "tasktrail/run@1"
    assert (answer.data["id"], answer.data["run"], answer.data["status"]) == (failed, failed, "failed")
    assert [(one["id"], one["status"], one["never_started"]) for one in answer.data["tasks"]] == [
        ("my-dag-123:fetch_data", "completed", False),
        ("my-dag-123:process", "failed", False),
        ("my-dag-123:save", "pending", True),
    ]
    assert answer.data["tasks"][1]["error"] == "no answer, password=[secret]"
    assert answer.data["started_at"].endswith("Z")


def test_the_counts_of_a_run_are_those_of_the_statuses_of_its_tasks(failed: str, flow: Path, call: Call):
    call("run", "dag", "flow:partial", "--run-id", "mixed")

    for run in (failed, "mixed"):
        data = call("status", run, "--json").data
        statuses = [task["status"] for task in data["tasks"]]
        assert data["counts"] == {status: statuses.count(status) for status in data["counts"]}
        assert data["n_tasks"] == len(statuses)


def test_a_step_that_may_still_start_is_not_called_never_started(ledger: Ledger, call: Call):
    run = make_run(ledger, "open", TaskDraft("a"), TaskDraft("b"))
    ask(ledger, run, "a", Ask("start"))

    assert [task["never_started"] for task in call("status", "open", "--json").data["tasks"]] == [False, False]


def test_ids_of_any_kind_are_harmless(ledger: Ledger, call: Call):
    keys = ["../../up", "a/b", "parse#2", "ünï 🚀", "-dash", "a" * 200]
    make_run(ledger, "odd", *(TaskDraft(key) for key in keys))

    assert [row[0] for row in rows(call("run", "dag", "--status", "odd").out)] == keys


def test_ten_thousand_steps_are_printed_whole(ledger: Ledger, call: Call):
    make_run(ledger, "big", *(TaskDraft(f"step-{n}", needs=(Need("step-0"),) if n else ()) for n in range(10_000)))

    assert len(rows(call("run", "dag", "--status", "big").out)) == 10_000


def test_a_mapped_step_is_one_row_and_verbose_has_its_parts(ledger: Ledger, call: Call):
    run = mapped_run(ledger)
    do(ledger, run, "parse", 0)
    do(ledger, run, "parse", 1, Ask("fail", failure=Failure("OSError", "no space"), outcome="error"))

    answer = call("run", "dag", "--status", "pages")
    verbose = call("run", "dag", "--status", "pages", "-v")

    assert [row[:3] for row in rows(answer.out)] == [
        ["fetch", "SUCCESS", "0/3"],
        ["parse [1/3]", "FAILED", "1/3"],
        ["report", "SKIPPED", "0/3"],
    ]
    assert "parse#1 failed: OSError: no space" in answer.err
    assert [row[0] for row in rows(verbose.out)] == ["fetch", "parse", "parse#0", "parse#1", "parse#2", "report"]


def test_json_has_every_part(ledger: Ledger, call: Call):
    mapped_run(ledger)

    tasks = call("run", "dag", "--status", "pages", "--json").data["tasks"]

    assert [task["id"] for task in tasks] == [
        "pages:fetch", "pages:parse", "pages:parse#0", "pages:parse#1", "pages:parse#2", "pages:report",
    ]  # fmt: skip
    assert [task["index"] for task in tasks] == [None, None, 0, 1, 2, None]


def test_json_has_results_and_attempts_and_the_table_does_not_read_them(failed: str, call: Call) -> None:
    """A large result lies elsewhere: where it cannot be read, the table still can."""
    Path("mended").touch()
    code = Path("flow.py").read_text("utf-8")
    Path("flow.py").write_text(code.replace('{"saved": process}', '{"saved": process, "x": "y" * 5000}'), "utf-8")
    assert call("retry", failed).code == 0

    fetch, process, save = call("run", "dag", "--status", failed, "--json").data["tasks"]

    assert fetch["result"] == {"rows": [1, 2, 3]}
    assert save["result"] == {"saved": 3, "x": "y" * 5000}
    assert (process["result"], process["attempts"]) == (3, 5)
    tried = process["attempt_list"]
    assert [(one["n"], one["outcome"], one["error_type"]) for one in tried] == [
        *((n, "error", "TimeoutError") for n in (1, 2, 3, 4)), (5, "ok", None),
    ]  # fmt: skip
    assert tried[0]["error"] == "no answer, password=[secret]"
    assert 'File "' in tried[0]["stack"]
    with sqlite3.connect(".tasktrail/tasktrail.db") as database:
        database.execute("UPDATE payload SET data = 'no JSON'")
    database.close()
    assert call("run", "dag", "--status", failed, "--json").code != 0
    assert call("run", "dag", "--status", failed).code == 0
