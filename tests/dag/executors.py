"""What tests register as steps."""

from __future__ import annotations

import asyncio
from typing import Any


class Failing:
    """A callable object that fails its first calls and then returns `result`.

    Args:
        times: How many calls fail; None means all.
    """

    def __init__(self, times: int | None = None, error: BaseException | None = None, result: Any = "ok") -> None:
        self.calls = 0
        self.times = times
        self.error = error or ConnectionError("host not reachable")
        self.result = result

    async def __call__(self) -> Any:
        """Fail or return, on the event loop."""
        self.calls += 1
        if self.times is None or self.calls <= self.times:
            raise self.error
        return self.result


class Recording:
    """Makes steps that write down when they run, and return their own name."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def step(self, name: str, result: Any = None) -> Any:
        """Return an asynchronous step."""

        async def work() -> Any:
            self.ran.append(name)
            await asyncio.sleep(0)
            return name if result is None else result

        return work

    def sync_step(self, name: str) -> Any:
        """Return a step that runs on a thread."""

        def work() -> str:
            self.ran.append(name)
            return name

        return work

    def failing_step(self, name: str, error: BaseException | None = None) -> Any:
        """Return a step that always fails."""

        async def work() -> None:
            self.ran.append(name)
            raise error or ValueError(f"{name} went wrong")

        return work


class Concurrency:
    """Makes steps that count how many of them run at the same time."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def step(self) -> None:
        """Run for a few turns of the event loop."""
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            await asyncio.sleep(0)
        self.now -= 1
