"""Workflows in Python, as a user would write them: the shapes of `subjects_tasktrail.py` by `@step` and `@workflow`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import Reading, peak_rss_mb, timed
from shapes import AT_ONCE, STEPS_PER_RUN
from subjects_tasktrail import MAX_RETRIES, SETTINGS, must_have_run, no_op_inline, use_store


def chain(n: int, folder: Path) -> Reading:
    return _reading(n, n, _chain(n), 1, folder)


def fan(n: int, folder: Path) -> Reading:
    def draw(no_op: Any) -> None:
        root = no_op.options(id="root")()
        leaves = [no_op.options(id=f"leaf{index}", after=[root])() for index in range(n)]
        no_op.options(id="join", after=leaves)()

    return _reading(n + 2, n + 2, draw, 1, folder)


def runs(n: int, folder: Path) -> Reading:
    """The workflow is drawn once and executed n times."""
    return _reading(n, n * STEPS_PER_RUN, _chain(STEPS_PER_RUN), n, folder)


def _chain(n: int) -> Callable[[Any], None]:
    def draw(no_op: Any) -> None:
        before: list[Any] = []
        for index in range(n):
            before = [no_op.options(id=f"s{index}", retries=MAX_RETRIES, after=before)()]

    return draw


def _reading(n: int, steps: int, draw: Callable[[Any], None], times: int, folder: Path) -> Reading:
    """Drawing is not timed, as building a runner is not: what it took stands in the settings."""
    use_store(folder)
    from tasktrail import step, workflow
    from tasktrail.engine.project import open_project

    no_op = step(no_op_inline)
    flow = workflow(name="shape", max_parallel=AT_ONCE)(lambda: draw(no_op))
    with timed() as drawing:
        assert flow.workflow.steps
    open_project()
    seconds = asyncio.run(_execute(flow, times))
    must_have_run(steps)
    return Reading(n, seconds, peak_rss_mb(), f"{SETTINGS}; drawn in {drawing.seconds * 1000:.0f} ms")


async def _execute(flow: Any, times: int) -> float:
    with timed() as watch:
        for _ in range(times):
            await flow.execute()
    return watch.seconds


SUBJECTS = {"decorators-chain": chain, "decorators-fan": fan, "decorators-runs": runs}
