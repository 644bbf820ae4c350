"""Task lists of other tools, worked through by their own commands, one process each, as an agent does."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from measuring import Reading, timed

LONGEST_S = 600.0


def output(folder: Path, command: Sequence[str], environment: Mapping[str, str] = os.environ) -> str:
    """Return what a command prints; it must succeed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=True
    )
    return done.stdout


def worked_through(
    n_cycles: int, find: Callable[[], str], mark: Callable[[str, str], object], begun: str, done: str, settings: str
) -> Reading:
    """Return how long it takes to find, begin and end so many tasks.

    Args:
        begun, done: The tool's own words for the two marks.
    """
    seen = []
    with timed() as watch:
        for _ in range(n_cycles):
            seen.append(find())
            mark(seen[-1], begun)
            mark(seen[-1], done)
    assert len(set(seen)) == n_cycles, "a task that is done comes up no more"
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return Reading(n_cycles, watch.seconds, peak_kb / 1024, settings)
