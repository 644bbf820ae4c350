"""A run with a mapped step, as an expansion leaves it: `fetch`, `parse` once for each item, and `report`."""

from __future__ import annotations

from collections.abc import Sequence

from tasktrail.engine.expansion import Expansion
from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.transaction import Transaction

STEPS = (
    TaskDraft("fetch"),
    TaskDraft("parse", needs=(Need("fetch"),)),
    TaskDraft("report", needs=(Need("parse"),)),
)


def task_of(ledger: Ledger, run: Run, key: str, index: int = -1) -> Task:
    """Return a task of a run."""
    found = ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=index))
    assert found is not None
    return found


def expand(ledger: Ledger, run: Run, key: str, items: Sequence[object]) -> None:
    """Make a part of a step for each item."""

    def work(tx: Transaction) -> None:
        step = tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1)
        assert step is not None
        Expansion(tx, ledger, step, items, ledger.clock.now()).expand()

    ledger.commit(work)


def do(ledger: Ledger, run: Run, key: str, index: int = -1, *asks: Ask) -> None:
    """Start a task and end it; completed, unless something else is asked."""
    for ask in (Ask("start"), *(asks or (Ask("complete", output="1"),))):
        ledger.ask(task_of(ledger, run, key, index).id, ask)


def mapped_run(ledger: Ledger, name: str = "pages", items: Sequence[object] = ("a", "b", "c")) -> Run:
    """Store a run whose `fetch` is done and whose `parse` was expanded."""
    run = ledger.create_run(RunDraft("dag", name, "atlas", STEPS))
    do(ledger, run, "fetch")
    expand(ledger, run, "parse", items)
    return run
