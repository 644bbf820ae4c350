"""Locks that a forked child finds free."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakSet


class ForkLock:
    """A lock between threads. A child that is forked while another thread holds it does not wait for that thread.

    The thread is not in the child, so nobody would ever free its copy. What the lock guards must be whole between any
    two statements, or be made anew by the child.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _all.add(self)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it."""
        with self._lock:
            yield

    def renew(self) -> None:
        """Forget who holds it."""
        self._lock = threading.Lock()


_all: Final[WeakSet[ForkLock]] = WeakSet()


def _renew_in_child() -> None:
    for lock in _all:
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_in_child)
