"""Another process that writes for long: the event loop goes on, and no answer is lost."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from tasktrail.model.draft import TaskDraft
from tests.crash.processes import environment
from tests.engine.executing import SOON_S, Engine, one

MUCH_S = 0.5
"""An event loop that stands still for so long is noticed by everybody who uses it."""

_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA busy_timeout = 10000")
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


class Holder:
    """Another process that holds the write lock. A broken runner must not hang the tests: it gives up at last."""

    def __init__(self, engine: Engine) -> None:
        self._path = str(engine.ledger.store.path)
        self._process: subprocess.Popen[str] | None = None
        self._timer = threading.Timer(4 * SOON_S, self.let_go)

    def hold(self) -> None:
        """Take the lock; when this returns it is held."""
        command = [sys.executable, "-c", _HOLDER, self._path]
        self._process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "held\n"
        self._timer.start()

    def let_go(self) -> None:
        """Give it back."""
        self._timer.cancel()
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def holder(engine: Engine) -> Iterator[Holder]:
    """Not holding yet."""
    holder = Holder(engine)
    yield holder
    holder.let_go()


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """Let something else go on in the loop; yields the seconds between its turns."""
    gaps = [0.0]

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    task = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        yield gaps
        await asyncio.sleep(0.02)
    finally:
        task.cancel()


async def test_the_loop_goes_on_while_an_answer_waits_for_another_process(engine: Engine, holder: Holder) -> None:
    run_id = engine.new(TaskDraft("a"), TaskDraft("b"))

    async def held() -> str:
        await asyncio.to_thread(holder.hold)
        asyncio.get_running_loop().call_later(1.2, holder.let_go)
        return "kept"

    async with ticking() as gaps:
        run = await engine.execute(run_id, {"a": held, "b": one})

    assert (run.status, engine.task(run_id, "a").output) == ("completed", '"kept"')
    assert max(gaps) < MUCH_S, f"the event loop stood still for {max(gaps):.1f} s"


async def test_the_loop_goes_on_while_an_execution_that_begins_waits_for_another_process(
    engine: Engine, holder: Holder
) -> None:
    run_id = engine.new(TaskDraft("a"))
    await asyncio.to_thread(holder.hold)
    threading.Timer(1.2, holder.let_go).start()

    async with ticking() as gaps:
        run = await engine.execute(run_id, {"a": one})

    assert run.status == "completed"
    assert max(gaps) < MUCH_S, f"the event loop stood still for {max(gaps):.1f} s"


async def test_an_interruption_while_another_process_writes_loses_no_answer(engine: Engine, holder: Holder) -> None:
    run_id, ended = engine.new(TaskDraft("a"), TaskDraft("b")), asyncio.Event()

    async def held() -> str:
        await asyncio.to_thread(holder.hold)
        ended.set()
        return "kept"

    execution = asyncio.create_task(engine.execute(run_id, {"a": held, "b": one}))
    await asyncio.wait_for(ended.wait(), SOON_S)
    for _ in range(20):
        await asyncio.sleep(0.01)
    execution.cancel()
    letting_go = threading.Timer(0.2, holder.let_go)
    letting_go.start()
    with contextlib.suppress(asyncio.CancelledError):
        await execution
    letting_go.join()

    assert engine.task(run_id, "a").output == '"kept"'
    assert (engine.run(run_id).worker_id, engine.task(run_id, "b").status in ("pending", "completed")) == (None, True)
    assert (await engine.execute(run_id, {"a": one, "b": one})).status == "completed"
