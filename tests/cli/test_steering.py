"""Pause, resume, retry: of runs that nobody executes, and of one that a process executes just then."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tasktrail.cli.arguments import since_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import open_project
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.model.lifecycle import Ask, Failure
from tests.cli.conftest import Call
from tests.mapped import do, mapped_run, task_of

GATED = """
import os, time
from tasktrail.dag import ParallelStatefulDAGRunner, StatefulDAGRunner

def wait_for(name):
    def step():
        print("waiting", flush=True)
        while not os.path.exists(name):
            time.sleep(0.01)
    return step

def flaky():
    if not os.path.exists("mended"):
        raise OSError("no space")

def gated():
    runner = ParallelStatefulDAGRunner("gated")
    runner.register_step("first", wait_for("go"))
    runner.register_step("second", lambda: 2, dependencies=["first"])
    return runner

def beside():
    runner = ParallelStatefulDAGRunner("beside")
    runner.register_step("first", wait_for("go"))
    runner.register_step("flaky", flaky, max_retries=0, critical=False)
    runner.register_step("after", lambda: 3, dependencies=["flaky"])
    return runner

def in_order():
    runner = StatefulDAGRunner("in_order")
    runner.register_step("flaky", flaky, max_retries=0, critical=False)
    runner.register_step("first", wait_for("go"))
    runner.register_step("last", lambda first: 3)
    return runner

def two():
    runner = ParallelStatefulDAGRunner("two")
    runner.register_step("left", flaky, max_retries=0, critical=False)
    runner.register_step("right", flaky, max_retries=0, critical=False)
    return runner
"""
BROKEN = Ask("fail", failure=Failure("OSError", "no space"), outcome="error")


@pytest.fixture
def ledger() -> Ledger:
    return open_project()


@pytest.fixture(autouse=True)
def gated() -> None:
    Path("gated.py").write_text(GATED, encoding="utf-8")


def lines_until(stream: IO[str] | None, words: str) -> None:
    assert stream is not None
    while words not in (line := stream.readline()):
        assert line, f"it ended before it said: {words}"


@contextmanager
def executing(target: str, words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command until it says something; it is killed in the end."""
    command = [sys.executable, "-m", "tasktrail", "run", "dag", target, "--run-id", "one"]
    with subprocess.Popen(
        command, text=True, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            lines_until(process.stderr, words)
            yield process
        finally:
            process.kill()


# pause


def test_a_run_that_is_over_is_not_paused(failed: str, call: Call):
    paused = call("pause", failed)

    assert paused.code == 4
    assert "run my-dag-123 is failed; pause needs a run that is not over" in paused.err


def test_run_dag_of_a_paused_run_starts_nothing_and_ends_with_0(ledger: Ledger, call: Call):
    ledger.create_run(RunDraft("dag", "one", "two", target="gated.py:two"))

    paused = call("pause", "one", "--reason", "wait for the disk")
    again = call("pause", "one")
    ran = call("run", "dag", "gated:two", "--run-id", "one")

    assert (paused.code, paused.out) == (0, "run one is paused\n")
    assert again.code == 0
    assert ran.code == 0
    assert ran.err.endswith("the run is paused: nothing new starts\nto go on: tasktrail resume one\n")
    run = call("status", "one", "--json").data
    assert (run["paused"], run["counts"]["pending"]) == (True, 2)
    pauses = [event for event in call("history", "one", "--json").data if event["verb"] == "pause"]
    assert [(event["note"], event["changes"]) for event in pauses] == [("wait for the disk", {"paused": [0, 1]})]


def test_resume_lifts_a_pause(ledger: Ledger, call: Call):
    Path("mended").touch()
    ledger.create_run(RunDraft("dag", "one", "two", target="gated.py:two"))
    call("pause", "one")

    assert call("resume", "one").code == 0

    run = call("status", "one", "--json").data
    assert (run["paused"], run["status"]) == (False, "completed")
    assert "unpause" in [event["verb"] for event in call("history", "one", "--json").data]
    assert call("doctor", "--verify").code == 0


def test_resume_lifts_the_pause_of_a_run_that_only_a_script_can_execute(ledger: Ledger, call: Call):
    mapped_run(ledger)
    call("pause", "pages")

    answer = call("resume", "pages")

    assert (answer.code, answer.out) == (0, "run pages is no longer paused\n")
    assert "run the Python script again" in answer.err
    assert call("resume", "pages").code == 1, "it is not paused any more, and has no code here"


@pytest.mark.crash
def test_the_process_that_executes_a_run_notices_a_pause_and_finishes_what_runs(call: Call):
    with executing("gated:gated", "waiting") as process:
        paused = call("pause", "one")
        Path("go").touch()
        out, err = process.communicate(timeout=30)

    assert f"process {process.pid} on " in paused.err
    assert "executes it, finishes 1 step and starts no other" in paused.err
    assert process.returncode == 0
    assert "│ first    │ SUCCESS  │" in out
    assert "│ second   │ PENDING  │" in out
    assert "to go on: tasktrail resume one" in err
    assert call("resume", "one").code == 0


@pytest.mark.crash
def test_a_pause_that_is_lifted_while_a_step_runs_ends_nothing(call: Call):
    with executing("gated:gated", "waiting") as process:
        call("pause", "one")
        resumed = call("resume", "one")
        Path("go").touch()
        process.communicate(timeout=30)

    assert resumed.out == "run one is no longer paused\n"
    assert "executes it, and goes on within a second" in resumed.err
    assert process.returncode == 0
    assert call("status", "one", "--json").data["status"] == "completed"


# by hand, while somebody executes it


@pytest.mark.crash
def test_a_step_that_runs_is_taken_away_by_force_alone_and_its_run_goes_on(call: Call):
    with executing("gated:gated", "waiting") as process:
        refused = call("complete", "one:first")
        forced = call("complete", "one:first", "--force", "--value", "7")
        lines_until(process.stderr, "second        completed")
        Path("go").touch()
        process.communicate(timeout=30)

    assert refused.code == 4
    assert f"task one:first is held by process {process.pid} on " in refused.err
    assert f"process {process.pid} on " in forced.err
    assert "executes run one, which goes on" in forced.err
    assert process.returncode == 0
    assert call("status", "one", "--json").data["status"] == "completed"
    note = next(event["note"] for event in call("history", "one:first", "--json").data if event["verb"] == "complete")
    assert note.startswith(f"by force: process {process.pid} on ")
    assert call("doctor", "--verify").code == 0


@pytest.mark.crash
def test_a_step_that_failed_is_tried_again_by_the_process_that_executes_the_run(call: Call):
    with executing("gated:beside", "no space") as process:
        Path("mended").touch()
        answer = call("retry", "one:flaky")
        lines_until(process.stderr, "after         completed")
        Path("go").touch()
        process.communicate(timeout=30)

    assert answer.out == "flaky is pending again\n"
    assert f"process {process.pid} on " in answer.err
    assert process.returncode == 0


@pytest.mark.crash
@pytest.mark.parametrize("left", ["before others", "at the end"])
def test_a_step_that_is_tried_again_in_a_sequential_run_comes_before_those_that_follow_it(call: Call, left: str):
    """The runner passed it already; it is the first again that is not settled."""
    code = (
        GATED if left == "before others" else GATED.replace('    runner.register_step("last", lambda first: 3)\n', "")
    )
    Path("gated.py").write_text(code, encoding="utf-8")
    with executing("gated:in_order", "waiting") as process:
        Path("mended").touch()
        answer = call("retry", "one:flaky")
        Path("go").touch()
        process.communicate(timeout=30)

    assert f"process {process.pid} on " in answer.err
    assert process.returncode == 0
    completed = [event["task"] for event in call("history", "one", "--json").data if event["verb"] == "complete"]
    assert completed == ["one:first", "one:flaky", *(["one:last"] if left == "before others" else [])]


# retry


def test_retry_does_what_run_dag_retry_does(failed: str, call: Call):
    Path("mended").touch()

    assert call("retry", failed).code == 0

    assert call("status", failed, "--json").data["status"] == "completed"
    assert call("retry", failed).code == 4, "nothing failed any more"


def test_one_failed_step_is_tried_again_alone(call: Call):
    call("run", "dag", "gated:two", "--run-id", "one")
    Path("mended").touch()

    assert call("retry", "one:left").code == 5, "the other one stays failed"

    tasks = {task["key"]: task for task in call("status", "one", "--json").data["tasks"]}
    assert (tasks["left"]["status"], tasks["left"]["attempts"]) == ("completed", 2)
    assert (tasks["right"]["status"], tasks["right"]["attempts"]) == ("failed", 1)
    assert call("retry", "one", "--only", "right").code == 0


def test_a_retry_from_a_step_does_all_that_comes_after_it_again(failed: str, call: Call):
    Path("mended").touch()
    call("retry", failed)

    assert call("retry", failed, "--from", "process").code == 0

    tasks = call("status", failed, "--json").data["tasks"]
    assert [task["attempts"] for task in tasks] == [1, 6, 2]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["my-dag-123:save"], 4, "task save is pending; retry needs a step that is over"),
        (["my-dag-123:proces"], 3, "did you mean process?"),
        (["my-dag-132"], 3, "did you mean my-dag-123?"),
        ([], 2, "give one of RUN and --all-failed"),
        (["my-dag-123", "--all-failed"], 2, "give one of RUN and --all-failed"),
        (["my-dag-123", "--since", "2h"], 2, "--since goes with --all-failed"),
        (["my-dag-123:process", "--from", "save"], 2, "give one of RUN:STEP, --from and --only"),
        (["--all-failed", "--from", "save"], 2, "go with RUN"),
        (["--all-failed", "--since", "yesterday"], 2, "expected --since to be a span (90s, 2h, 3d) or a date"),
    ],
)
def test_a_retry_that_cannot_be_changes_nothing(failed: str, call: Call, arguments: list[str], code: int, words: str):
    answer = call("retry", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err
    assert call("status", failed, "--json").data["counts"]["failed"] == 1


def test_another_critical_failure_would_stop_the_run_all_the_same(ledger: Ledger, call: Call):
    run = mapped_run(ledger)
    do(ledger, run, "parse", 0, BROKEN)
    do(ledger, run, "parse", 1, BROKEN)

    answer = call("retry", "pages:parse#0")

    assert answer.code == 4
    assert "task parse#1 failed too, and stops the run" in answer.err


def test_a_plan_has_no_code_so_its_task_is_pending_again(ledger: Ledger, call: Call):
    run = ledger.create_run(RunDraft("plan", "trip", "trip", (TaskDraft("T1"),)))
    do(ledger, run, "T1", -1, BROKEN)

    answer = call("retry", "trip")

    assert (answer.code, answer.out) == (0, "T1 is pending again\n")
    assert task_of(ledger, run, "T1").tries == 0


# retry of all


@pytest.fixture
def many(ledger: Ledger, call: Call) -> None:
    """Two runs that failed, one that was cancelled besides, and a plan."""
    call("run", "dag", "gated:two", "--run-id", "one")
    call("run", "dag", "gated:two", "--run-id", "two")
    off = ledger.create_run(RunDraft("dag", "off", "two", (TaskDraft("a", critical=False), TaskDraft("b"))))
    trip = ledger.create_run(RunDraft("plan", "trip", "two", (TaskDraft("a"),)))
    do(ledger, off, "a", -1, BROKEN)
    do(ledger, trip, "a", -1, BROKEN)
    ledger.cancel_run(off.id)


def failed_counts(call: Call) -> dict[str, int]:
    runs = call("list-runs", "--json").data
    return {run["id"]: run["counts"]["failed"] for run in runs}


def test_a_dry_run_says_what_would_be_tried_again(many: None, call: Call):
    before = failed_counts(call)

    answer = call("retry", "--all-failed", "--workflow", "two", "--dry-run")

    assert answer.code == 0
    assert answer.out.splitlines() == [
        "RUN  WORKFLOW  FAILED STEPS",
        "one  two       left, right",
        "two  two       left, right",
    ]
    assert answer.err == "4 steps of 2 runs would be pending again; nothing was changed\n"
    assert failed_counts(call) == before


def test_all_that_failed_is_pending_again_and_the_runs_are_named(many: None, call: Call):
    answer = call("retry", "--all-failed", "--workflow", "two", "--since", "1h")

    assert answer.code == 0
    assert answer.err == (
        "4 steps of 2 runs are pending again\nto go on: tasktrail resume one\nto go on: tasktrail resume two\n"
    )
    assert failed_counts(call)["one"] == failed_counts(call)["two"] == 0
    assert call("doctor", "--verify").code == 0


def test_a_plan_and_what_was_cancelled_are_not_tried_again_in_bulk(many: None, call: Call):
    call("retry", "--all-failed")

    assert failed_counts(call) == {"one": 0, "two": 0, "off": 1, "trip": 1}


def test_what_failed_earlier_is_left_alone(many: None, call: Call):
    answer = call("retry", "--all-failed", "--since", "2999-01-01")

    assert (answer.code, answer.out, answer.err) == (0, "", "no step stands failed of those asked for\n")
    assert failed_counts(call)["one"] == 2


def test_they_are_executed_one_after_another_on_demand(many: None, call: Call):
    Path("mended").touch()

    answer = call("retry", "--all-failed", "--workflow", "two", "--run", "--json")

    assert answer.code == 0
    assert [(run["id"], run["status"], run["tasks"]) for run in answer.data] == [
        ("one", "completed", ["one:left", "one:right"]),
        ("two", "completed", ["two:left", "two:right"]),
    ]


def test_one_that_fails_again_is_told_by_the_exit_code(many: None, call: Call):
    assert call("retry", "--all-failed", "--workflow", "two", "--run", "--json").code == 5


def test_a_span_or_a_date_says_since_when():
    now = 1_800_000_000_000_000

    assert now - since_of("90s", now) == 90_000_000
    assert now - since_of("2d", now) == 2 * 86_400_000_000
    assert since_of("2026-11-20T10:00:00+00:00", now) == 1_795_168_800_000_000
    for text in ("2", "h", "-2h", "2 h", "", "9999999h"):
        with pytest.raises(BadInput):
            since_of(text, now)
