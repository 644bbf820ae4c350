"""A process of somebody else's code: its group, its pipes, watched by the event loop; nothing of it is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from tasktrail.engine.printed import STDERR, STDOUT
from tasktrail.engine.strays import MARK, Strays
from tasktrail.engine.watchdog import watchdog

Take = Callable[[int, bytes], None]
"""Takes what a stream brought: its number, and the bytes."""

_LARGEST_READ: Final = 64 * 1024
_LAST_READS: Final = 64
_LINGER_S: Final = 0.1
"""How long what a command left behind may still write before it is told to end: a `tee` has its last lines to say."""
_LOOK_AGAIN_S: Final = 0.02
_DEATH_S: Final = 2.0
"""How long the system gets to end what was killed; more only where a disk or a network mount hangs."""


async def run(arguments: Sequence[str], env: Mapping[str, str], folder: Path, take: Take, grace_s: float) -> int:
    """Run a program to its end, and return its exit code; of one that was killed minus the signal's number.

    Whatever happens, nothing of its process group and none of its strays is left when this returns or raises: not when
    it is cancelled either (SIGTERM, the grace, SIGKILL), and a second cancellation does not wait for the grace.

    Args:
        env: Its variables, `MARK` among them.
        take: Gets what it prints, on the event loop.
        grace_s: How long it may take to end after SIGTERM.

    Raises:
        OSError, ValueError: It cannot be started.
    """
    process = _Process(arguments, env, folder, take)
    try:
        process.begin()
        await process.end()
        await process.end_group(grace_s)
    except asyncio.CancelledError:
        await process.stop(grace_s)
        raise
    finally:
        process.close()
    return process.exit_code


class _Process:
    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], folder: Path, take: Take) -> None:
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._exited = asyncio.Event()
        self._silent = asyncio.Event()
        self._dog = watchdog()
        self._pipes: dict[int, IO[bytes]] = {}
        self._pidfd = -1
        # A session of its own has no terminal: a program that asks for a password fails instead of waiting for ever.
        self._popen = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=folder,
            start_new_session=True,
            bufsize=0,
        )
        self._group = self._popen.pid
        self._strays = Strays(self._group, env[MARK])
        self._is_over = False

    @property
    def exit_code(self) -> int:
        return self._popen.wait()

    # watching

    def begin(self) -> None:
        """Let the watchdog know of it, and the loop look at its pipes and its end."""
        self._dog.watch(self._group)
        for number, pipe in ((STDOUT, self._popen.stdout), (STDERR, self._popen.stderr)):
            assert pipe is not None
            self._pipes[number] = pipe
            os.set_blocking(pipe.fileno(), False)
            self._loop.add_reader(pipe.fileno(), self._read, number)
        try:
            self._pidfd = os.pidfd_open(self._popen.pid)
        except (AttributeError, OSError):  # not on Linux, or an old one
            threading.Thread(target=self._wait, name="tasktrail-wait", daemon=True).start()
        else:
            self._loop.add_reader(self._pidfd, self._has_exited)

    def _wait(self) -> None:
        self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._exited.set)

    def _has_exited(self) -> None:
        self._unwatch(self._pidfd)
        self._exited.set()

    def _read(self, number: int) -> bool:
        """Take what a pipe has now; False when there is nothing."""
        pipe = self._pipes[number]
        try:
            data = pipe.read(_LARGEST_READ)
        except OSError:
            data = b""
        if data:
            self._take(number, data)
        elif data is not None:
            self._close_pipe(number)
        return bool(data)

    def _close_pipe(self, number: int) -> None:
        pipe = self._pipes.pop(number)
        self._unwatch(pipe.fileno())
        pipe.close()
        if not self._pipes:
            self._silent.set()

    def _unwatch(self, descriptor: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.remove_reader(descriptor)

    # ending

    async def end(self) -> None:
        """Wait until the program has ended, and has said what it had to say."""
        await self._exited.wait()
        if self._pipes:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._silent.wait(), _LINGER_S)

    async def end_group(self, grace_s: float) -> None:
        """End what the program has left behind. It is reaped afterwards: until then its number is nobody else's."""
        self._signal(signal.SIGTERM)
        self._popen.wait()
        await self._empty(time.monotonic() + grace_s)

    async def stop(self, grace_s: float) -> None:
        """Ask all to end; what has not after the grace is killed."""
        deadline = time.monotonic() + grace_s
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), grace_s)
        if self._exited.is_set():
            self._popen.wait()
        await self._empty(deadline)

    async def _empty(self, deadline: float) -> None:
        """Wait until all have ended; what has not by then is killed, which takes the system a moment too."""
        await self._until_over(deadline)
        if not self._is_over:
            self._signal(signal.SIGKILL)
            await self._until_over(time.monotonic() + _DEATH_S)

    async def _until_over(self, deadline: float) -> None:
        while not self._look() and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_AGAIN_S)
            self._popen.poll()

    def _look(self) -> bool:
        self._is_over = not (_lives(self._group) or self._strays.find())
        return self._is_over

    def close(self) -> None:
        """Kill what is left, reap it, take the last that it printed. Nothing waits here but for the system."""
        if self._popen.returncode is None or not self._is_over:
            self._signal(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=_DEATH_S)
        if self._pidfd >= 0:
            self._unwatch(self._pidfd)
            os.close(self._pidfd)
        for number in list(self._pipes):
            for _ in range(_LAST_READS):
                if not self._read(number):
                    break
            if number in self._pipes:  # somebody out of reach still holds it
                self._close_pipe(number)
        self._dog.forget(self._group)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):  # it has gone, or belongs to another user
            os.killpg(self._group, number)
        for stray in self._strays.find():
            with contextlib.suppress(OSError):
                os.kill(stray, number)


def _lives(group: int) -> bool:
    """Whether something of a process group still runs; what is dead and was never reaped by its parent does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return _has_running(group)


def _has_running(group: int) -> bool:
    """Look through /proc; where there is none, what exists counts as running."""
    try:
        numbers = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a name is all that is needed
    except OSError:
        return True
    return not numbers or any(_runs_in(number, group) for number in numbers)


def _runs_in(number: str, group: int) -> bool:
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    state, _, its_group = text.rpartition(")")[2].split()[:3]  # the program's name stands before, in parentheses
    return its_group == str(group) and state not in "ZX"
