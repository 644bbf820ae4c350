"""Executors that somebody else installed: found by name, told plain data, and no more to the run than their answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Call

SOON_S = 30.0
ENDS = ("complete", "fail", "retry", "lapse", "cancel")
EXECUTOR = """
import asyncio, json, sys, time
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from tasktrail.executors import StepLost, value_of

async def execute(call):
    with open("told", "a") as file:
        file.write(json.dumps(call.document) + "\\n")
    far = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tasktrail.executors", stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True,
    )
    try:
        answer, printed = await far.communicate(json.dumps(call.document).encode())
    except asyncio.CancelledError:
        Path("cancelled").touch()
        far.kill()
        await far.wait()
        raise
    call.write(1, printed.decode())
    return value_of(json.loads(answer))

async def unreliable(call):
    if call.context.attempt == 1:
        raise ConnectionResetError("password=hunter2secret")
    if call.context.attempt == 2:
        raise StepLost("the node went away")
    return {"attempt": call.context.attempt}

async def exiting(call):
    sys.exit(3)

async def odd(call):
    return {1, 2}

class Cluster:
    takes = {"slots"}
    async def __call__(self, call):
        return dict(call.resources) or "of a cluster"

cluster = Cluster()
number = 7
def blocking(call): pass
"""
STEPS = """
import os, pathlib, time

def double(number, ctx):
    print("doubling", number)
    return [number * 2, ctx.run_id, ctx.attempt, os.getpid()]

def slow():
    with open("pids", "a") as file:
        file.write(f"{os.getpid()}\\n")
    while not os.path.exists("calm"):
        time.sleep(0.01)
    return "done"
"""


def install(name: str, **executors: str) -> None:
    """Install a distribution as pip leaves it behind: nothing else of it is looked at."""
    info = Path("site", f"{name}-1.0.dist-info")
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    lines = [f"{key} = {value}" for key, value in executors.items()]
    (info / "entry_points.txt").write_text("\n".join(["[tasktrail.executors]", *lines, ""]), "utf-8")


def environment() -> dict[str, str]:
    paths = ["site", *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture(autouse=True)
def far() -> None:
    """A distribution with executors, and functions for them."""
    names = ("unreliable", "exiting", "odd", "cluster", "number", "blocking", "missing")
    install("far", far="far_executors:execute", **{name: f"far_executors:{name}" for name in names})
    Path("site/far_executors.py").write_text(EXECUTOR, "utf-8")
    Path("far_steps.py").write_text(STEPS, "utf-8")


@pytest.fixture
def tasktrail(spawn: Call) -> Call:
    return lambda *arguments: spawn(*arguments, **environment())


def flow(executor: str, function: str = "double", **options: object) -> str:
    """Write a workflow file with one step, and return its name."""
    given = {"with": {"number": 21}} if function == "double" else {}
    step = {"id": "a", "call": f"far_steps:{function}", "executor": executor, **given, **options}
    Path("flow.yaml").write_text(json.dumps({"name": "f", "steps": [step]}, indent=1), "utf-8")
    return "flow.yaml"


def executed(tasktrail: Call, file: str) -> Answer:
    return tasktrail("run", "dag", file, "--run-id", "r1", "--no-wait")


def ends(tasktrail: Call) -> list[tuple[str, str | None]]:
    """By which verb each attempt ended, and with what error."""
    events: list[dict[str, Any]] = tasktrail("history", "r1:a", "--json").data
    return [(one["verb"], one["changes"].get("error", [None])[-1]) for one in events if one["verb"] in ENDS]


def told() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("told").read_text("utf-8").splitlines()]


def test_an_installed_executor_executes_a_function_and_is_told_plain_data(tasktrail: Call) -> None:
    done = executed(tasktrail, flow("far", timeout="60s"))

    assert done.code == 0, done.err
    assert "doubling 21" in tasktrail("logs", "r1:a").out
    (document,) = told()
    context = document.pop("context")
    assert document == {
        "target": "far_steps:double", "first": [], "named": {"number": 21}, "wants_context": True,
        "folder": str(Path.cwd()),
    }  # fmt: skip
    assert (context["run_id"], context["reference"], context["attempt"]) == ("r1", "r1:a", 1)
    assert (len(context["token"]), context["timeout_s"]) == (32, 60.0)
    assert context["traceparent"] == f"00-{context['trace_id']}-{context['span_id']}-01"
    assert ".tasktrail" not in json.dumps([document, context]), "nothing leads to the store"


def test_an_object_that_is_called_may_be_an_executor(tasktrail: Call) -> None:
    assert executed(tasktrail, flow("cluster")).code == 0
    assert '"of a cluster"' in tasktrail("history", "r1:a").out


def test_what_an_executor_raises_is_classified_as_that_of_any_step(tasktrail: Call) -> None:
    """An error by the retry policy, a loss without one."""
    done = executed(tasktrail, flow("unreliable", retries={"max": 1, "delay": "1ms", "on": ["ConnectionError"]}))

    assert done.code == 0, done.err
    assert ends(tasktrail) == [("retry", "password=[secret]"), ("lapse", "the node went away"), ("complete", None)]


def test_an_error_that_the_policy_does_not_name_is_final(tasktrail: Call) -> None:
    assert executed(tasktrail, flow("unreliable", retries={"max": 3, "delay": "1ms", "on": ["KeyError"]})).code == 5
    assert ends(tasktrail) == [("fail", "password=[secret]")]


@pytest.mark.parametrize(
    ("name", "words"), [("exiting", "SystemExit: 3"), ("odd", "the result of step 'a' is not JSON")]
)
def test_an_executor_that_does_what_it_should_not_fails_its_step_alone(tasktrail: Call, name: str, words: str) -> None:
    done = executed(tasktrail, flow(name))

    assert (done.code, words in done.err) == (5, True), done.err
    assert tasktrail("doctor", "--verify").code == 0


# ----------------------------------------------------------------------------------------- refused before anything runs


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("farr", "there is no executor farr (built in: thread, async, process; installed: blocking, "),
        ("farr", "); did you mean far?"),
        ("missing", "executor missing (far_executors:missing) cannot be imported: AttributeError: "),
        ("broken", "executor broken (no_such_package:execute) cannot be imported: ModuleNotFoundError: "),
        ("number", "expected executor number (far_executors:number) to be async def execute(call), got: int"),
        ("blocking", "expected executor blocking (far_executors:blocking) to be async def execute(call), got: "),
        ("twice", "executor twice is installed more than once: far_executors:execute and other:execute"),
    ],
)
def test_an_executor_that_cannot_be_is_told_with_its_place(tasktrail: Call, name: str, words: str) -> None:
    install("other", broken="no_such_package:execute", twice="other:execute")
    install("more", twice="far_executors:execute")

    refused = executed(tasktrail, flow(name))

    assert refused.code == 2
    assert "flow.yaml:7:16: " in refused.err
    assert words in refused.err
    assert not Path(".tasktrail").exists()


def test_a_command_has_no_executor(tasktrail: Call) -> None:
    Path("flow.yaml").write_text("name: f\nsteps:\n  - id: a\n    run: [ls]\n    executor: far\n", "utf-8")

    refused = executed(tasktrail, "flow.yaml")

    assert (refused.code, "flow.yaml:5:15: expected executor only where a function is called" in refused.err) == (
        2,
        True,
    )


def test_an_executor_is_told_what_the_step_asks_for(tasktrail: Call) -> None:
    assert executed(tasktrail, flow("cluster", resources={"slots": 0.5})).code == 0
    assert '"slots": 0.5' in tasktrail("run", "dag", "--status", "r1", "--json").out


@pytest.mark.parametrize(
    ("executor", "resources", "words"),
    [
        ("cluster", {"slot": 1}, "flow.yaml:9:13: executor cluster takes no slot (slots); did you mean slots?"),
        ("far", {"slots": 1}, "flow.yaml:9:14: executor far takes no slots (nothing)"),
        ("process", {"slots": 1}, "flow.yaml:9:14: executor process takes no slots (nothing)"),
        ("cluster", {"slots": -1}, "flow.yaml:9:14: expected resources.slots to be a number from 0, got: -1"),
        (None, {"slots": 1}, "flow.yaml:8:17: expected resources only with an executor that takes them"),
    ],
)
def test_what_an_executor_does_not_take_is_refused_with_its_place(
    tasktrail: Call, executor: Any, resources: dict[str, float], words: str
) -> None:
    refused = executed(tasktrail, flow(executor, "slow", resources=resources))

    assert refused.code == 2
    assert words in refused.err, refused.err
    assert not Path(".tasktrail").exists()


def test_ray_is_imported_when_a_workflow_names_it_and_missed_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import sys, tasktrail.executors, tasktrail.engine.workflow_code, tasktrail.ray; print('ray' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"to fix: pip install 'tasktrail\[ray\]'"):
        from tasktrail.ray import execute  # noqa: F401


def test_nothing_that_is_installed_is_looked_at_until_a_workflow_names_it(tasktrail: Call) -> None:
    """A package that is broken does no harm to those who do not use it, and costs them no time."""
    Path("site/far_executors.py").write_text("raise RuntimeError('imported')", "utf-8")
    assert executed(tasktrail, flow("process")).code == 0

    script = "import sys, tasktrail, tasktrail.engine.executors; print('importlib.metadata' in sys.modules)"
    found = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {script}"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert found.stdout == "False\n"


# -------------------------------------------------------------------------------------------------------- told to end


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def pids() -> list[int]:
    """Of the far sides, as far as they have said theirs."""
    path = Path("pids")
    return [int(line) for line in path.read_text("utf-8").split()] if path.exists() else []


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def running(file: str) -> Iterator[subprocess.Popen[bytes]]:
    """Execute a run in the background, until its far side works."""
    command = [sys.executable, "-m", "tasktrail", "run", "dag", file, "--run-id", "r1"]
    told_before = len(pids())
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | environment()
    ) as process:
        try:
            until(lambda: len(pids()) > told_before)
            yield process
        finally:
            process.kill()


def test_a_time_out_reaches_an_executor_and_its_outcome_is_recorded(tasktrail: Call) -> None:
    assert executed(tasktrail, flow("far", "slow", timeout="2s")).code == 5

    assert ends(tasktrail) == [("fail", "step 'a' did not end within 2 s")]
    assert Path("cancelled").exists()
    assert not any(map(is_running, pids()))


def test_a_cancel_from_elsewhere_reaches_an_executor(tasktrail: Call) -> None:
    with running(flow("far", "slow")) as process:
        assert tasktrail("cancel", "r1").code == 0
        process.wait(SOON_S)

    assert [verb for verb, _ in ends(tasktrail)] == ["cancel"]
    assert Path("cancelled").exists()
    assert not any(map(is_running, pids()))


# -------------------------------------------------------------------------------------------------------- owns no state


@pytest.mark.platform_only("SIGKILL")
def test_a_run_goes_on_from_the_store_alone_after_its_process_was_killed(tasktrail: Call) -> None:
    """The far side of the first attempt lives on, and has nobody to answer."""
    with running(flow("far", "slow")) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (orphan,) = pids()
    assert is_running(orphan)
    Path("calm").touch()

    done = tasktrail("resume", "r1", "--no-wait")

    assert done.code == 0, done.err
    assert [verb for verb, _ in ends(tasktrail)] == ["lapse", "complete"]
    first, second = (document["context"] for document in told())
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["token"] == second["token"]
    assert tasktrail("doctor", "--verify").code == 0
    until(lambda: not is_running(orphan))
    assert [verb for verb, _ in ends(tasktrail)] == ["lapse", "complete"]


@pytest.mark.platform_only("SIGKILL")
def test_a_step_that_must_not_run_twice_waits_for_a_person_after_a_kill(tasktrail: Call) -> None:
    with running(flow("far", "slow", effect="at_most_once")) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    Path("calm").touch()

    assert tasktrail("resume", "r1", "--no-wait").code == 0
    assert len(told()) == 1
    assert '"status": "blocked"' in tasktrail("run", "dag", "--status", "r1", "--json").out
