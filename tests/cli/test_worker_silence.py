"""A worker that is stopped, not dead: others go on without it, and it comes back as a new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests import processes
from tests.cli.conftest import Call
from tests.postgres import Server

LONGEST_S = 60.0
FLOW = """\
name: flow
steps:
  - id: held
    call: held_steps:held
"""
STEPS = """\
import asyncio, os, pathlib
async def held():
    attempt = len(list(pathlib.Path().glob("begun-*")))
    pathlib.Path(f"begun-{attempt}-{os.getpid()}").touch()
    while attempt == 0 and not pathlib.Path("go").exists():
        await asyncio.sleep(0.01)
    return os.getpid()
"""


@pytest.fixture(params=["file", "server", "leases"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "file":
        yield
        return
    server: Server = request.getfixturevalue("server")
    with server.schema(**({"pooler": "transaction"} if request.param == "leases" else {})) as url:
        monkeypatch.setenv("TASKTRAIL_STORE", url)
        yield


@pytest.mark.crash
@pytest.mark.platform_only("SIGSTOP")
def test_a_silent_worker_is_taken_for_dead_and_its_answer_changes_nothing(store: None, call: Call) -> None:
    Path("flow.yaml").write_text(FLOW, "utf-8")
    Path("held_steps.py").write_text(STEPS, "utf-8")
    assert call("run", "dag", "flow.yaml", "--pooled", "--no-wait", "--run-id", "p").code == 0

    with Worker("silent") as silent:
        until(lambda: bool(list(Path().glob("begun-0-*"))))
        os.kill(silent.pid, signal.SIGSTOP)
        with Worker("other") as other:
            until(lambda: call("status", "p", "--json").data["status"] == "completed")
            Path("go").touch()
            os.kill(silent.pid, signal.SIGCONT)
            until(lambda: len(states(call, str(silent.pid))) == 2)
            assert sorted(states(call, str(silent.pid))) == ["alive", "dead"]
            assert call("status", "p", "--json").data["tasks"][0]["result"] == other.pid
        assert (other.returncode, call("doctor", "--verify").code) == (0, 0)
    assert silent.returncode == 0
    history = call("history", "p:held").out
    assert (history.count("lapse"), history.count("complete  ")) == (1, 1)


HOLD = """
import apsw, sys
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("held")
sys.stdin.readline()
"""


@pytest.mark.crash
def test_a_worker_outlives_somebody_who_writes_for_longer_than_it_waits(call: Call) -> None:
    Path("flow.yaml").write_text('name: flow\nsteps:\n  - {id: a, run: ["true"]}\n', "utf-8")
    assert call("run", "dag", "flow.yaml", "--pooled", "--no-wait", "--run-id", "first").code == 0
    with Path("log").open("wb") as log, Worker("w", "--busy-timeout", "0.1", stderr=log) as one:
        until(lambda: call("status", "first", "--json").data["status"] == "completed")
        with processes.started(HOLD, Path(".tasktrail/tasktrail.db").resolve()) as holder:
            assert processes.hear(holder) == "held"
            until(lambda: "waiting for it" in Path("log").read_text("utf-8") or one.poll() is not None)
            processes.say(holder)
            holder.wait(LONGEST_S)
        assert one.poll() is None
        assert call("run", "dag", "flow.yaml", "--pooled", "--run-id", "second").code == 0
    assert one.returncode == 0


class Worker:
    """A worker with a lease of one second, ended by SIGTERM."""

    def __init__(self, name: str, *options: str, stderr: IO[bytes] | int = subprocess.DEVNULL) -> None:
        command = [sys.executable, "-m", "tasktrail", "--as", name, *options]
        command += ["worker", "--lease", "1", "--grace", "5"]
        self._process = subprocess.Popen(command, stderr=stderr)

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        self._process.wait(LONGEST_S)


def states(call: Call, pid: str) -> list[str]:
    return [one["state"] for one in call("list-workers", "--all", "--json").data if str(one["pid"]) == pid]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_S
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.02)
