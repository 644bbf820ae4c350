"""Ctrl-C: the first one stops the steps, the second leaves at once; the run goes on later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Call

SLOW = """
import asyncio, time
from tasktrail.dag import StatefulDAGRunner

def quick():
    return 1

async def patient():
    print("waiting", flush=True)
    await asyncio.sleep(0 if patched() else 60)

def deaf():
    print("waiting", flush=True)
    while not patched():
        time.sleep(0.01)

def patched():
    import os
    return os.path.exists("mended")

def of(step):
    runner = StatefulDAGRunner("slow")
    runner.register_step("quick", quick)
    runner.register_step("slow", step)
    return runner

def with_patient(): return of(patient)
def with_deaf(): return of(deaf)
"""


@contextmanager
def started(target: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command until its slow step says that it waits."""
    Path("slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "tasktrail", "run", "dag", target, "--run-id", "one", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, env=os.environ, **pipes)  # type: ignore[call-overload]
    try:
        assert process.stderr is not None
        while "slow | waiting" not in (line := process.stderr.readline()):
            assert line, "it ended too soon"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.crash
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_the_steps_and_the_run_goes_on_later(call: Call, number: signal.Signals):
    with started("slow:with_patient") as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "stopping; what steps still finish is kept (Ctrl-C again: leave at once)\n" in err
    assert err.endswith("interrupted\nnobody executes this run just now\nto go on: tasktrail resume one\n")
    assert "│ slow     │ PENDING  │" in out, "it was given back, at no cost"
    Path("mended").touch()
    assert call("resume", "one").code == 0
    assert call("status", "one", "--json").data["tasks"][0]["attempts"] == 1


@pytest.mark.crash
def test_the_second_signal_leaves_at_once(call: Call):
    with started("slow:with_deaf") as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "stopping" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=3)

    assert process.returncode == 130
    assert err.endswith("left at once; what was acknowledged is kept\n")
    assert "the process that executed run one is gone" in call("doctor").out
    Path("mended").touch()
    assert call("resume", "one").code == 0
    assert call("doctor", "--verify").code == 0


@pytest.mark.crash
def test_an_interrupted_command_still_prints_its_document(call: Call):
    with started("slow:with_patient", "--json") as process:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 130
    assert '"status": "running"' in out


@pytest.mark.crash
def test_a_second_process_is_told_who_executes_the_run(call: Call):
    with started("slow:with_patient") as process:
        answer = call("resume", "one")
        status = call("status", "one")
        cancelled = call("cancel", "one", "--reason", "enough")
        process.wait(timeout=30)

    assert answer.code == 4
    assert f"run one is being executed by process {process.pid} on " in answer.err
    assert f"executed by process {process.pid} on " in status.err
    assert cancelled.out == "run one is cancelled: 1 cancelled, 1 completed\n"
    assert process.returncode == 5, "a cancelled run did not complete"
