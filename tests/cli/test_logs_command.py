"""`logs`: what steps printed, from any process, by attempt and stream, followed while they run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Call

FLOW = """
import sys, time, os
from tasktrail.dag import ParallelStatefulDAGRunner

def talk():
    print("talking")
    print("oh no", file=sys.stderr)
    print("colour \\x1b[31mred\\tcell")

def fail():
    print("attempt")
    raise ValueError("enough")

def wait():
    print("waiting", flush=True)
    deadline = time.monotonic() + 30
    while not os.path.exists("go") and time.monotonic() < deadline:
        time.sleep(0.01)
    print("gone")

def silent(): ...

def of(*steps):
    runner = ParallelStatefulDAGRunner("etl", retry_delay=0.001)
    for step in steps:
        runner.register_step(step.__name__, step, max_retries=2, critical=False)
    return runner

def talks(): return of(talk, silent)
def fails(): return of(fail, talk)
def waits(): return of(wait)
"""


@pytest.fixture(autouse=True)
def flow() -> None:
    Path("flow.py").write_text(FLOW, encoding="utf-8")


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the background; killed at the end if it is still there."""
    command = [sys.executable, "-m", "tasktrail", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=os.environ, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def test_a_step_has_its_lines_and_a_run_has_all_behind_names(call: Call):
    call("run", "dag", "flow:talks", "--run-id", "r")

    assert call("logs", "r:talk").out == "talking\noh no\ncolour \\x1b[31mred cell\n"
    assert call("logs", "r:talk", "--stream", "stderr").out == "oh no\n"
    assert call("logs", "r").out.splitlines()[:2] == ["talk | talking", "talk | oh no"]
    assert call("logs", "r:silent").out == ""


def test_the_last_attempt_is_shown_unless_one_is_named(call: Call):
    call("run", "dag", "flow:fails", "--run-id", "r")

    assert call("logs", "r:fail").out == "attempt\n"
    assert call("logs", "r:fail", "--attempt", "1").out == "attempt\n"
    assert [line["attempt"] for line in call("logs", "r:fail", "--json").data] == [3]
    assert [line["attempt"] for line in call("logs", "r:fail", "--attempt", "1", "--json").data] == [1]
    assert call("logs", "r").out.count("fail | attempt\n") == 3


def test_a_line_as_json_knows_where_it_comes_from(call: Call):
    call("run", "dag", "flow:talks", "--run-id", "r")
    answer = call("logs", "r:talk", "--json")

    assert answer.document["schema"] == "tasktrail/output-line-list@1"
    first, second, _ = answer.data
    assert (first["id"], first["run"], first["attempt"], first["stream"], first["text"]) == (
        "r:talk", "r", 1, "stdout", "talking",
    )  # fmt: skip
    assert (second["stream"], second["text"]) == ("stderr", "oh no")
    assert first["at"].endswith("Z")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("r:nothing",), 3, "run r has no task nothing"),
        (("other",), 3, "no run has the id other"),
        (("r:talk", "--attempt", "2"), 3, "step talk has 1 attempt, so there is no attempt 2"),
        (("r", "--attempt", "1"), 2, "--attempt needs a step"),
        (("r:talk", "--attempt", "0"), 2, "0 is not in the range"),
    ],
)
def test_what_is_not_there_is_said(call: Call, arguments: tuple[str, ...], code: int, words: str):
    call("run", "dag", "flow:talks", "--run-id", "r")
    answer = call("logs", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err


@pytest.mark.parametrize("reference", ["r", "r:wait"])
def test_a_step_is_followed_until_it_is_over(reference: str):
    prefix = "wait | " if reference == "r" else ""
    with running("run", "dag", "flow:waits", "--run-id", "r") as run:
        assert run.stderr is not None
        assert any("wait | waiting" in line for line in run.stderr), "the run is there"
        with running("logs", reference, "-f") as logs:
            assert logs.stdout is not None
            assert logs.stdout.readline() == f"{prefix}waiting\n"
            Path("go").touch()
            assert logs.stdout.read() == f"{prefix}gone\n"
            assert logs.wait(30) == 0
        run.communicate(timeout=30)


def test_followed_lines_are_documents_of_their_own(call: Call):
    call("run", "dag", "flow:talks", "--run-id", "r")
    lines = [json.loads(line) for line in call("logs", "r:talk", "-f", "--json").out.splitlines()]

    assert [line["schema"] for line in lines] == ["tasktrail/output-line@1"] * 3
    assert lines[0]["data"]["text"] == "talking"


def test_who_follows_hears_that_the_process_is_gone():
    with running("run", "dag", "flow:waits", "--run-id", "r") as run:
        assert run.stderr is not None
        assert any("wait | waiting" in line for line in run.stderr)
        with running("logs", "r:wait", "-f") as logs:
            assert logs.stdout is not None
            assert logs.stdout.readline() == "waiting\n"
            run.send_signal(signal.SIGKILL)
            run.wait()
            assert logs.wait(30) == 0
            assert logs.stderr is not None
            assert logs.stderr.read() == "nobody executes run r now\n"


def test_a_reader_that_has_enough_ends_it_quietly(call: Call):
    call("run", "dag", "flow:talks", "--run-id", "r")
    line = f"{sys.executable} -m tasktrail logs r | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("talk | talking\n", "")
