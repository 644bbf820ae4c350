"""The journal: a line for each task that begins. It is a witness beside the store."""

from __future__ import annotations

import os
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def begin(reference: str, attempt: int) -> None:
    """Write that a task begins, and let it rest.

    A line, `task attempt process`, is one write: those of several threads and processes never mix.
    """
    with (HERE / "journal.txt").open("a", encoding="utf-8") as journal:
        journal.write(f"{reference} {attempt} {os.getpid()}\n")
    time.sleep(float(os.environ.get("WEEKLY_REST", "0")))
