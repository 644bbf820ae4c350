"""What is stale of a matrix: shown as such everywhere, and taken up again in one go."""

from __future__ import annotations

import pytest

from tasktrail.engine.cells import CellMove
from tasktrail.engine.explaining import explain_run, explain_task
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import find_task, history, overview
from tasktrail.engine.matrices import move_cell
from tasktrail.engine.matrix_views import matrix_page
from tasktrail.engine.reopening import reopen_stale, stale_tasks
from tasktrail.engine.situation import situation
from tasktrail.engine.task_views import details
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import WrongState
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask
from tasktrail.model.matrix import Cell, Grid, TaskType, Wanted
from tasktrail.model.run import Run
from tests.engine.executing import Engine
from tests.engine.matrices import WEEKS, cell_of, sync, week

ALL = [("a", "research"), ("b", "research"), ("a", "content"), ("b", "content"), ("", "blog_post")]


def finished(engine: Engine) -> Run:
    """A week of two items of which all is completed; each of its tasks took a second."""
    run = week(engine.ledger, "A", Wanted("a", content_hash="1"), Wanted("b", content_hash="1"))
    for cell in ALL:
        work(engine, run, cell)
    return run


def work(engine: Engine, run: Run, cell: Cell) -> None:
    move_cell(engine.ledger, run, cell, CellMove("in_progress"))
    engine.clock.advance(1)
    move_cell(engine.ledger, run, cell, CellMove("completed"))
    engine.clock.advance(1)


def stale(ledger: Ledger, run: Run) -> list[str]:
    return [task.name for task in ledger.store.read(lambda tx: stale_tasks(tx, run))]


def test_tasks_of_an_item_that_changed_are_stale_and_so_is_the_roll_up(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = finished(anywhere)
    assert stale(ledger, run) == []
    sync(ledger, run, Wanted("a", content_hash="2"), Wanted("b", content_hash="1"))
    assert stale(ledger, run) == ["blog_post", "a/research", "a/content"]


@pytest.mark.parametrize("content_hash", [None, "1"])
def test_the_first_content_hash_of_an_item_and_the_same_one_are_no_change(
    engine: Engine, content_hash: str | None
) -> None:
    run = week(engine.ledger, "A", Wanted("a", content_hash=content_hash))
    work(engine, run, ("a", "research"))
    sync(engine.ledger, run, Wanted("a", content_hash="1"))
    assert stale(engine.ledger, run) == []


def test_what_began_before_the_change_is_stale_although_it_ended_after_it(engine: Engine) -> None:
    run = week(engine.ledger, "A", Wanted("a", content_hash="1"))
    move_cell(engine.ledger, run, ("a", "research"), CellMove("in_progress"))
    engine.clock.advance(1)
    sync(engine.ledger, run, Wanted("a", content_hash="2"))
    assert stale(engine.ledger, run) == []
    engine.clock.advance(1)
    move_cell(engine.ledger, run, ("a", "research"), CellMove("completed"))
    assert stale(engine.ledger, run) == ["a/research"]


def test_what_was_said_to_be_done_after_the_change_is_not_stale(engine: Engine) -> None:
    run = finished(engine)
    sync(engine.ledger, run, Wanted("a", content_hash="2"), Wanted("b", content_hash="1"))
    reopen_stale(engine.ledger, run)
    engine.clock.advance(1)
    move_cell(engine.ledger, run, ("a", "research"), CellMove("completed"))  # its last attempt began before
    assert stale(engine.ledger, run) == []


def test_tasks_of_a_removed_item_are_not_stale(engine: Engine) -> None:
    run = finished(engine)
    sync(engine.ledger, run, Wanted("a", content_hash="2"), Wanted("b", content_hash="1"))
    sync(engine.ledger, run, Wanted("b", content_hash="1"))
    assert stale(engine.ledger, run) == []


def test_what_is_stale_is_taken_up_again_in_one_go(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = finished(anywhere)
    sync(ledger, run, Wanted("a", content_hash="2"), Wanted("b", content_hash="1"))
    rehearsed = reopen_stale(ledger, run, dry_run=True)
    assert (rehearsed.names, rehearsed.run.status) == (["blog_post", "a/research", "a/content"], "completed")
    assert stale(ledger, run) == rehearsed.names
    reopened = reopen_stale(ledger, run, note="the sources changed")
    assert (reopened.names, reopened.run.status, reopened.run.n_pending) == (rehearsed.names, "running", 3)
    assert stale(ledger, run) == reopen_stale(ledger, run).names == []
    told = [(event.verb, event.note) for event in history(ledger, find_task(ledger, "A:a/content")).events]
    assert told[-2:] == [("complete", None), ("reopen", "the sources changed")]
    for cell in (ALL[0], ALL[2], ALL[4]):
        work(anywhere, run, cell)
    assert stale(ledger, run) == []


def test_what_stands_on_a_task_that_was_done_again_is_taken_up_too(engine: Engine) -> None:
    run = finished(engine)
    move_cell(engine.ledger, run, ("a", "research"), CellMove("pending"))
    work(engine, run, ("a", "research"))
    assert stale(engine.ledger, run) == ["blog_post", "a/content"]


def test_every_view_shows_what_is_stale(engine: Engine) -> None:
    ledger = engine.ledger
    run = finished(engine)
    sync(ledger, run, Wanted("a", content_hash="2"), Wanted("b", content_hash="1"))
    content = cell_of(ledger, run, ("a", "content"))
    assert details(ledger, find_task(ledger, "A:a/research")).stale
    assert not details(ledger, find_task(ledger, "A:b/research")).stale
    assert content.id in overview(ledger, run).stale
    table = ledger.store.read(lambda tx: matrix_page(tx, run, WEEKS, 10))
    shown = {f"{row.item.name}/{key}": view.stale for row in table.rows for key, view in row.cells.items()}
    assert shown == {"a/research": True, "a/content": True, "b/research": False, "b/content": False}
    assert table.group["blog_post"].stale
    seen = situation(ledger, run)
    words = {reason.text: reason.command for reason in explain_run(seen) if reason.cause == "stale"}
    again = "tasktrail reopen --stale A"
    assert words == {
        "a/research is completed, but stale: item a became another one": again,
        "a/content is completed, but stale: a/research is stale": again,
        "blog_post is completed, but stale: a/content is stale": again,
    }
    assert explain_task(seen, content)[0].cause == "stale"


def test_stale_tasks_of_a_plan_are_taken_up_with_all_that_stands_on_them(engine: Engine) -> None:
    ledger = engine.ledger
    drafts = (TaskDraft("A"), TaskDraft("B", needs=(Need("A"),)), TaskDraft("C", needs=(Need("B"),)), TaskDraft("D"))
    run = ledger.create_run(RunDraft("plan", "p", "p", drafts))
    for key in "ABCD":
        ledger.ask(engine.task(run.id, key).id, Ask("complete"))
    ledger.ask(engine.task(run.id, "A").id, Ask("reopen"))
    assert reopen_stale(ledger, run).names == ["B", "C"]
    assert engine.run(run.id).n_pending == 3


def test_steps_that_code_executes_are_left_to_retry(engine: Engine) -> None:
    run_id = engine.new(TaskDraft("a"))
    with pytest.raises(WrongState, match="retry does them again"):
        reopen_stale(engine.ledger, engine.run(run_id))


def test_a_matrix_without_needs_shows_what_is_stale(engine: Engine) -> None:
    ledger = engine.ledger
    run = week(ledger, "A", Wanted("a", content_hash="1"), grid=Grid("sets", (TaskType("scan"),), ("scan",)))
    work(engine, run, ("a", "scan"))
    sync(ledger, run, Wanted("a", content_hash="2"))
    assert details(ledger, find_task(ledger, "A:a/scan")).stale
