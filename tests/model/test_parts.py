"""A step with its parts, as one thing to show."""

from __future__ import annotations

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.parts import Group, grouped
from tasktrail.model.run import Run
from tasktrail.store.opening import open_store
from tests.mapped import do, mapped_run


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(open_store("memory:"), actor="ann@desk")


def groups(ledger: Ledger, run: Run) -> list[Group]:
    return grouped(ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)))


def test_parts_stand_with_their_step_in_the_order_of_their_items(ledger: Ledger):
    found = groups(ledger, mapped_run(ledger))

    assert [group.task.key for group in found] == ["fetch", "parse", "report"]
    assert [[part.map_index for part in group.parts] for group in found] == [[], [0, 1, 2], []]


def test_a_part_without_its_step_is_not_lost(ledger: Ledger):
    run = mapped_run(ledger)
    tasks = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))

    found = grouped(task for task in tasks if task.key != "parse" or task.map_index == 1)

    assert [(group.task.key, group.task.map_index) for group in found] == [("fetch", -1), ("parse", 1), ("report", -1)]


def test_a_step_that_waits_for_its_parts_stands_as_they_do(ledger: Ledger):
    run = mapped_run(ledger)

    def speaking() -> tuple[int, str, int]:
        group = groups(ledger, run)[1]
        return group.n_done, group.speaker.status, group.speaker.map_index

    assert speaking() == (0, "pending", -1)
    do(ledger, run, "parse", 0)
    do(ledger, run, "parse", 1, Ask("fail", failure=Failure("OSError", "no"), outcome="error"))
    assert speaking() == (1, "failed", 1)
    do(ledger, run, "parse", 2, Ask("block"))
    assert speaking() == (1, "failed", 1)
    ledger.ask(groups(ledger, run)[1].parts[2].id, Ask("unblock"))
    ledger.ask(groups(ledger, run)[1].parts[2].id, Ask("start"))
    assert speaking() == (1, "in_progress", 2)
