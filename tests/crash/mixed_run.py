"""A run of thirty steps of every kind, told apart by its seed; what it does it writes into an outside journal.

`python mixed_run.py SEED` executes it in the project of the working folder, or goes on with it. The journal has one
line per deed, appended before the deed counts:

    begin STEP ATTEMPT    the step's code was entered
    done STEP ATTEMPT     it is about to return its result
    ack STEP              the store has said that the step is completed
    end STATUS            the run is over
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

from tasktrail.dag import DAGRunStatus, ParallelStatefulDAGRunner, StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine.project import open_project
from tasktrail.model.run import Run

STEPS = 30
RUN_ID = "mixed"
JOURNAL = "journal.txt"


def name_of(number: int) -> str:
    """Return the id of a step."""
    return f"s{number:02}"


def result_of(name: str) -> dict[str, Any]:
    """Return what a step returns: some are long enough for the payload table."""
    number = int(name[1:])
    return {"step": name, "text": "x" * (500 * (number % 4))}


def is_flaky(name: str) -> bool:
    """Whether its first attempt fails, if it lives to see that."""
    return int(name[1:]) % 5 == 2


def is_parallel(seed: int) -> bool:
    """Odd seeds are parallel runs."""
    return seed % 2 == 1


def needs_of(seed: int) -> dict[str, list[str]]:
    """Return what each step of a parallel run needs."""
    rng = random.Random(f"needs {seed}")
    return {
        name_of(number): [name_of(one) for one in sorted(rng.sample(range(number), min(number, rng.randint(0, 2))))]
        for number in range(STEPS)
    }


class Journal:
    """Appends lines; each is one write of the system, so that a kill leaves it whole or out."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: object) -> None:
        """Append a line."""
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())


class Acknowledgements:
    """Writes down every step of which the store says, after a commit, that it is completed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ledger = open_project()
        self._seen: set[str] = set()

    def __call__(self, run: Run) -> None:
        """Look at the run's steps."""
        for row in self._ledger.store.read(lambda tx: tx.rows("states_of_run", run_id=run.id)):
            if row[2] == "completed" and row[1] not in self._seen:
                self._seen.add(str(row[1]))
                self._journal.write("ack", row[1])


def code_of(name: str, needs: list[str] | None, journal: Journal) -> Any:
    """Return the executor of a step: a coroutine function, a function for a thread, or a lambda with a coroutine."""

    def work(ctx: Any) -> dict[str, Any]:
        journal.write("begin", name, ctx.attempt)
        expected = [name_of(number) for number in range(int(name[1:]))] if needs is None else needs
        for key in expected:
            assert ctx.results[key] == result_of(key), f"{name} was given a wrong result of {key}"
        if int(name[1:]) % 7 == 3:
            ctx.note(f"{name} was here")
        if is_flaky(name) and ctx.attempt == 1:
            raise ConnectionError("not at the first time")
        journal.write("done", name, ctx.attempt)
        return result_of(name)

    async def inline(ctx: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        return work(ctx)

    return [inline, work, lambda ctx: inline(ctx)][int(name[1:]) % 3]


def main(seed: int) -> int:
    """Execute the run as far as this process lives."""
    journal = Journal(Path(JOURNAL))
    with bound(Binding(open_project(), watch=Acknowledgements(journal))):
        runner = (ParallelStatefulDAGRunner if is_parallel(seed) else StatefulDAGRunner)(dag_run_id=RUN_ID)
    for name, needs in needs_of(seed).items():
        if isinstance(runner, ParallelStatefulDAGRunner):
            runner.register_step(name, code_of(name, needs, journal), retry_delay=0.001, dependencies=needs)
        else:
            runner.register_step(name, code_of(name, None, journal), retry_delay=0.001)
    run = asyncio.run(runner.execute())
    journal.write("end", run.status.value)
    print({key: step.error for key, step in run.steps.items() if step.error}, file=sys.stderr)
    return 0 if run.status is DAGRunStatus.SUCCESS else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
