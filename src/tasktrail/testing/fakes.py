"""A clock that tests set, and identifiers that count instead of being drawn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from tasktrail.store.clock import Clock

C = TypeVar("C", bound="Clock")

FIRST_MOMENT: Final = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC in microseconds."""


class FakeClock:
    """Stands still until it is told to go on. Safe to share with threads as long as one of them sets it.

    >>> clock = FakeClock()
    >>> clock.advance(1.5)
    >>> clock.now() - FIRST_MOMENT
    1500000

    Attributes:
        sleeps: Seconds of every `sleep`, in order.
    """

    def __init__(self, now: int = FIRST_MOMENT) -> None:
        self._now = now
        self._boot_us = 1_000_000
        self._boots = 1
        self.sleeps: list[float] = []

    def now(self) -> int:
        """Return wall time in microseconds since 1970 UTC."""
        return self._now

    def boot_us(self) -> int:
        """Return microseconds since the pretended start of the machine."""
        return self._boot_us

    def boot_id(self) -> str:
        """Return the name of this pretended boot."""
        return f"boot-{self._boots}"

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += round(seconds * 1_000_000)
        self._boot_us += round(seconds * 1_000_000)

    def set_wall(self, now: int) -> None:
        """Set the wall clock, as a person does; the boot clock does not notice."""
        self._now = now

    def reboot(self) -> None:
        """Start the machine again: another boot id, the boot clock from its beginning."""
        self._boots += 1
        self._boot_us = 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Note the time and let it pass at once; others get their turn. So no back-off is waited for."""
        self.sleeps.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)


@contextmanager
def using_clock(clock: C) -> Iterator[C]:
    """Let what is made meanwhile live by a clock: runners and stores of runs take the time from it, and wait by it.

    >>> with using_clock(FakeClock()) as clock:
    ...     pass  # make a runner here, and execute it: its retries wait by `clock.sleep`

    Args:
        clock: Has `now`, `boot_us`, `boot_id` and `sleep`, as `FakeClock` does. Time-outs and durations do not ask it.
    """
    from tasktrail.engine.project import clocked

    with clocked(clock):
        yield clock


class FixedIds:
    """Counts each kind of identifier from 1.

    >>> ids = FixedIds()
    >>> ids.run_name(), ids.run_name(), ids.span_id()
    ('run-1', 'run-2', '0000000000000001')

    Args:
        chance: What every draw for jitter gives.
    """

    def __init__(self, chance: float = 0.5) -> None:
        self._counts: Counter[str] = Counter()
        self._chance = chance

    def trace_id(self) -> str:
        """Return 32 hexadecimal digits."""
        return f"{self._next('trace'):032x}"

    def span_id(self) -> str:
        """Return 16 hexadecimal digits."""
        return f"{self._next('span'):016x}"

    def token(self) -> str:
        """Return `token-1`, `token-2` and so on."""
        return f"token-{self._next('token')}"

    def run_name(self) -> str:
        """Return `run-1`, `run-2` and so on."""
        return f"run-{self._next('run')}"

    def chance(self) -> float:
        """Return what it was told to."""
        return self._chance

    def _next(self, kind: str) -> int:
        self._counts[kind] += 1
        return self._counts[kind]
