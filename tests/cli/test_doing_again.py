"""`retry --from` and `--only` of workflow runs: what came after is done again, or is shown to be stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.killing import killed_once

FLOW = """\
name: book
steps:
  - {id: fetch, call: "own:fetch"}
  - {id: check, manual: "Look at {fetch}", depends_on: fetch}
  - {id: print, call: "own:printed", depends_on: check}
  - {id: sign, manual: "Sign {fetch}", depends_on: fetch}
"""
CODE = """\
import pathlib

def fetch():
    path = pathlib.Path("n")
    n = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(n))
    return n

def printed(check):
    return check
"""


@pytest.fixture(autouse=True)
def book() -> None:
    Path("own.py").write_text(CODE, "utf-8")
    Path("book.yaml").write_text(FLOW, "utf-8")


@pytest.fixture
def begun(call: Call) -> str:
    """A run of which `check` was done by hand, `print` is done, and `sign` is still asked for."""
    assert call("run", "dag", "book.yaml", "--run-id", "r", "--no-wait").code == 0
    assert call("complete", "r:check", "--value", '"fine"').code == 0
    assert call("resume", "r", "--no-wait").code == 0
    assert statuses(call) == {"fetch": "completed", "check": "completed", "print": "completed", "sign": "blocked"}
    return "r"


def tasks(call: Call) -> dict[str, dict[str, object]]:
    return {str(task["key"]): task for task in call("status", "r", "--json").data["tasks"]}


def statuses(call: Call) -> dict[str, object]:
    return {key: task["status"] for key, task in tasks(call).items()}


def test_all_that_comes_after_a_step_is_done_again_and_people_are_asked_again(begun: str, call: Call) -> None:
    again = call("retry", begun, "--from", "fetch", "--no-wait")

    assert again.code == 0, again.err
    assert "from fetch on, 4 of 4 steps are done again" in again.err
    assert "sign waits for a person: Sign 2" in again.err
    assert "check waits for a person: Look at 2" in again.err
    assert statuses(call) == {"fetch": "completed", "check": "blocked", "print": "pending", "sign": "blocked"}
    verbs = [event["verb"] for event in call("history", "r:sign", "--json").data]
    assert verbs == ["block", "unblock", "block"]
    assert call("doctor", "--verify").code == 0


def test_a_step_that_a_person_blocked_stays_blocked_unless_it_is_named(begun: str, call: Call) -> None:
    """It was never done, and when it is let go it gets the new values; a manual step asks with the old ones."""
    assert call("reopen", "r:print").code == 0
    assert call("block", "r:print", "--reason", "out of paper").code == 0

    assert call("retry", begun, "--from", "check", "--no-wait").code == 0
    assert statuses(call)["print"] == "blocked"
    assert call("complete", "r:check", "--value", "2").code == 0
    assert call("retry", begun, "--from", "print", "--no-wait").code == 0
    assert statuses(call)["print"] == "completed"


@pytest.mark.crash
def test_what_a_dead_process_left_running_is_done_again_with_the_rest(call: Call) -> None:
    Path("own.py").write_text(
        "import os, pathlib, time\n"
        "def fetch(): return 1\n"
        "def printed(check):\n"
        "    pathlib.Path('ready').touch()\n"
        "    while not os.path.exists('calm'): time.sleep(0.01)\n",
        "utf-8",
    )
    assert call("run", "dag", "book.yaml", "--run-id", "r", "--no-wait").code == 0
    assert call("complete", "r:check").code == 0
    killed_once("ready", "resume", "r")
    Path("calm").touch()
    assert statuses(call)["print"] == "in_progress"

    again = call("retry", "r", "--from", "fetch", "--no-wait")

    assert again.code == 0, again.err
    assert statuses(call) == {"fetch": "completed", "check": "blocked", "print": "pending", "sign": "blocked"}
    assert call("doctor", "--verify").code == 0


def test_one_step_alone_is_done_again_and_those_that_had_its_result_are_stale(begun: str, call: Call) -> None:
    assert not any(task["stale"] for task in tasks(call).values())

    again = call("retry", begun, "--only", "fetch", "--no-wait")

    assert again.code == 0, again.err
    assert statuses(call) == {"fetch": "completed", "check": "completed", "print": "completed", "sign": "blocked"}
    assert [key for key, task in tasks(call).items() if task["stale"]] == ["check"]
    assert "check is stale: what it needs was done after it, or is not done" in again.err
    said = call("explain", "r:check").out
    assert said.startswith("check is completed, but stale: fetch was done after it, since ")
    assert said.endswith("    to do: tasktrail retry r --from check\n")
    assert "check is completed, but stale: fetch was done after it" in call("explain", "r").out
    assert call("retry", begun, "--from", "check", "--no-wait").code == 0
    assert not any(task["stale"] for task in tasks(call).values())


def test_what_is_completed_while_its_need_is_not_is_stale(begun: str, call: Call) -> None:
    assert call("reopen", "r:fetch").code == 0

    assert "check is completed, but stale: fetch is not done" in call("explain", "r:check").out


def test_of_a_mapped_step_the_parts_that_failed_are_done_again_and_without_any_all_of_them(call: Call) -> None:
    Path("own.py").write_text(
        "import os, pathlib\n"
        "def double(item):\n"
        "    with open(f'n{item}', 'a') as file: file.write('x')\n"
        "    assert item != 2 or os.path.exists('mended')\n"
        "    return 2 * item\n",
        "utf-8",
    )
    Path("map.yaml").write_text(
        "name: map\nsteps:\n  - {id: double, call: own:double, for_each: [1, 2], critical: false}\n", "utf-8"
    )
    assert call("run", "dag", "map.yaml", "--run-id", "r").code == 5
    Path("mended").touch()

    assert call("retry", "r:double").code == 0
    assert [Path(f"n{item}").read_text("utf-8") for item in (1, 2)] == ["x", "xx"]
    assert call("retry", "r:double#0").code == 0
    assert [Path(f"n{item}").read_text("utf-8") for item in (1, 2)] == ["xx", "xx"]
    assert call("retry", "r:double").code == 0
    assert [Path(f"n{item}").read_text("utf-8") for item in (1, 2)] == ["xxx", "xxx"]
    assert call("doctor", "--verify").code == 0
