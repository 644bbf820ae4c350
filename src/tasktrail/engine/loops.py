"""An event loop for one execution: it ends with it, even if a step does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

_LAST_WORDS_S: Final = 1.0
_log: Final = logging.getLogger("tasktrail.runner")


def run_to_end(main: Coroutine[Any, Any, T]) -> T:
    """Do as `asyncio.run`, which waits for ever for a coroutine that does not end when it is cancelled.

    Such a coroutine is left alone, as a thread would be: its attempt is over, and it ends with the process.
    """
    runner = asyncio.Runner()
    try:
        return runner.run(main)
    finally:
        left = asyncio.all_tasks(runner.get_loop())
        if left:
            left = runner.run(_ended(left))
        if left:
            _log.warning("left without waiting for %s", "1 coroutine" if len(left) == 1 else f"{len(left)} coroutines")
            runner.get_loop().set_exception_handler(lambda _, __: None)  # that it is still pending was said
        else:
            runner.close()


async def _ended(tasks: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Cancel tasks; return those that do not end."""
    for task in tasks:
        task.cancel()
    _, left = await asyncio.wait(tasks, timeout=_LAST_WORDS_S)
    return left
