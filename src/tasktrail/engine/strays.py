"""Strays: what a command started and that left its process group. Their environment still says whose they are."""

from __future__ import annotations

import os
import time
from typing import Final

MARK: Final = "TASKTRAIL_INPUT"
"""The variable that only the processes of one attempt have with the same value."""

_BRIEF_S: Final = 1.0
_FEW: Final = 64


class Strays:
    """The strays of one command. Where there is no `/proc`, nobody knows of them.

    Args:
        group: Number of the command, which is that of its group too.
        mark: What the variable `MARK` is for it.
    """

    def __init__(self, group: int, mark: str) -> None:
        self._group = group
        self._mark = f"{MARK}={mark}\0".encode()
        self._began_s = time.monotonic()

    def find(self) -> list[int]:
        """Return the numbers of those that run now."""
        return [number for number in _all_numbers() if self._has(number)] if self._may_have_some() else []

    def _may_have_some(self) -> bool:
        """Whether a look at all processes is worth its time, about 5 µs for each of them.

        A stray is numbered after its command. When nothing was, as after most commands, one look at the last number
        says so; a few numbers are looked at one by one. After a second the system may have begun to count anew.
        """
        if time.monotonic() - self._began_s > _BRIEF_S:
            return True
        seen = self._group
        while (last := _last_number()) != seen:  # one may have started another, and ended, while we looked
            if not 0 < last - seen <= _FEW or any(map(self._has, range(seen + 1, last + 1))):
                return True
            seen = last
        return False

    def _has(self, number: int) -> bool:
        """Whether a process is one: those of the group are told with their group; the dead have no environment."""
        try:
            return self._mark in _read(f"/proc/{number}/environ") and os.getpgid(number) != self._group
        except OSError:
            return False


def _last_number() -> int:
    """Return the number that the system gave away last; 0 where it does not say."""
    try:
        return int(_read("/proc/loadavg").rsplit(None, 1)[1])
    except (OSError, ValueError, IndexError):
        return 0


def _read(path: str) -> bytes:
    """Without a file object, which costs three times as much."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(descriptor, 64 * 1024), b""))
    finally:
        os.close(descriptor)


def _all_numbers() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a name is all we need
    except OSError:
        return []
