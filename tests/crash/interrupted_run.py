"""A run of four steps that somebody interrupts: `python interrupted_run.py KIND`, where KIND says what the second does.

`waits` waits on the event loop, `answers` answers on a thread once it is told to stop, `hangs` hangs on a thread
whatever it is told, `slow-retry` is in its back-off, `finishes` just finishes. The journal has lines as `begin b`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from tasktrail.dag import StatefulDAGRunner

JOURNAL = "journal.txt"
RUN_ID = "interrupted"


def write(*words: str) -> None:
    """Append a line to the journal."""
    fd = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (" ".join(words) + "\n").encode())
    os.close(fd)


async def finishes(name: str) -> str:
    """Finish at once."""
    write("begin", name)
    return name


async def waits(ctx: Any) -> None:
    """Wait on the loop."""
    write("begin b")
    try:
        await asyncio.Event().wait()
    finally:
        write("cleaned up b")


def answers(ctx: Any) -> str:
    """Answer on a thread, once it is told."""
    write("begin b")
    while not ctx.cancelled:
        time.sleep(0.001)
    write("told b")
    return "b"


def hangs(ctx: Any) -> None:
    """Never end."""
    write("begin b")
    while not ctx.cancelled:
        time.sleep(0.001)
    write("told b")
    time.sleep(3600)


def fails(ctx: Any) -> None:
    """Fail, to be tried again in an hour."""
    write("begin b")
    raise ConnectionError("not now")


KINDS: dict[str, Callable[..., Any]] = {
    "waits": waits,
    "answers": answers,
    "hangs": hangs,
    "slow-retry": fails,
    "finishes": lambda: finishes("b"),
}


def main(kind: str) -> int:
    """Execute the run; an interruption ends with the exit code of one."""
    runner = StatefulDAGRunner(dag_run_id=RUN_ID, retry_delay=3600)
    runner.register_step("a", lambda: finishes("a"))
    runner.register_step("b", KINDS[kind])
    runner.register_step("c", lambda: finishes("c"))
    try:
        run = asyncio.run(runner.execute())
    except KeyboardInterrupt:
        return 130
    return 0 if run.status.value == "success" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
