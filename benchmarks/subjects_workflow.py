"""What workflows have beside functions: commands, a step for each item of a list, and somebody who watches."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from measuring import Reading, cpu_s, peak_rss_mb, resident_mb, timed
from subjects_tasktrail import RUN_ID, SETTINGS
from subjects_yaml import CALL, chained, entry, execute, opened

ROUNDS: Final = 10
STEP_S: Final = 0.02
"""How long a step takes that is watched: eight at once are some hundreds of changes per second."""

FIRST_PICTURE_S: Final = 60
LINES, COLUMNS = 50, 120

_numbers_were_there: list[tuple[float, float]] = []


async def numbers(n: int) -> list[int]:
    """What `for_each` gets; the time at which it was there, and the memory that was resident then."""
    made = list(range(n))
    _numbers_were_there.append((time.perf_counter(), resident_mb()))
    return made


async def pause() -> None:
    await asyncio.sleep(STEP_S)


def command(n: int, folder: Path) -> Reading:
    """What a step that executes `true` costs above a start of `true` by `subprocess`, in turns."""
    each = max(1, n // ROUNDS)
    file, ledger = opened(folder, chained(each, "run: ['true']"))
    bare, steps = asyncio.run(_in_turns(file.load(), ledger, folder, each))
    above = max(statistics.median(steps) - statistics.median(bare), 1e-6)
    return Reading(n, above, peak_rss_mb(), f"{SETTINGS}; bare start {statistics.median(bare) * 1000:.1f} ms")


async def _in_turns(workflow: Any, ledger: Any, folder: Path, each: int) -> tuple[list[float], list[float]]:
    bare, steps = [], []
    for number in range(ROUNDS):
        with timed() as watch:
            for _ in range(each):
                subprocess.run(["true"], check=True)  # noqa: ASYNC221 - nothing else runs meanwhile
        bare.append(watch.seconds / each)
        steps.append(await execute(workflow, ledger, folder, f"{RUN_ID}-{number}") / each)
    return bare, steps


def expansion(n: int, folder: Path) -> Reading:
    """From the end of the step that gives the list to the commit that made a step of each item."""
    words = (f"call: {__name__}:{numbers.__name__}", f"with: {{n: {n}}}")
    entries = [entry("numbers", *words), entry("part", CALL, "depends_on: numbers", 'for_each: "{numbers}"')]
    file, ledger = opened(folder, entries)
    committed_at, peak = asyncio.run(_until_expanded(file, ledger, n))
    ended_at, before = _numbers_were_there[0]
    return Reading(n, committed_at - ended_at, peak - before, f"{SETTINGS}; memory: what it took")


async def _until_expanded(file: Any, ledger: Any, n: int) -> tuple[float, float]:
    """The run itself is not executed any further."""
    from tasktrail.config import find_store

    file.check(ledger, RUN_ID, {})
    execution = file.open(ledger, RUN_ID, store=find_store(file.path.parent), accepts=False)
    seen: list[tuple[float, float]] = []

    def watch(run: Any) -> None:
        if run.n_tasks == n + 2 and not seen:
            seen.append((time.perf_counter(), peak_rss_mb()))
            work.cancel()

    execution.watch = watch
    work = asyncio.ensure_future(execution.execute())
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return seen[0]


def watching(n: int, folder: Path) -> Reading:
    """The share of a core that `tasktrail watch` takes while a run moves, from its first picture on."""
    from tasktrail.config import find_store

    words = f"call: {__name__}:{pause.__name__}"
    file, ledger = opened(folder, (entry(f"s{index}", words) for index in range(n)))
    file.check(ledger, RUN_ID, {})
    execution = file.open(ledger, RUN_ID, store=find_store(folder), accepts=False)
    with _watching_process() as (process, has_drawn):
        if not has_drawn.wait(FIRST_PICTURE_S):
            raise RuntimeError(f"tasktrail watch drew nothing within {FIRST_PICTURE_S} s")
        before = cpu_s(process.pid)
        with timed() as watch:
            asyncio.run(execution.execute())
        spent = cpu_s(process.pid) - before
        if code := process.wait(FIRST_PICTURE_S):
            raise RuntimeError(f"tasktrail watch ended with {code}")
    settings = f"{spent:.2f} s of CPU time in {watch.seconds:.1f} s"
    return Reading(n, max(spent / watch.seconds, 1e-6), peak_rss_mb(), settings)


@contextlib.contextmanager
def _watching_process() -> Iterator[tuple[subprocess.Popen[bytes], threading.Event]]:
    """The command on a terminal of its own, and whether it has drawn."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    command = [sys.executable, "-m", "tasktrail", "watch", RUN_ID]
    environment = os.environ | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    has_drawn = threading.Event()
    threading.Thread(target=_read, args=(ours, has_drawn), daemon=True).start()
    try:
        yield process, has_drawn
    finally:
        process.kill()
        process.wait()


def _read(terminal: int, has_drawn: threading.Event) -> None:
    """Take what is drawn, so that nobody waits; for Linux the end of a terminal is an error."""
    with contextlib.suppress(OSError):
        while picture := os.read(terminal, 65_536):
            if RUN_ID.encode() in picture:
                has_drawn.set()


SUBJECTS = {"workflow-command": command, "workflow-expansion": expansion, "workflow-watch": watching}
