"""Two clocks, wall time for people and schedules and boot time for leases, and waiting. Passed in: tests own time."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> int:
        """Return wall time in microseconds since 1970 UTC."""

    def boot_us(self) -> int:
        """Return microseconds since the machine started; setting the wall clock does not move it."""

    def boot_id(self) -> str:
        """Return what tells this boot of this machine from any other."""

    async def sleep(self, seconds: float) -> None:
        """Wait until this clock is so much later."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Return wall time in microseconds since 1970 UTC."""
        return time.time_ns() // 1000

    def boot_us(self) -> int:
        """Return microseconds since the machine started, time asleep included where the system tells."""
        return time.clock_gettime_ns(_BOOT_CLOCK) // 1000 if _BOOT_CLOCK is not None else time.monotonic_ns() // 1000

    def boot_id(self) -> str:
        """Return the kernel's boot id, or the moment of the boot where there is none."""
        return _boot_id()

    async def sleep(self, seconds: float) -> None:
        """Wait; other coroutines go on."""
        import asyncio  # what only reads would pay for it

        await asyncio.sleep(seconds)


_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        booted_s = time.time() - time.monotonic()
        return f"booted-{round(booted_s / 60)}"


SYSTEM_CLOCK = SystemClock()
