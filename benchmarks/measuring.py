"""What one subject measures: seconds, rate and peak memory, as one line of JSON."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Reading:
    """One subject measured once.

    Args:
        n: Units of work done: steps, runs, or 1 for a latency.
        seconds: Wall time of the work alone; for a cold start, of the whole process; for a share, CPU time per second.
        peak_rss_mb: Largest resident memory of the process, in 1024 × 1024 bytes, or what the work added to it.
        settings: The durability the subject had: as its database says afterwards, or what it was told,
            and what else is worth knowing.
    """

    n: int
    seconds: float
    peak_rss_mb: float
    settings: str = ""

    @property
    def per_second(self) -> float:
        return self.n / self.seconds

    def to_dict(self) -> dict[str, object]:
        """Return the reading as a record, its rate in it."""
        return {**asdict(self), "per_second": self.per_second}

    @classmethod
    def from_json(cls, line: str) -> Reading:
        """Read the record that a subject printed in one line; the rate is worked out anew."""
        record = json.loads(line)
        del record["per_second"]
        return cls(**record)


@dataclass(slots=True)
class Stopwatch:
    """Seconds of the block it timed; 0 until the block ended."""

    seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Stopwatch]:
    """Time a block by the monotonic clock, with earlier garbage collected first."""
    gc.collect()
    watch = Stopwatch()
    started = time.perf_counter()
    yield watch
    watch.seconds = time.perf_counter() - started


def peak_rss_mb() -> float:
    """Return the largest resident memory of this process.

    Linux hands `ru_maxrss` on through fork and exec, so a small child of a large parent would be charged
    with its parent; `VmHWM` starts anew with each program.
    """
    if _STATUS.exists():
        return _of_status_mb("VmHWM")
    return _max_rss_mb(resource.RUSAGE_SELF)


def peak_of_children_mb() -> float:
    """Return the largest resident memory of any process that this one started and waited for."""
    return _max_rss_mb(resource.RUSAGE_CHILDREN)


def _max_rss_mb(who: int) -> float:
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss / unit


def resident_mb() -> float:
    """Return the resident memory of this process now; where nobody says, the largest that it had."""
    return _of_status_mb("VmRSS") if _STATUS.exists() else peak_rss_mb()


def peak_of_mb(pid: int) -> float:
    """Return the largest resident memory of another process that still runs."""
    return _of_status_mb("VmHWM", Path(f"/proc/{pid}/status"))


def _of_status_mb(key: str, status: Path = _STATUS) -> float:
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """Return how long the processors worked for a process so far, one that has ended but is not waited for included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sqlite_settings(file: Path) -> str:
    """Return journal mode and synchronous as a new standard-library connection to the file gets them.

    No peer sets `synchronous` itself, so this is what its own connections have.
    """
    import sqlite3  # here, so that a subject without it is not charged with its memory

    with closing(sqlite3.connect(file)) as connection:
        journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
        synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    return in_words(journal, synchronous)


def in_words(journal: str, synchronous: int) -> str:
    """Return the two pragmas as they are printed.

    >>> in_words("wal", 2)
    'wal, synchronous=full'
    """
    return f"{journal}, synchronous={('off', 'normal', 'full', 'extra')[synchronous]}"
