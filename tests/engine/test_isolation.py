"""Functions in a process of their own: called as in a thread, failing as in a thread, and worse."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine import isolation
from tasktrail.engine.executors import placed
from tasktrail.engine.isolation import target_of
from tasktrail.engine.lookup import Found
from tasktrail.engine.plan import Plan
from tasktrail.engine.reading import OutputReader
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import Step, step
from tasktrail.model.draft import TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need
from tasktrail.model.retry import RetryPolicy
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tests.engine.executing import Engine

LONGEST_S = 20

MODULE = """
import ctypes, os, signal, sys, time

class Odd(ValueError):
    retry_after = 0.01

def fetch():
    return {"items": [1, 2]}

def parse(fetch, factor=2):
    print("parsing", len(fetch["items"]))
    return [one * factor for one in fetch["items"]]

async def later(fetch, /, ctx):
    return [fetch, ctx.run_id, ctx.step_id, ctx.attempt, len(ctx.token), ctx.results, os.getpid()]

def fail(): raise Odd("password=hunter2secret")
def fail_once(ctx):
    if ctx.attempt == 1:
        raise ConnectionResetError("gone")
    return "again"
def leave(): sys.exit(3)
def vanish(): os._exit(3)
def vanish_well(): os._exit(0)
def crash(): ctypes.string_at(0)
def killed(ctx):
    if ctx.attempt == 1:
        os.kill(os.getpid(), 9)
    return "alive"
def odd(): return {1, 2}
def hang():
    with open("pid", "w") as file: file.write(str(os.getpid()))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
class Box:
    @staticmethod
    def inner(): return "inner"
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module beside the workflow file, which only the child can import."""
    path = tmp_path / "beside"
    path.mkdir()
    (path / "steps_of_test.py").write_text(MODULE, encoding="utf-8")
    return path


def isolated(folder: Path, key: str, name: str, like: Callable[..., Any] = lambda: None, *keys: str) -> Step:
    """A step whose function has the parameters of another one: the module is none that this process imports."""
    return placed(step(key, like, keys), partial(isolation.execute, grace_s=0.2), f"steps_of_test:{name}", folder)


async def execute(engine: Engine, run_id: int, *steps: Step) -> Run:
    runner = Runner(engine.ledger, run_id, Plan({one.key: one for one in steps}))
    return await asyncio.wait_for(runner.execute(), LONGEST_S)


async def executed(engine: Engine, one: Step, **options: Any) -> Task:
    run_id = engine.new(TaskDraft(one.key, **{"max_retries": 0, **options}))
    await execute(engine, run_id, one)
    return engine.task(run_id, one.key)


async def test_functions_get_results_and_a_context_and_give_theirs(engine: Engine, module: Path):
    needs = (Need("fetch"),)
    run_id = engine.new(TaskDraft("fetch"), TaskDraft("parse", needs=needs), TaskDraft("later", needs=needs))
    run = await execute(
        engine, run_id,
        isolated(module, "fetch", "fetch"),
        isolated(module, "parse", "parse", lambda fetch: None, "fetch"),
        isolated(module, "later", "later", lambda fetch, /, ctx: None, "fetch"),
    )  # fmt: skip

    assert run.status == "completed"
    assert engine.task(run_id, "parse").output == "[2,4]"
    later = engine.task(run_id, "later").output
    assert later is not None
    assert later.startswith('[{"items":[1,2]},"run-0","later",1,32,{"fetch":{"items":[1,2]}},')
    assert not later.endswith(f",{os.getpid()}]")
    lines = OutputReader(engine.ledger, Found(engine.run(run_id), engine.task(run_id, "parse")), 1).lines()
    assert [line.text for line in lines] == ["parsing 2"]


async def test_a_failure_looks_like_that_of_a_thread(engine: Engine, module: Path):
    task = await executed(engine, isolated(module, "a", "fail"))
    (attempt,) = engine.attempts(task.run_id, "a")

    assert (task.error_type, task.error) == ("Odd", "password=[secret]")
    assert attempt.stack is not None
    assert "def fail(): raise Odd" in attempt.stack
    assert "tasktrail/engine" not in attempt.stack


async def test_a_policy_knows_the_class_of_the_error_and_its_bases(engine: Engine, module: Path):
    retry = RetryPolicy(max_retries=3, on=("ConnectionError",)).to_json()
    again = await executed(engine, isolated(module, "a", "fail_once", lambda ctx: None), max_retries=3, retry=retry)
    never = await executed(engine, isolated(module, "a", "fail"), max_retries=3, retry=retry)

    assert (again.status, again.output, again.attempts) == ("completed", '"again"', 2)
    assert (never.status, never.attempts) == ("failed", 1)


@pytest.mark.parametrize(
    ("name", "error_type", "words"),
    [
        ("leave", "SystemExit", "3"),
        ("vanish", "CommandFailed", "the process of steps_of_test:vanish ended with exit code 3"),
        ("vanish_well", "ProcessEnded", "ended before its function returned"),
        ("crash", "CommandFailed", "was killed by SIGSEGV"),
        ("missing", "AttributeError", "has no attribute 'missing'"),
    ],
)
async def test_an_end_without_an_answer_is_a_failure_that_says_how(
    engine: Engine, module: Path, name: str, error_type: str, words: str
):
    task = await executed(engine, isolated(module, "a", name))

    assert (task.status, task.error_type) == ("failed", error_type)
    assert words in str(task.error)


async def test_a_crash_says_where(engine: Engine, module: Path):
    task = await executed(engine, isolated(module, "a", "crash"))

    assert "steps_of_test.py" in str(task.error)
    assert "in crash" in str(task.error)


async def test_a_result_that_is_no_json_fails_at_once_as_in_a_thread(engine: Engine, module: Path):
    task = await executed(engine, isolated(module, "a", "odd"), max_retries=3)

    assert (task.status, task.error_type, task.attempts) == ("failed", "set", 1)
    assert str(task.error).startswith("the result of step 'a' is not JSON: ")


async def test_a_process_that_the_kernel_kills_is_a_loss(engine: Engine, module: Path):
    task = await executed(engine, isolated(module, "a", "killed", lambda ctx: None))

    assert (task.status, task.losses, task.tries) == ("completed", 1, 0)


async def test_a_function_whose_time_is_up_is_really_ended(engine: Engine, module: Path):
    task = await executed(engine, isolated(module, "a", "hang"), timeout_ms=1_000)

    assert (task.status, task.error_type) == ("failed", "TimeoutError")
    assert str(task.error) == "step 'a' did not end within 1 s", "no thread was abandoned"
    with pytest.raises(ProcessLookupError):  # it was our child, and we have buried it
        os.kill(int(Path("pid").read_text()), 0)  # noqa: ASYNC240 - it is there


async def test_a_method_of_a_class_is_found_by_its_name(engine: Engine, module: Path):
    assert (await executed(engine, isolated(module, "a", "Box.inner"))).output == '"inner"'


def local() -> object:
    return lambda: None


def test_what_another_process_cannot_find_is_refused():
    assert target_of(local) == f"{__name__}:local"
    for one in (local(), lambda: None, 7):
        with pytest.raises(BadInput, match="cannot be found by another process"):
            target_of(one)
