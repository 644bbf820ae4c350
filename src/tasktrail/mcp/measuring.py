"""What the server counts: calls, errors and latencies, by tool; and how many calls it takes in a second."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from time import monotonic
from typing import Final

__all__ = ["Metrics", "Rate"]

BUCKETS_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000)


class Metrics:
    """Counts, as Prometheus reads them. Any thread may count."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._by_bucket: Counter[tuple[str, int]] = Counter()

    def count(self, tool: str, latency_ms: float, *, failed: bool) -> None:
        """Count one call."""
        place = next((place for place, most in enumerate(BUCKETS_MS) if latency_ms <= most), len(BUCKETS_MS))
        with self._counting:
            self._calls[tool] += 1
            self._errors[tool] += failed
            self._seconds[tool] += round(latency_ms)
            self._by_bucket[tool, place] += 1

    def text(self) -> str:
        """Return them in Prometheus' text format."""
        with self._counting:
            return "".join(f"{line}\n" for line in self._lines())

    def summary(self) -> str:
        """Return them in one line."""
        with self._counting:
            return f"{self._calls.total()} calls, {self._errors.total()} errors"

    def _lines(self) -> Iterator[str]:
        for name, counts in (("mcp_calls_total", self._calls), ("mcp_errors_total", self._errors)):
            yield f"# TYPE {name} counter"
            yield from (f'{name}{{tool="{tool}"}} {counts[tool]}' for tool in sorted(self._calls))
        yield "# TYPE mcp_latency_ms histogram"
        for tool in sorted(self._calls):
            counted = accumulate(self._by_bucket[tool, place] for place in range(len(BUCKETS_MS) + 1))
            for most, n in zip((*BUCKETS_MS, "+Inf"), counted, strict=True):
                yield f'mcp_latency_ms_bucket{{tool="{tool}",le="{most}"}} {n}'
            yield f'mcp_latency_ms_sum{{tool="{tool}"}} {self._seconds[tool]}'
            yield f'mcp_latency_ms_count{{tool="{tool}"}} {self._calls[tool]}'


class Rate:
    """Lets calls through at a rate, and a burst at once; those that are too many wait their turn.

    Args:
        per_s: Calls in a second; 0 is no limit. The burst is twice as many.
        clock: Seconds that never go back.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._free_at = clock()

    def wait_s(self, longest_s: float) -> float | None:
        """Take a turn; return the seconds until it comes, None where that is too long and none was taken."""
        if not self._per_s:
            return 0.0
        now = self._clock()
        burst_s = 2.0  # of calls that are due at once after a pause
        free_at = max(self._free_at, now - burst_s)
        wait_s = max(0.0, free_at + 1 / self._per_s - now)
        if wait_s > longest_s:
            return None
        self._free_at = free_at + 1 / self._per_s
        return wait_s
