"""Who is alive: every process that executes tasks holds a lock that the system frees when it dies."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

    _try_look = _try_lock
else:
    import fcntl

    def _try_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _try_look(fd: int) -> None:
        """Those who look share the lock: otherwise they would take each other for the living."""
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


_held: Final[dict[Path, int]] = {}
"""Locks of this process by path: one process never asks the system about its own."""


class LifeLock:
    """A lock held for as long as this process lives, or until `free`."""

    lease_s = None

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name = f"{os.urandom(8).hex()}.lock"
        self._path = folder / self.name
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        _try_lock(self._fd)
        _held[self._path] = self._fd

    def free(self) -> None:
        """Give the lock back; harmless when it was given back already."""
        if _held.pop(self._path, None) is not None:
            os.close(self._fd)
            with contextlib.suppress(OSError):
                self._path.unlink()


class OwnLife:
    """The life of a process whose store is in its memory: nobody else sees it."""

    lease_s = None

    def __init__(self) -> None:
        self.name = str(os.getpid())

    def free(self) -> None:
        """Nothing is held."""


def is_held(folder: Path, name: str) -> bool:
    """Whether a living process holds the lock `name`; one that is gone is not held."""
    path = folder / name
    if path in _held:
        return True
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:  # it cannot be looked at, which is no proof of death
        return True
    try:
        _try_look(fd)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def clear(folder: Path, name: str) -> None:
    """Remove the lock file of a process that is dead."""
    with contextlib.suppress(OSError):
        (folder / name).unlink()


def _drop_in_child() -> None:
    """A forked child would keep its parent's locks alive after the parent's death: it closes its copies."""
    for fd in _held.values():
        with contextlib.suppress(OSError):
            os.close(fd)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_in_child)
