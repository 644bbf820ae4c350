"""What every executor must do, as tests: subclass `ExecutorContract`, give it an `executor` fixture, and run pytest."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from tasktrail.engine.executors import Executor, ending, placed
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import Step, step
from tasktrail.model.attempt import Attempt
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.retry import RetryPolicy
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.model.workflow import NO_RETRIES
from tasktrail.store.opening import open_store
from tasktrail.testing import far_functions

_LONGEST_S: Final = 60.0


class ExecutorContract:
    """Tests that an executor passes wherever it executes functions; each executes a run.

    A subclass overrides the fixture `executor`, which gives the `async def execute(call)`. On its far side Tasktrail
    must be installed. One function ends its own process by SIGKILL, so an executor that executes in this one cannot
    pass.
    """

    @pytest.fixture
    def executor(self) -> Executor:
        """The executor that is tested."""
        raise NotImplementedError("override the fixture executor")

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        """Where the runs live: a store that no executor is told of."""
        store = open_store(str(tmp_path / "tasks.db"))
        yield Ledger(store, actor="contract")
        store.close()

    def test_a_value_comes_back(self, executor: Executor, ledger: Ledger) -> None:
        """Of a function that gets one argument by place and one by name."""
        task, _ = _executed(executor, ledger, "add", given={"one": 20, "other": 22})

        assert (task.status, task.output, task.attempts) == ("completed", "42", 1)

    def test_a_function_is_told_of_its_attempt(self, executor: Executor, ledger: Ledger) -> None:
        """A coroutine function with a parameter `ctx`."""
        task, (attempt,) = _executed(executor, ledger, "told", timeout_ms=60_000)
        run = ledger.store.read(lambda tx: tx.run(task.run_id))

        assert task.output is not None
        run_id, step_id, number, token, *trace = json.loads(task.output)
        assert (run_id, step_id, number, len(token)) == ("contract", "a", 1, 32)
        assert trace == [run.trace_id, f"00-{run.trace_id}-{attempt.span_id}-01", 60.0]

    def test_a_failure_is_known_by_its_class_and_tried_again(self, executor: Executor, ledger: Ledger) -> None:
        """By the name of a base class."""
        retry = RetryPolicy(max_retries=1, delay_s=0.01, on=("ValueError",))
        task, attempts = _executed(executor, ledger, "fail_once", retry)

        assert (task.status, task.output, task.tries) == ("completed", '"now"', 1)
        assert (attempts[0].outcome, attempts[0].error_type, attempts[0].error) == ("error", "Odd", "not yet")

    def test_a_function_that_is_not_there_is_a_failure(self, executor: Executor, ledger: Ledger) -> None:
        """It is found out on the far side, and told."""
        task, _ = _executed(executor, ledger, "missing")

        assert (task.status, task.error_type) == ("failed", "AttributeError")

    def test_a_result_that_is_no_json_is_not_tried_again(self, executor: Executor, ledger: Ledger) -> None:
        """No further try would mend it."""
        task, attempts = _executed(executor, ledger, "give_a_set", RetryPolicy(max_retries=3))

        assert (task.status, task.error_type, len(attempts)) == ("failed", "set", 1)

    def test_a_time_out_ends_it(self, executor: Executor, ledger: Ledger) -> None:
        """The executor is cancelled, and ends by itself."""
        began_s = time.monotonic()
        task, (attempt,) = _executed(executor, ledger, "hang", timeout_ms=1_500)

        assert (task.status, attempt.outcome) == ("failed", "timeout")
        assert time.monotonic() - began_s < 10

    def test_a_far_side_that_is_killed_is_a_loss(self, executor: Executor, ledger: Ledger) -> None:
        """It costs no retry: the executor raises `StepLost`."""
        task, attempts = _executed(executor, ledger, "killed_once")

        assert (task.status, task.losses, task.tries) == ("completed", 1, 0)
        assert [attempt.outcome for attempt in attempts] == ["lost", "ok"]

    def test_several_at_once_keep_to_themselves(self, executor: Executor, ledger: Ledger) -> None:
        """Each step gets its own value."""
        run = _run(executor, ledger, {f"s{n}": ("add", {"one": n, "other": n}) for n in range(4)})

        assert [_task(ledger, run, f"s{n}").output for n in range(4)] == ["0", "2", "4", "6"]


def _executed(
    executor: Executor,
    ledger: Ledger,
    name: str,
    retry: RetryPolicy = NO_RETRIES,
    given: Mapping[str, object] = MappingProxyType({}),
    **options: Any,
) -> tuple[Task, list[Attempt]]:
    """Execute a run of one step, and return how it stands and what was tried."""
    run = _run(executor, ledger, {"a": (name, given)}, max_retries=retry.max_retries, retry=retry.to_json(), **options)
    task = _task(ledger, run, "a")
    return task, ledger.store.read(lambda tx: tx.attempts("attempts_of_task", task_id=task.id))


def _run(
    executor: Executor, ledger: Ledger, calls: Mapping[str, tuple[str, Mapping[str, object]]], **options: Any
) -> Run:
    """Execute a run whose steps call these functions with these arguments, all at once."""
    run = ledger.create_run(RunDraft("dag", "contract", "contract", tuple(TaskDraft(key, **options) for key in calls)))
    steps = {key: _step(executor, key, name, given) for key, (name, given) in calls.items()}
    plan = Plan(steps, values=lambda _, task, names: {name: calls[task.key][1][name] for name in names})
    return asyncio.run(asyncio.wait_for(Runner(ledger, run.id, plan).execute(), _LONGEST_S))


def _step(executor: Executor, key: str, name: str, given: Collection[str]) -> Step:
    function = getattr(far_functions, name, lambda: None)
    return placed(step(key, function, given), ending(executor), f"{far_functions.__name__}:{name}")


def _task(ledger: Ledger, run: Run, key: str) -> Task:
    found = ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1))
    assert found is not None
    return found
