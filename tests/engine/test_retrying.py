"""Doing it again where a step has parts: they share its key, and none may stand for another."""

from __future__ import annotations

import pytest

from tasktrail.engine.lookup import Found, history
from tasktrail.engine.retrying import keys_from, take_back
from tasktrail.model.errors import Held, NotFound
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.run import Run
from tests.engine.executing import Engine
from tests.mapped import do, expand, mapped_run, task_of


def finished(engine: Engine) -> Run:
    """A run with three parts, all done."""
    run = mapped_run(engine.ledger)
    for index in range(3):
        do(engine.ledger, run, "parse", index)
    do(engine.ledger, run, "parse")
    do(engine.ledger, run, "report")
    assert engine.run(run.id).status == "completed"
    return run


def standing(engine: Engine, run: Run) -> dict[str, str]:
    tasks = engine.ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    return {f"{task.key}{task.map_index if task.map_index >= 0 else ''}": task.status for task in tasks}


@pytest.mark.requirement("BL-111")
def test_from_a_mapped_step_on_its_parts_are_done_again_and_what_it_needs_is_not(engine: Engine):
    run = finished(engine)

    take_back(engine.ledger, run.id, "parse", in_order=False)

    assert standing(engine, run) == {
        "fetch": "completed", "parse": "pending", "parse0": "pending", "parse1": "pending", "parse2": "pending",
        "report": "pending",
    }  # fmt: skip


def test_from_before_a_mapped_step_on_its_parts_are_done_again(engine: Engine):
    run = finished(engine)

    assert keys_from(engine.ledger, run.id, "fetch", in_order=False) == ["fetch", "parse", "report"]
    take_back(engine.ledger, run.id, "fetch", in_order=False)

    assert set(standing(engine, run).values()) == {"pending"}


def test_from_after_a_mapped_step_on_its_parts_stay_done(engine: Engine):
    run = finished(engine)

    take_back(engine.ledger, run.id, "report", in_order=False)

    assert [key for key, status in standing(engine, run).items() if status == "pending"] == ["report"]


def test_a_part_whose_item_is_gone_stays_skipped(engine: Engine):
    run = finished(engine)
    take_back(engine.ledger, run.id, "fetch", in_order=False)
    do(engine.ledger, run, "fetch")
    expand(engine.ledger, run, "parse", ["a", "b"])

    take_back(engine.ledger, run.id, "fetch", in_order=False)

    assert standing(engine, run)["parse2"] == "skipped"
    assert standing(engine, run)["parse1"] == "pending"


def test_one_after_another_the_parts_go_with_their_step(engine: Engine):
    run = finished(engine)

    take_back(engine.ledger, run.id, "parse", in_order=True)

    assert [key for key, status in standing(engine, run).items() if status == "completed"] == ["fetch"]


def test_nothing_is_taken_back_while_somebody_has_claimed_a_part(engine: Engine):
    run = mapped_run(engine.ledger)
    engine.ledger.ask(task_of(engine.ledger, run, "parse", 1).id, Ask("start", lease_token="t"))

    with pytest.raises(Held):
        take_back(engine.ledger, run.id, "fetch", in_order=False)

    assert standing(engine, run)["fetch"] == "completed"


def test_a_failed_part_gets_a_fresh_budget(engine: Engine):
    run = mapped_run(engine.ledger)
    do(engine.ledger, run, "parse", 1, Ask("fail", failure=Failure("OSError", "no space"), outcome="error"))
    assert task_of(engine.ledger, run, "parse", 1).tries == 1

    take_back(engine.ledger, run.id, "parse", in_order=False)

    again = task_of(engine.ledger, run, "parse", 1)
    assert (again.status, again.tries, again.error) == ("pending", 0, None)
    notes = [event.note for event in history(engine.ledger, Found(run, again)).events]
    assert notes[-1] == "from parse"


def test_a_step_that_is_not_there_is_told(engine: Engine):
    run = mapped_run(engine.ledger)

    with pytest.raises(NotFound, match="has no task 'parze'"):
        take_back(engine.ledger, run.id, "parze", in_order=False)
