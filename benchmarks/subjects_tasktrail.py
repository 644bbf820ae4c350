"""Tasktrail itself, as a user would call it: runners of `tasktrail.dag`, and the command line.

Tasktrail is imported inside the functions, so that this file can be read where it is not installed, and after the
store is chosen.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from measuring import Reading, peak_of_children_mb, peak_rss_mb, timed
from shapes import AT_ONCE, STEPS_PER_RUN

COLD_STARTS = 10
WRITES = 20
RUN_ID = "chain-1"

MAX_RETRIES = 3
SETTINGS = "wal, synchronous=full"
_calls = itertools.count()


async def no_op_inline() -> None:
    next(_calls)


def no_op_in_thread() -> None:
    next(_calls)


def import_time(n: int, folder: Path) -> Reading:
    """The package's share of the start of a program: with the import, minus the bare interpreter."""
    code = "import tasktrail, sys; assert 'asyncio' not in sys.modules, 'import tasktrail loads asyncio'"
    pairs = [(seconds_of("-c", code), seconds_of("-c", "pass")) for _ in range(COLD_STARTS)]
    seconds = min(with_it for with_it, _ in pairs) - min(bare for _, bare in pairs)
    return Reading(n, max(seconds, 1e-6), peak_of_children_mb(), "")


def list_runs(n: int, folder: Path) -> Reading:
    """The whole command in a new process, on a store of n runs."""
    use_store(folder)
    seconds = seconds_of("-m", "tasktrail", "list-runs")
    return Reading(n, seconds, peak_of_children_mb(), f"{n} runs in the store")


def first_new_step(n: int, folder: Path) -> None:
    """In a process of its own: go on with a run of n finished steps and say when the new one began."""
    use_store(folder)
    from tasktrail.dag import StatefulDAGRunner

    began: list[float] = []

    async def new_step() -> None:
        began.append(time.time())

    runner = StatefulDAGRunner("chain", dag_run_id=RUN_ID)
    _register_chain(runner, n, no_op_inline)
    runner.register_step("new", new_step)
    asyncio.run(runner.execute())
    must_have_run(0)
    print(json.dumps({"began": began[0], "peak_rss_mb": peak_rss_mb()}))


def chain(step: Callable[[], Any], n: int, folder: Path) -> Reading:
    use_store(folder)
    return Reading(n, executed_chain(step, n), peak_rss_mb(), SETTINGS)


def executed_chain(step: Callable[[], Any], n: int) -> float:
    """Execute a chain in the store that was chosen; return the seconds."""
    from tasktrail.dag import StatefulDAGRunner

    runner = StatefulDAGRunner("chain", dag_run_id=RUN_ID)
    _register_chain(runner, n, step)
    seconds = asyncio.run(_execute(runner))
    must_have_run(n)
    return seconds


def fan(step: Callable[[], Any], n: int, folder: Path) -> Reading:
    use_store(folder)
    from tasktrail.dag import ParallelStatefulDAGRunner

    runner = ParallelStatefulDAGRunner("fan", max_concurrent_steps=AT_ONCE)
    leaves = [f"leaf{index}" for index in range(n)]
    runner.register_step("root", step)
    for leaf in leaves:
        runner.register_step(leaf, step, dependencies=["root"])
    runner.register_step("join", step, dependencies=leaves)
    seconds = asyncio.run(_execute(runner))
    must_have_run(n + 2)
    return Reading(n + 2, seconds, peak_rss_mb(), SETTINGS)


def runs(steps: int, n: int, folder: Path) -> Reading:
    use_store(folder)
    seconds = asyncio.run(_execute_runs(n, steps))
    must_have_run(n * steps)
    return Reading(n, seconds, peak_rss_mb(), SETTINGS)


async def _execute_runs(n: int, steps: int) -> float:
    from tasktrail.dag import StatefulDAGRunner

    with timed() as watch:
        for _ in range(n):
            runner = StatefulDAGRunner("short")
            _register_chain(runner, steps, no_op_inline)
            await runner.execute()
    return watch.seconds


async def _execute(runner: Any) -> float:
    """Creating the run and its tasks in the store is part of the time."""
    with timed() as watch:
        await runner.execute()
    return watch.seconds


def run_file(n: int, folder: Path) -> Reading:
    """One step of a run of n changes: the median of the writes of store, file and index, each of them durable."""
    from tasktrail.dag import DAGRun, DAGRunStore

    store, run = DAGRunStore(folder / "runs"), DAGRun("file", RUN_ID)
    for index in range(n):
        run.add_step(f"s{index}")
    store.create(run)
    seconds = []
    for index in range(min(n, WRITES)):
        run.steps[f"s{index}"].start()
        with timed() as watch:
            store.update(run)
        seconds.append(watch.seconds)
    return Reading(n, statistics.median(seconds), peak_rss_mb(), "wal, synchronous=full, files fsynced")


def resume(n: int, folder: Path) -> Reading:
    """From the start of the process to the first new step, by the wall clock that both processes share."""
    started = time.time()
    answer = json.loads(_python(__file__, str(n), str(folder)))
    return Reading(n, answer["began"] - started, answer["peak_rss_mb"], f"{n} steps finished before")


def _register_chain(runner: Any, n: int, step: Callable[[], Any]) -> None:
    for index in range(n):
        runner.register_step(f"s{index}", step, max_retries=MAX_RETRIES)


def must_have_run(n: int) -> None:
    ran = next(_calls)
    if ran != n:
        raise AssertionError(f"expected {n} steps to run, ran {ran}")


def use_store(folder: Path) -> None:
    """Must come before the first import of tasktrail. Variables win over any settings file that lies around."""
    os.environ["TASKTRAIL_STORE"] = f"sqlite:///{folder.absolute() / 'tasktrail.db'}"
    os.environ["TASKTRAIL_SYNCHRONOUS"] = "full"


def seconds_of(*arguments: str) -> float:
    """Wall time of one Python process, from its start to its end."""
    started = time.perf_counter()
    _python(*arguments)
    return time.perf_counter() - started


def _python(*arguments: str) -> str:
    """Run Python in a new process that must succeed; return what it printed."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        last_words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(last_words[-1])
    return done.stdout


SUBJECTS = {
    "tasktrail-chain-inline": partial(chain, no_op_inline),
    "tasktrail-chain-threads": partial(chain, no_op_in_thread),
    "tasktrail-fan-inline": partial(fan, no_op_inline),
    "tasktrail-fan-threads": partial(fan, no_op_in_thread),
    "tasktrail-import": import_time,
    "tasktrail-list-runs": list_runs,
    "tasktrail-long": partial(chain, no_op_inline),
    "tasktrail-many-runs": partial(runs, 1),
    "tasktrail-resume": resume,
    "tasktrail-resume-long": resume,
    "tasktrail-run-file": run_file,
    "tasktrail-run-file-large": run_file,
    "tasktrail-runs": partial(runs, STEPS_PER_RUN),
}

if __name__ == "__main__":
    first_new_step(int(sys.argv[1]), Path(sys.argv[2]))
