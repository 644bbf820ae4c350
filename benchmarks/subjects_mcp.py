"""The MCP server as a client of the SDK sees it over stdio: slow calls, the start, four clients at once.

Its limit on calls in a second is switched off. In a process of its own this file is one of several clients.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
from crowd import Crowd, await_start, together
from measuring import Reading
from shapes import MCP_CLIENTS, plan_tasks
from subjects_executions import TASKS
from subjects_tasktrail import SETTINGS, use_store
from talking import (
    ERAS,
    TASKTRAIL,
    Question,
    answers,
    call,
    calls_of,
    client,
    in_words,
    p95,
    peak_of_server_mb,
    seconds_of,
    starts_of,
)

PLAN_TASKS: Final = 1_000
_NOTED: Final = "noted"
_ROUND: Final = 5
"""Calls of a round of one of several clients."""


def questions(kind: str, n: int) -> dict[str, Question]:
    """Return what is asked of n executions."""
    chance = random.Random(7)
    return {
        "list": {
            "plain": ("tasks_list", dict),
            "of a task": ("tasks_list", lambda: {"task_id": f"task-{chance.randrange(TASKS)}"}),
            "failed": ("tasks_list", lambda: {"status": "failed"}),
        },
        "trace": {"of a trace": ("tasks_by_trace", lambda: {"trace_id": f"trace-{chance.randrange(n)}"})},
        "lastfailed": {
            "plain": ("tasks_last_failed", dict),
            "unique": ("tasks_last_failed", lambda: {"unique_errors": True}),
        },
        "errors": {"plain": ("errors_top", dict)},
    }[kind]


def asked(kind: str, n: int, folder: Path) -> Reading:
    """The 95th percentile of the slowest of some questions, in the slower era."""
    _use(folder)
    found, peak_mb = anyio.run(answers, TASKTRAIL, folder, questions(kind, n), calls_of(n))
    return Reading(
        1, max(found.values()), peak_mb, f"p95 of {calls_of(n)} in the slower era: {in_words(found)}; {n:,} there"
    )


def claims(n: int, folder: Path) -> Reading:
    """The 95th percentile of claiming and of finishing the next task of a plan; the larger."""
    _use(folder)
    from tasktrail.plan import PlanTools

    tasks = min(n, PLAN_TASKS)
    tools = PlanTools(os.environ["TASKTRAIL_STORE"], "main")
    assert tools.write_task_list(plan_tasks(tasks))["status"] == "success"
    found, peak_mb = anyio.run(_claimed, calls_of(n), folder)
    settings = f"{SETTINGS}; p95 in the slower era: {in_words(found)}; {tasks:,} tasks, {n:,} executions"
    return Reading(1, max(found.values()), peak_mb, settings)


async def _claimed(most: int, folder: Path) -> tuple[dict[str, float], float]:
    found, peak_mb = {"claim": 0.0, "finish": 0.0}, 0.0
    for era in ERAS:
        async with client(TASKTRAIL, era, folder) as served:
            taken: dict[str, Any] = {}
            claiming, finishing = [], []
            for _ in range(most):
                claiming.append(await seconds_of(_claim(served, taken)))
                finishing.append(await seconds_of(_finish(served, taken)))
            found = {"claim": max(found["claim"], p95(claiming)), "finish": max(found["finish"], p95(finishing))}
            peak_mb = max(peak_mb, peak_of_server_mb())
    return found, peak_mb


async def _claim(served: Any, taken: dict[str, Any]) -> None:
    taken.update(await call(served, "get_next_task", claim=True))


async def _finish(served: Any, taken: Mapping[str, Any], result: str = "done") -> None:
    await call(served, "finish_task", task_id=taken["task"]["id"], token=taken["token"], result=result)


def start(n: int, folder: Path) -> Reading:
    """From the start of the process to the first answer, in the slower era; and what its memory is then."""
    _use(folder)
    seconds, peak_mb = anyio.run(started, TASKTRAIL, folder, starts_of(n))
    return Reading(1, seconds, peak_mb, f"best of {starts_of(n)} in the slower era; {n:,} there")


async def started(command: tuple[str, ...], folder: Path, starts: int) -> tuple[float, float]:
    """Return the seconds to the first answer of a server, and its memory."""
    peaks, slower = [], 0.0
    for era in ERAS:
        seconds = []
        for _ in range(starts):
            begun = time.perf_counter()
            async with client(command, era, folder) as served:
                await call(served, "tasks_last_failed")
                seconds.append(time.perf_counter() - begun)
                peaks.append(peak_of_server_mb())
        slower = max(slower, min(seconds))
    return slower, max(peaks)


def together_in_one_file(n: int, folder: Path) -> Reading:
    """Several clients with a server each: every task finished once, every note there."""
    _use(folder)
    from tasktrail.plan import PlanTools

    tools = PlanTools(os.environ["TASKTRAIL_STORE"], "main")
    tasks = [{"id": f"T{index}", "description": "Do it", "priority": 1} for index in range(MCP_CLIENTS * (n // _ROUND))]
    written = tools.write_task_list([*tasks, {"id": _NOTED, "description": "Has the notes", "priority": 9}])
    assert written["status"] == "success", written
    with Crowd([__file__, str(number), str(n), str(folder)] for number in range(MCP_CLIENTS)) as crowd:
        together(crowd)
        found = [json.loads(member.stdout.read()) for member in crowd.members if member.stdout is not None]
    seconds = max(one["ended"] for one in found) - min(one["began"] for one in found)
    _nothing_lost(tools.read_task_breakdown()["tasks"], [one["finished"] for one in found], n // _ROUND)
    peak_mb = max(one["peak_mb"] for one in found)
    return Reading(MCP_CLIENTS * n, seconds, peak_mb, f"{SETTINGS}; {n} calls each, no error")


def _nothing_lost(tasks: list[dict[str, Any]], finished: list[list[str]], rounds: int) -> None:
    by_id = {one["id"]: one for one in tasks}
    notes = {one["note"] for one in by_id.pop(_NOTED)["notes"]}
    for number, keys in enumerate(finished):
        assert [by_id[key]["result"] for key in keys] == [f"by {number}"] * rounds, "a result was lost"
        assert {_note(index, number) for index in range(rounds)} <= notes, "a note was lost"
    assert sorted(key for keys in finished for key in keys) == sorted(by_id), "a task was done twice, or not at all"


def _note(index: int, number: int) -> str:
    return f"note {index} of {number}"


async def one_of_several(number: int, n: int, folder: Path) -> None:
    """Claim, note, finish and look, until n calls are made; say what was finished."""
    finished: list[str] = []
    taken: dict[str, Any] = {}
    async with client((*TASKTRAIL, "--toolsets", "all"), ERAS[number % 2], folder) as served:
        await call(served, "tasks_last_failed")
        await_start()
        began = time.monotonic()  # which all processes share
        for index in range(n // _ROUND):
            await _claim(served, taken)
            await call(served, "add_note", task_id=_NOTED, note=_note(index, number))
            await _finish(served, taken, f"by {number}")
            await call(served, "get_tasks", status="completed")
            await call(served, "tasks_list")
            finished.append(taken["task"]["id"])
        times = {"began": began, "ended": time.monotonic()}
        print(json.dumps({**times, "finished": finished, "peak_mb": peak_of_server_mb()}))


def _use(folder: Path) -> None:
    use_store(folder)
    os.environ["TASKTRAIL_MCP_CALLS_PER_S"] = "0"


SUBJECTS = {
    "mcp-list": partial(asked, "list"),
    "mcp-trace": partial(asked, "trace"),
    "mcp-lastfailed": partial(asked, "lastfailed"),
    "mcp-errors": partial(asked, "errors"),
    "mcp-claims": claims,
    "mcp-start": start,
    "mcp-clients": together_in_one_file,
}

if __name__ == "__main__":
    anyio.run(one_of_several, int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
