"""`history --follow`: prints events as they come, of one run or of all, on a file and on a server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.cli.conftest import Call

FLOW = """
name: small
steps:
  - id: look
    manual: Look at it
"""


@pytest.fixture(params=["sqlite", "postgres"], autouse=True)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store that settings name, and a run `one` that waits for a person."""
    Path("small.yaml").write_text(FLOW, "utf-8")
    if request.param == "sqlite":
        yield
        return
    with request.getfixturevalue("server").schema() as url:
        monkeypatch.setenv("TASKTRAIL_STORE", url)
        yield


def begin(call: Call, run: str) -> None:
    assert call("run", "dag", "small.yaml", "--run-id", run, "--no-wait").code == 0


@contextmanager
def following(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """`history --follow` in the background; killed at the end if it is still there."""
    command = [sys.executable, "-m", "tasktrail", "history", "--follow", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]  # two pipes
        try:
            yield process, process.stdout
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C; return the exit code and what was told."""
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    return process.returncode, told.strip()


def test_the_events_of_all_runs_come_as_they_are_made(spawn: Call):
    with following() as (process, lines):
        assert lines.readline().split() == ["TIME", "SEQ", "WHO", "WHAT", "EVENT", "CHANGE"]
        begin(spawn, "one")
        assert [lines.readline().split()[4:6] for _ in range(2)] == [["one", "created"], ["one:look", "block"]]
        assert spawn("complete", "one:look").code == 0
        while "complete" not in (line := lines.readline()):
            assert line
        assert line.split()[4:6] == ["one:look", "complete"]

        assert interrupted(process) == (130, "error: interrupted")


def test_a_run_begins_with_its_newest_events(spawn: Call):
    begin(spawn, "one")
    begin(spawn, "two")
    shown = spawn("history", "two").out.splitlines()
    with following("two", "--limit", "2") as (process, lines):
        assert [lines.readline().split() for _ in range(3)] == [line.split() for line in [shown[0], *shown[-2:]]]
        spawn("skip", "one:look")
        spawn("skip", "two:look")
        assert lines.readline().split()[4:6] == ["look", "skip"]
        interrupted(process)


def test_every_event_is_a_document_of_its_own(spawn: Call):
    begin(spawn, "one")
    listed = spawn("history", "one", "--json").data
    with following("one", "--json") as (process, lines):
        documents = [json.loads(lines.readline()) for _ in listed]
        interrupted(process)

    assert {document["schema"] for document in documents} == {"tasktrail/event@1"}
    assert [document["data"] for document in documents] == listed


def test_a_reader_goes_on_where_it_stopped(spawn: Call):
    begin(spawn, "one")
    listed = [one["seq"] for one in spawn("history", "one", "--json").data]
    with following("--reader", "export", "--json") as (process, lines):
        assert [json.loads(lines.readline())["data"]["seq"] for _ in listed] == listed
        refused = spawn("history", "--follow", "--reader", "export")
        assert refused.code == 4
        assert f"reader export is being read by process {process.pid}" in refused.err
        interrupted(process)
    assert spawn("skip", "one:look").code == 0
    listed = [one["seq"] for one in spawn("history", "one", "--json").data if one["seq"] > listed[-1]]
    with following("--reader", "export", "--json") as (process, lines):
        assert [json.loads(lines.readline())["data"]["seq"] for _ in listed] == listed
        interrupted(process)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a run, or take --follow"),
        (["one", "--reader", "x"], "--reader needs --follow"),
        (["one", "--follow", "--cursor", "3"], "leave one out"),
        (["one", "--follow", "--reader", "x"], "leave RUN out"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Call, arguments: list[str], words: str):
    answer = call("history", *arguments)

    assert answer.code == 2
    assert words in answer.err
