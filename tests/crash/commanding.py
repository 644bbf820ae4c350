"""Executes a run whose one step is a command, and says so; killed by the test in the middle."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tasktrail.engine.commands import Command, command_step
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.watchdog import watchdog
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.store.opening import open_store


def main(folder: Path, line: str) -> None:
    ledger = Ledger(open_store(str(folder / "tasks.db")), actor="tester")
    run = ledger.create_run(RunDraft("dag", "r1", "etl", (TaskDraft("a"),)))
    print(watchdog().folder, flush=True)
    asyncio.run(Runner(ledger, run.id, Plan({"a": command_step("a", Command(line, folder=folder))})).execute())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
