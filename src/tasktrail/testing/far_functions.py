"""Functions that the contract of executors has executed: wherever Tasktrail is installed, they can be imported."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


class Odd(ValueError):
    """A failure."""


def add(one: int, /, *, other: int) -> int:
    """Return a sum."""
    return one + other


async def told(ctx: Any) -> list[object]:
    """Return what there is to know of the attempt."""
    return [ctx.run_id, ctx.step_id, ctx.attempt, ctx.token, ctx.trace_id, ctx.traceparent, ctx.timeout_s]


def fail_once(ctx: Any) -> str:
    """Fail at first."""
    if ctx.attempt == 1:
        raise Odd("not yet")
    return "now"


def give_a_set() -> set[int]:
    """Return what is no JSON."""
    return {1}


def hang() -> None:
    """Take longer than anybody waits."""
    time.sleep(60)


def killed_once(ctx: Any) -> str:
    """End as when memory runs out, at first."""
    if ctx.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"
