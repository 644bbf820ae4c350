"""The history of a matrix tells every change, and undo takes back what is a task's."""

from __future__ import annotations

import pytest

from tasktrail.engine.cells import CellMove
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import Event, Found, find_run, find_task, history
from tasktrail.engine.matrices import move_cell, picture_of
from tasktrail.engine.undo import of_event, of_task, undo
from tasktrail.model.errors import WrongState
from tasktrail.model.matrix import Wanted
from tests.engine.executing import Engine
from tests.engine.matrices import cell_of, sync, week

CELL = ("P1", "research")


def told(ledger: Ledger, reference: str) -> list[Event]:
    """The events of a run or a task, the oldest first."""
    found = find_task(ledger, reference) if ":" in reference else Found(find_run(ledger, reference), None)
    return list(history(ledger, found).events)


def agent_and_file(ledger: Ledger) -> str | None:
    """What is said of the cell in words that no column has."""
    run = find_run(ledger, "A")
    return picture_of(ledger, run).by_name()["P1/research"].metadata


@pytest.mark.requirement("CN-083")
def test_the_history_tells_every_move_of_a_cell_and_what_was_said_of_it(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "P1")
    move_cell(ledger, run, CELL, CellMove("in_progress"))
    move_cell(ledger, run, CELL, CellMove("failed", error="no answer"))
    move_cell(ledger, run, CELL, CellMove("completed", details={"output_file": "r/p1.yaml"}))
    move_cell(ledger, run, CELL, CellMove("completed", details={"agent": "ann"}))
    events = told(ledger, "A:P1/research")
    assert [(one.verb, one.from_status, one.to_status, one.actor) for one in events] == [
        ("start", "pending", "in_progress", "tester"),
        ("fail", "in_progress", "failed", "tester"),
        ("complete", "failed", "completed", "tester"),
        ("edit", "completed", "completed", "tester"),
    ]
    assert events[1].changes["error"] == [None, "no answer"]
    assert events[2].changes["metadata"] == [
        '{"agent":"researcher"}',
        '{"agent":"researcher","output_file":"r/p1.yaml"}',
    ]
    assert events[3].changes["metadata"][1] == '{"agent":"ann","output_file":"r/p1.yaml"}'


@pytest.mark.requirement("CN-083")
def test_the_history_tells_what_became_of_items(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", Wanted("P1", {"size": 1}, "1"), "P2")
    sync(ledger, run, Wanted("P1", {"size": 2}, "2"))
    sync(ledger, run, "P1", "P2")
    said = [(one.note, one.changes["items"]) for one in told(ledger, "A") if one.verb == "items"]
    first, second = {"content_hash": "1", "attributes": {"size": 1}}, {"content_hash": "2", "attributes": {"size": 2}}
    assert said == [
        ("items added", [None, {"P1": first, "P2": {}}]),
        ("items changed", [{"P1": first, "P2": {}}, {"P1": second, "P2": {"removed": True}}]),
        ("items changed", [{"P2": {"removed": True}}, {"P2": {}}]),
    ]
    verbs = [(one.verb, one.note) for one in told(ledger, "A:P2/research")]
    assert verbs == [("skip", "the item was removed"), ("adopt", "the item is there again")]


@pytest.mark.requirement("CN-082")
def test_undo_takes_back_a_move_with_what_was_said_by_it(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "P1")
    move_cell(ledger, run, CELL, CellMove("completed", details={"output_file": "r/p1.yaml", "agent": "ann"}))
    undone = undo(ledger, of_task(find_task(ledger, "A:P1/research")))
    assert [(one.task, one.to_status, list(one.fields)) for one in undone.tasks] == [
        ("P1/research", "pending", ["metadata"])
    ]
    assert (cell_of(ledger, run, CELL).status, agent_and_file(ledger)) == ("pending", '{"agent":"researcher"}')
    assert cell_of(ledger, run, ("P1", "content")).unmet == 1
    undo(ledger, of_task(find_task(ledger, "A:P1/research")))
    assert cell_of(ledger, run, CELL).status == "completed"
    assert agent_and_file(ledger) == '{"agent":"ann","output_file":"r/p1.yaml"}'


@pytest.mark.requirement("CN-082")
def test_undo_takes_back_what_was_said_alone(engine: Engine) -> None:
    ledger = engine.ledger
    run = week(ledger, "A", "P1")
    move_cell(ledger, run, CELL, CellMove("pending", details={"agent": "ann"}))
    undo(ledger, of_task(find_task(ledger, "A:P1/research")))
    assert (cell_of(ledger, run, CELL).status, agent_and_file(ledger)) == ("pending", '{"agent":"researcher"}')


@pytest.mark.requirement("CN-082")
def test_what_an_items_removal_did_is_taken_back_by_the_list_alone(engine: Engine) -> None:
    ledger = engine.ledger
    run = week(ledger, "A", "P1", "P2")
    sync(ledger, run, "P2")
    removal = next(one.seq for one in reversed(told(ledger, "A")) if one.verb == "items")
    with pytest.raises(WrongState, match=r"\(items by tester\) is no change of a task") as refused:
        undo(ledger, of_event(removal))
    assert refused.value.hint == "bring the list of items to what it was"
    with pytest.raises(WrongState, match="P1/research went with its item"):
        undo(ledger, of_task(find_task(ledger, "A:P1/research")))
    sync(ledger, run, "P1", "P2")
    with pytest.raises(WrongState, match="P1/research went with its item"):
        undo(ledger, of_task(find_task(ledger, "A:P1/research")))
    assert cell_of(ledger, run, CELL).status == "pending"
