"""A disk that takes no more than so many bytes per file: `python full_disk.py TEMPLATE`.

For one limit after the other it executes a run in a copy of the template, first with the limit, then without, and
prints as JSON what was wrong, and how often the limit was felt.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasktrail.dag import StatefulDAGRunner
from tasktrail.dag.runner import Binding, bound
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.errors import StoreError
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store

STEPS = 12


@contextmanager
def limited(most_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond some bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def execute(store: Store, begun: list[str]) -> str:
    """Execute the run, or go on with it."""
    with bound(Binding(Ledger(store, actor="tester"))):
        runner = StatefulDAGRunner(dag_run_id="full")

    async def step(name: str) -> str:
        begun.append(name)
        return name * 400

    for number in range(STEPS):
        runner.register_step(f"s{number}", lambda name=f"s{number}": step(name), max_retries=0)
    return asyncio.run(runner.execute()).status.value


def completed(store: Store) -> set[str]:
    """Return the steps that are completed."""
    run = store.read(lambda tx: tx.runs("runs_by_name", name="full", kind="dag"))
    rows = store.read(lambda tx: tx.rows("states_of_run", run_id=run[0].id)) if run else []
    return {str(row[1]) for row in rows if row[2] == "completed"}


def try_limit(template: Path, most_bytes: int) -> tuple[bool, list[str]]:
    """Return whether the limit was felt, and what was wrong."""
    path = template.with_name(f"limit-{most_bytes}.db")
    shutil.copy(template, path)
    store, begun, found, felt = open_store(str(path)), list[str](), list[str](), False
    with limited(most_bytes):
        try:
            execute(store, begun)
        except StoreError as error:
            felt = True
            if not error.hint or "nothing was" not in str(error):
                found.append(f"does not say what to do: {error} ({error.hint})")
    found += verify(store)
    finished = completed(store)
    again = list[str]()
    if execute(store, again) != "success":
        found.append("the run did not end well afterwards")
    if finished & set(again):
        found.append(f"executed again: {finished & set(again)}")
    found += verify(store)
    store.close()
    return felt, [f"limit {most_bytes}: {one}" for one in found]


def main(template: Path) -> None:
    """Try limits from the size of the empty store upwards."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size, felt, found = template.stat().st_size, 0, list[str]()
    for most_bytes in range(size // 8, size * 3, size // 6):
        was_felt, wrong = try_limit(template, most_bytes)
        felt += was_felt
        found += wrong
    print(json.dumps({"felt": felt, "found": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
