"""One of several processes that want to execute the same run at the same moment: `python same_run.py`.

It says `ready`, waits for a line, and prints `ran STATUS` or `told MESSAGE`. The step lasts until a file `enough` is
there.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from tasktrail.dag import StatefulDAGRunner
from tasktrail.model.errors import Held, TasktrailError

RUN_ID = "wanted"
ENOUGH = Path("enough")
LONGEST_S = 60


def work() -> int:
    """Say that it runs, and last until all others were told."""
    with Path("ran.txt").open("a") as file:
        file.write(f"{os.getpid()}\n")
    deadline = time.monotonic() + LONGEST_S
    while not ENOUGH.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    return os.getpid()


def main() -> None:
    """Execute, or be told who does."""
    runner = StatefulDAGRunner(dag_run_id=RUN_ID)
    runner.register_step("a", work)
    runner.register_step("b", lambda a: a)
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        run = asyncio.run(runner.execute())
    except Held as error:
        print("told", error, flush=True)
    except TasktrailError as error:
        print("failed", type(error).__name__, error, flush=True)
    else:
        print("ran", run.status.value, flush=True)


if __name__ == "__main__":
    main()
