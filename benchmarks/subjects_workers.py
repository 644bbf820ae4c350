"""Workers on one SQLite file: how fast they are together, and how soon a dead one's work goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pooled
from measuring import Reading, peak_rss_mb
from subjects_tasktrail import SETTINGS, use_store

WORKERS: Final = 4


def together(n: int, folder: Path) -> Reading:
    use_store(folder)
    return Reading(n, pooled.executed_by(WORKERS, n, folder), peak_rss_mb(), f"{SETTINGS}; {WORKERS} workers")


def take_over(n: int, folder: Path) -> Reading:
    use_store(folder)
    return Reading(n, pooled.taken_up_after(folder), peak_rss_mb(), f"{SETTINGS}; of two workers one is killed")


SUBJECTS = {"workers-sqlite": together, "workers-take-over": take_over}
