"""Threads that execute synchronous steps. One that cannot be ended is abandoned: it never keeps the process alive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Threads:
    """Daemon threads, started as needed and used again; those that hang are left alone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._started = 0
        self._closed = False

    def run(self, work: Callable[[], Any]) -> None:
        """Run `work` on a thread; it must not raise."""
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        (worker or self._start()).give(work)

    def close(self) -> None:
        """End the idle threads; those that still work end when they are done, or with the process."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.give(None)

    def _start(self) -> _Worker:
        self._started += 1
        return _Worker(f"{self._name}-{self._started}", self._take_back)

    def _take_back(self, worker: _Worker) -> bool:
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
            return not self._closed


class _Worker:
    """One thread and the work it waits for. A plain lock is the cheapest way to wake it."""

    def __init__(self, name: str, done: Callable[[_Worker], bool]) -> None:
        self._work: Callable[[], Any] | None = None
        self._done = done
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
            work()
            del work
            if not self._done(self):
                return
