"""A step waits because a limit is full: `explain` and `watch` name it and who holds its places, in other runs too."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Call

pytestmark = pytest.mark.crash

FLOW = """\
name: net
steps:
  - id: work
    run: until [ -e go ]; do sleep 0.02; done
    shell: true
    limits: {api: 1}
  - id: beside
    run: "true"
    shell: true
  - id: after
    run: ["true"]
    depends_on: work
"""


@pytest.fixture(autouse=True)
def net() -> None:
    Path("net.yaml").write_text(FLOW, "utf-8")


@contextmanager
def executing(run: str) -> Iterator[subprocess.Popen[str]]:
    """Execute a run in a process of its own; it is killed in the end."""
    command = [sys.executable, "-m", "tasktrail", "run", "dag", "net.yaml", "--run-id", run]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status(call: Call, run: str, key: str) -> str | None:
    if not Path(".tasktrail").exists() or call("history", run).code:
        return None
    tasks = call("status", run, "--json").data["tasks"]
    return next((str(task["status"]) for task in tasks if task["key"] == key), None)


@contextmanager
def two_runs(call: Call) -> Iterator[tuple[subprocess.Popen[str], subprocess.Popen[str]]]:
    """Run `one` holds the limit; run `two` has done all that needs no place of its own."""
    with executing("one") as one:
        until(lambda: status(call, "one", "work") == "in_progress" and status(call, "one", "beside") == "completed")
        with executing("two") as two:
            until(lambda: status(call, "two", "beside") == "completed")
            yield one, two


def test_a_full_limit_is_explained_with_its_size_and_who_holds_it_in_another_run(call: Call) -> None:
    with two_runs(call):
        said = call("explain", "two:work").out
        of_run = call("explain", "two").out
        record = call("explain", "two:work", "--json").data["reasons"][0]
        of_dependant = call("explain", "two:after").out
        Path("go").touch()
        until(lambda: status(call, "two", "after") == "completed")

    assert said == "work waits for limit api (1 at a time), held by one:work\n"
    assert "work waits for limit api (1 at a time), held by one:work\n" in of_run
    assert "starts when a place is free" not in of_run
    assert (record["cause"], record["limit"]) == ("limited", {"name": "api", "size": 1, "held_by": ["one:work"]})
    assert of_dependant == "after waits: work waits for limit api (1 at a time), held by one:work\n"


def test_a_limit_that_is_held_by_a_dead_process_says_what_frees_it(call: Call) -> None:
    with two_runs(call) as (one, _):
        one.kill()
        one.wait()
        said = call("explain", "two:work").out

    assert said == (
        "work waits for limit api (1 at a time), held by one:work (its process has ended)\n"
        "    to do: tasktrail resume one\n"
    )


def test_watch_says_in_a_line_and_in_its_table_which_limit_is_full(call: Call) -> None:
    command = [sys.executable, "-m", "tasktrail", "watch", "two"]
    with (
        two_runs(call),
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as watching,
    ):
        assert watching.stdout is not None
        line = next(line for line in iter(watching.stdout.readline, "") if "limit" in line)
        assert line.endswith("work          waits for limit api (1 at a time), held by one:work\n")
        Path("go").touch()
        rest, _ = watching.communicate(timeout=60)
    assert "limit" not in rest, "it is said once"
    assert watching.returncode == 0


def test_the_live_table_shows_which_limit_is_full(call: Call) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tasktrail", "watch", "two"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with two_runs(call), subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as watching:
        seen = b""
        while b"held by one:work" not in seen:
            assert watching.poll() is None
            seen += os.read(ours, 65536)
        watching.send_signal(signal.SIGINT)
        watching.wait(30)
    os.close(ours)
    os.close(theirs)
    assert "○ work waits for limit api (1 at a time), held by one:work" in seen.decode()
