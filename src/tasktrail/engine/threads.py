"""Threads that execute synchronous steps. One that cannot be ended is abandoned: it never keeps the process alive."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any


class Threads:
    """Daemon threads, started as needed and used again; `abandon` makes room for those that hang."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: deque[_Worker] = deque()
        self._started = 0

    def run(self, work: Callable[[], Any]) -> None:
        """Run `work` on a thread; it must not raise."""
        worker = self._idle.pop() if self._idle else self._start()
        worker.give(work)

    def _start(self) -> _Worker:
        self._started += 1
        return _Worker(f"{self._name}-{self._started}", self._idle)

    def close(self) -> None:
        """End the idle threads; those that still work end by themselves, or with the process."""
        while self._idle:
            self._idle.pop().give(None)


class _Worker:
    """One thread and the work it waits for. A plain lock is the cheapest way to wake it."""

    def __init__(self, name: str, idle: deque[_Worker]) -> None:
        self._work: Callable[[], Any] | None = None
        self._idle = idle
        self._ready = threading.Lock()
        self._ready.acquire()
        threading.Thread(target=self._loop, name=name, daemon=True).start()

    def give(self, work: Callable[[], Any] | None) -> None:
        self._work = work
        self._ready.release()

    def _loop(self) -> None:
        while True:
            self._ready.acquire()
            work, self._work = self._work, None
            if work is None:
                return
            try:
                work()
            finally:
                del work
                self._idle.append(self)
