"""A process that works through a plan until it is killed: its executor says that it runs, and comes to no end."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tasktrail.plan import Architect, Orchestrator
from tests.plan.models import architect, orchestrator


def main(folder: Path, last: str) -> None:
    """Work through the plan of a folder; the task `last` never ends."""

    def execute(task: dict[str, object]) -> str:
        if task["id"] == last:
            (folder / "ready").touch()
            time.sleep(60)
        return f"did {task['id']}"

    worker = Orchestrator(orchestrator, folder, architect=Architect(architect, folder), executor=execute)
    worker.run("Build it.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
