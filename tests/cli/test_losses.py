"""Steps whose process is killed: lost, counted, named; for good at the third loss; asked about where it may be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.killing import killed_once

pytestmark = pytest.mark.platform_only("SIGKILL")

CODE = """\
import os, pathlib, signal, time

def dies():
    os.kill(os.getpid(), signal.SIGKILL)

def pay():
    with open("paid", "a") as file:
        file.write("x")
    pathlib.Path("ready").touch()
    while not os.path.exists("calm"):
        time.sleep(0.01)
    return "by itself"

def thank(pay):
    return pay
"""
PAID = """\
name: paid
steps:
  - {id: pay, call: "own:pay", effect: at_most_once}
  - {id: thank, call: "own:thank", depends_on: pay}
"""


@pytest.fixture(autouse=True)
def own() -> None:
    Path("own.py").write_text(CODE, "utf-8")
    Path("paid.yaml").write_text(PAID, "utf-8")


def tasks(call: Call) -> dict[str, dict[str, object]]:
    return {str(task["key"]): task for task in call("status", "r", "--json").data["tasks"]}


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("run: kill -9 $$\n    shell: true", "kill -9 $$"),
        ("run: [python3, -c, 'import os; os.kill(os.getpid(), 9)']", "python3"),
        ("call: own:dies\n    executor: process", "the process of own:dies"),
    ],
)
def test_a_step_that_is_killed_each_time_fails_for_good_at_the_third_loss(call: Call, step: str, name: str) -> None:
    Path("dying.yaml").write_text(f"name: dying\nsteps:\n  - id: a\n    {step}\n    retries: 9\n", "utf-8")

    ended = call("run", "dag", "dying.yaml", "--run-id", "r")

    task = tasks(call)["a"]
    attempts = task["attempt_list"]
    assert isinstance(attempts, list)
    assert (ended.code, task["status"], task["losses"], task["retries"]) == (5, "failed", 3, 0)
    assert [one["outcome"] for one in attempts] == ["lost"] * 3
    assert (task["error_type"], str(task["error"]).endswith("was killed by SIGKILL (out of memory?)")) == (
        "StepLost", True,
    )  # fmt: skip
    assert "was killed by SIGKILL (out of memory?)" in ended.err
    assert name in str(task["error"])
    assert call("doctor", "--verify").code == 0


def test_a_command_that_reaches_a_limit_of_memory_has_failed_and_is_not_lost(call: Call) -> None:
    """The limit of a process makes its allocation fail; only the kernel's killer, for a whole group, sends SIGKILL."""
    line = "ulimit -v 200000; exec python3 -c 'bytearray(1 << 30)'"
    flow = f'name: big\nsteps:\n  - id: a\n    run: "{line}"\n    shell: true\n    retries: {{max: 1, delay: 1ms}}\n'
    Path("big.yaml").write_text(flow, "utf-8")

    assert call("run", "dag", "big.yaml", "--run-id", "r").code == 5

    task = tasks(call)["a"]
    assert (task["status"], task["losses"], task["attempts"], task["retries"]) == ("failed", 0, 2, 1)
    assert "MemoryError" in str(task["error"])


@pytest.mark.crash
def test_what_must_not_run_twice_and_was_running_at_kill_9_is_asked_about_with_what_to_type(call: Call) -> None:
    killed_once("ready", "run", "dag", "paid.yaml", "--run-id", "r")

    resumed = call("resume", "r", "--no-wait")

    assert resumed.code == 0
    assert (
        "pay waits for a person: its process died while it ran, and it must not run twice: was it done?\n"
        "  tasktrail complete r:pay    it was done\n"
        "  tasktrail unblock r:pay    it was not: do it\n"
        "  tasktrail skip r:pay\n"
        "then: tasktrail resume r\n"
    ) in resumed.err
    assert tasks(call)["pay"]["status"] == "blocked"
    assert "was it done?" in call("explain", "r").out
    assert call("complete", "r:pay", "--value", '"by hand"').code == 0
    assert call("resume", "r").code == 0
    assert (tasks(call)["thank"]["result"], Path("paid").read_text("utf-8")) == ("by hand", "x")
    assert call("doctor", "--verify").code == 0


@pytest.mark.crash
def test_what_was_not_done_is_unblocked_and_runs_once_more(call: Call) -> None:
    killed_once("ready", "run", "dag", "paid.yaml", "--run-id", "r")
    Path("calm").touch()
    assert call("resume", "r", "--no-wait").code == 0

    assert call("unblock", "r:pay").code == 0
    assert call("resume", "r").code == 0

    assert (tasks(call)["thank"]["result"], Path("paid").read_text("utf-8")) == ("by itself", "xx")


def test_what_must_not_run_twice_and_whose_own_process_is_killed_is_asked_about(call: Call) -> None:
    flow = PAID.replace("own:pay", "own:dies").replace("effect:", "executor: process, effect:")
    Path("paid.yaml").write_text(flow, "utf-8")

    ended = call("run", "dag", "paid.yaml", "--run-id", "r", "--no-wait")

    pay = tasks(call)["pay"]
    assert (ended.code, pay["status"], pay["attempts"], pay["losses"]) == (0, "blocked", 1, 1)
    assert "tasktrail unblock r:pay" in ended.err
    assert call("doctor", "--verify").code == 0
