"""What is read of matrices straight from the store is what their picture says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktrail.engine.cells import CellMove
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import (
    move_cell,
    new_cell,
    picture_of,
    save_matrix,
    standing_of,
)  # fmt: skip
from tasktrail.engine.matrix_views import (
    ReadyPage,
    can_start,
    counts,
    counts_by_type,
    matrices_of,
    matrix_page,
    pending_items,
    ready_page,
    unmet_of,
)  # fmt: skip
from tasktrail.engine.verification import verify
from tasktrail.formats.picture import Picture
from tasktrail.model.errors import BadInput
from tasktrail.model.lifecycle import Ask, Failure, allowed
from tasktrail.model.matrix import Cell, Grid, Standing, TaskType, Wanted
from tasktrail.model.run import Run
from tasktrail.model.task import REMOVED, STATUSES, Status
from tasktrail.store.opening import open_store
from tasktrail.store.queries import queries
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Transaction
from tasktrail.testing import FakeClock
from tests.engine.executing import Engine
from tests.engine.matrices import WEEKS, cell_of, sync, week
from tests.postgres import Server


def ready(
    ledger: Ledger, *runs: Run, limit: int = 100, after: str | None = None, agent: str | None = None,
    key: str | None = None,
) -> ReadyPage:  # fmt: skip
    """What may start in them now."""
    now = ledger.clock.now()
    return ledger.store.read(lambda tx: ready_page(tx, runs, WEEKS, now, limit, after, agent, key))


def names(page: ReadyPage) -> list[str]:
    """The cells of a page as they are written."""
    return [f"{one.group}:{one.task.name}" for one in page.cells]


# ------------------------------------------------------------------------------------------------- the pure version


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Types that need earlier ones, of their item or of all, or that a type's condition leaves out."""
    n = draw(st.integers(1, 5))
    types: list[TaskType] = []
    for place in range(n):
        needs = draw(st.lists(st.sampled_from([one.name for one in types]), unique=True)) if types else []
        when = draw(st.sampled_from([None, "item.size == 1"]))
        is_group_level = draw(st.booleans())
        types.append(TaskType(f"t{place}", tuple(needs), is_group_level, when=None if is_group_level else when))
    of_items = [one.name for one in types if not one.is_group_level]
    of_group = [one.name for one in types if one.is_group_level]
    return Grid("weeks", tuple(types), tuple(of_items), tuple(of_group), draw(st.booleans()))


class Step(NamedTuple):
    """Something that is done to a matrix; what it does not need of this, it passes over."""

    what: str
    place: int
    status: Status
    items: Sequence[str]
    size: int


ITEMS = ("a", "b", "c", "é", "Z")
some_items = st.lists(st.sampled_from(ITEMS), unique=True)
one_step = st.builds(
    Step, st.sampled_from(["move", "sync", "take out", "reopen", "odd"]), st.integers(0, 30),
    st.sampled_from(STATUSES), some_items, st.integers(0, 2),
)  # fmt: skip


@given(grids(), st.lists(one_step, max_size=12))
@settings(max_examples=150)
@pytest.mark.requirement("CN-066", "CN-067", "CN-070")
def test_the_store_answers_what_the_picture_says(grid: Grid, steps: Sequence[Step]) -> None:
    """Whatever was moved, synchronised and taken out of a document before."""
    with closing(open_store("memory:")) as store:
        check_all(store, grid, steps)


@given(grids(), st.lists(one_step, max_size=12))
@settings(max_examples=15)
def test_a_server_answers_the_same(server: Server, grid: Grid, steps: Sequence[Step]) -> None:
    with server.schema() as url, closing(open_store(url)) as store:
        check_all(store, grid, steps)


def check_all(store: Store, grid: Grid, steps: Sequence[Step]) -> None:
    ledger = Ledger(store, actor="tester", clock=FakeClock())
    run = week(ledger, "A", "a", "b", "Z", grid=grid)
    for step in steps:
        take(ledger, run, grid, step)
    picture = picture_of(ledger, run)
    standing = standing_of(picture, grid)
    ledger.store.read(lambda tx: check_counts(tx, run, grid, standing))
    ledger.store.read(lambda tx: check_ready(tx, run, grid, standing, picture))
    ledger.store.read(lambda tx: check_table(tx, run, grid, standing, picture))
    assert verify(ledger.store) == []


def take(ledger: Ledger, run: Run, grid: Grid, step: Step) -> None:
    """Do it, as far as there is anything to do it to."""
    picture = picture_of(ledger, run)
    if step.what == "sync":
        sync(ledger, run, *(Wanted(name, {"size": step.size}) for name in step.items))
    elif step.what == "reopen":  # a person may, also what its item's removal skipped
        tasks = ledger.store.read(lambda tx: tx.tasks("steps_of_run", run_id=run.id))
        for task in tasks[step.place : step.place + 1]:
            if "reopen" in allowed(task.status) and task.reason != REMOVED:
                ledger.ask(task.id, Ask("reopen"))
    elif step.what == "odd":  # a document may have tasks of types that are none
        odd = [replace(new_cell(grid, (name, "odd")), status=step.status) for name in step.items]
        there, items = picture.by_name(), picture.item_by_name()
        added = tuple(task for task in odd if task.item in items and task.name not in there)
        save_matrix(ledger, run, picture, replace(picture, tasks=(*picture.tasks, *added)), {})
    elif picture.tasks:
        one = picture.tasks[step.place % len(picture.tasks)]
        now = [] if step.what == "take out" else [replace(one, status=step.status)]
        others = [task for task in picture.tasks if task is not one]
        save_matrix(ledger, run, picture, replace(picture, tasks=(*others, *now)), {})


def check_counts(tx: Transaction, run: Run, grid: Grid, standing: Standing) -> None:
    for key in (None, *grid.by_name, "odd"):
        assert counts(tx, run, key) == standing.counts(key)


def check_ready(tx: Transaction, run: Run, grid: Grid, standing: Standing, picture: Picture) -> None:
    page = ready_page(tx, [run], grid, 2**60, 1000)
    assert [(one.task.item, one.task.key) for one in page.cells] == standing.ready()
    assert page.total == len(standing.ready())
    for cell in [*standing.present, *((item, key) for item in standing.items for key in grid.item_tasks)]:
        assert [name for name, _ in unmet_of(tx, run, grid, cell)] == standing.unmet(cell)
        assert can_start(tx, run, grid, cell) == (not standing.unmet(cell))
    for key in grid.item_tasks:
        names = [item.name for item in picture.items if (item.name, key) in standing.ready()]
        assert pending_items(tx, run, key) == names


def check_table(tx: Transaction, run: Run, grid: Grid, standing: Standing, picture: Picture) -> None:
    table = matrix_page(tx, run, grid, 100)
    shown = {(row.item.name, key): view.task.status for row in table.rows for key, view in row.cells.items()}
    shown.update({("", key): view.task.status for key, view in table.group.items()})
    assert shown == standing.present
    assert [row.item.name for row in table.rows] == [item.name for item in picture.items if not item.removed]
    totals = {key: Counter(s for (item, k), s in shown.items() if item and k == key) for key in table.types}
    assert table.totals == totals


# ------------------------------------------------------------------------------------------------------ counts, ready


@pytest.mark.requirement("CN-066", "CN-067", "CN-068")
def test_progress_counts_items_that_are_there_and_the_groups_own_tasks(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "P1", "P2", "P3")
    move_cell(ledger, run, ("P1", "research"), CellMove("completed"))
    sync(ledger, run, "P1", "P2")
    found = ledger.store.read(lambda tx: [counts(tx, run, key) for key in (None, "research", "blog_post")])
    assert found == [{"completed": 1, "pending": 4}, {"completed": 1, "pending": 1}, {"pending": 1}]


def test_what_is_gone_twice_counts_for_nothing_once(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "P1", "P2")
    loaded = picture_of(ledger, run)
    left = tuple(task for task in loaded.tasks if task.name != "P1/research")
    save_matrix(ledger, run, loaded, replace(loaded, tasks=left), {})
    sync(ledger, run, "P2")
    move_cell(ledger, run, ("P2", "research"), CellMove("skipped"))
    assert ledger.store.read(lambda tx: counts(tx, run)) == {"pending": 2, "skipped": 1}
    assert ledger.store.read(lambda tx: counts_by_type(tx, run, ["research"])) == {"research": {"skipped": 1}}


def test_a_reopened_task_of_a_removed_item_is_not_ready(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "P1", "P2")
    sync(ledger, run, "P2")
    ledger.ask(cell_of(ledger, run, ("P1", "research")).id, Ask("reopen"))
    page = ready(ledger, run)
    assert names(page) == ["A:P2/research"]
    assert page.total == 1


@pytest.mark.requirement("CN-070", "CN-084")
def test_ready_cells_of_all_groups_come_page_by_page(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    second, first, third = week(ledger, "B", "x"), week(ledger, "A", "z", "a/b"), week(ledger, "C", "done")
    move_cell(ledger, first, ("z", "research"), CellMove("completed"))
    for key in ("research", "content"):
        move_cell(ledger, third, ("done", key), CellMove("completed"))
    runs = ledger.store.read(lambda tx: matrices_of(tx, "weeks"))
    assert [run.name for run in runs] == ["A", "B", "C"]
    found, cursor = list[str](), None
    for _ in range(4):
        page = ready(ledger, third, second, first, limit=1, after=cursor)
        found, cursor = [*found, *names(page)], page.cursor
        assert page.total == 4
    assert found == ["A:z/content", "A:a/b/research", "B:x/research", "C:blog_post"]
    assert cursor is None


def test_a_page_goes_on_behind_a_cell_that_is_ready_no_more(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "a", "b", "c")
    page = ready(ledger, run, limit=2)
    move_cell(ledger, run, ("b", "research"), CellMove("completed"))
    assert names(ready(ledger, run, after=page.cursor)) == ["A:c/research"]


@pytest.mark.parametrize("cursor", ["", "A", ":research", "A:", "A:x/"])
def test_a_cursor_that_is_none_is_refused(anywhere: Engine, cursor: str) -> None:
    run = week(anywhere.ledger, "A", "a")
    with pytest.raises(BadInput, match="cursor"):
        ready(anywhere.ledger, run, after=cursor)


@pytest.mark.requirement("CN-084")
def test_ready_cells_of_an_agent_are_those_that_say_so(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "a", "b", "c")
    move_cell(ledger, run, ("a", "research"), CellMove("completed"))
    move_cell(ledger, run, ("c", "research"), CellMove("pending", details={"agent": "writer"}))
    page = ready(ledger, run, agent="writer", limit=1)
    assert (names(page), page.total) == (["A:a/content"], 2)
    assert names(ready(ledger, run, agent="writer", after=page.cursor)) == ["A:c/research"]
    assert ready(ledger, run, agent="nobody").total == 0
    move_cell(ledger, run, ("c", "research"), CellMove("pending", details={"output_file": "a\0b"}))
    assert names(ready(ledger, run, agent="writer", after=page.cursor)) == ["A:c/research"]
    assert page.cells[0].agent == "writer"


@pytest.mark.requirement("CN-084")
def test_ready_cells_of_a_type_are_counted_and_paged_alone(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    first, second = week(ledger, "A", "a", "b"), week(ledger, "B", "c")
    move_cell(ledger, first, ("a", "research"), CellMove("completed"))
    page = ready(ledger, first, second, key="research", limit=1)
    assert (names(page), page.total) == (["A:b/research"], 2)
    last = ready(ledger, first, second, key="research", limit=1, after=page.cursor)
    assert (names(last), last.cursor) == (["B:c/research"], None)
    assert names(ready(ledger, first, second, key="content", agent="writer")) == ["A:a/content"]
    assert ready(ledger, first, second, key="blog_post").total == 0
    for cell in (("c", "research"), ("c", "content")):
        move_cell(ledger, second, cell, CellMove("completed"))
    assert names(ready(ledger, first, second, key="blog_post")) == ["B:blog_post"]


def test_what_waits_for_its_time_is_not_ready_before(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "a", "b")
    move_cell(ledger, run, ("a", "research"), CellMove("in_progress"))
    task = cell_of(ledger, run, ("a", "research")).id
    ledger.ask(task, Ask("retry", failure=Failure("", "later"), not_before=ledger.clock.now() + 5_000_000))
    page = ready(ledger, run)
    assert (names(page), page.total) == (["A:b/research"], 1)
    assert ledger.store.read(lambda tx: pending_items(tx, run, "research")) == ["a", "b"]
    anywhere.clock.advance(5)
    assert ready(ledger, run).total == 2


@pytest.mark.requirement("CN-051", "CN-052", "CN-055", "CN-056")
def test_a_task_that_is_not_there_yet_waits_for_what_its_type_needs(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "P1", "P2", grid=replace(WEEKS, item_tasks=("research",), group_tasks=()))
    cells: list[Cell] = [("P1", "content"), ("", "blog_post")]

    def unmet() -> list[list[str]]:
        return ledger.store.read(lambda tx: [[name for name, _ in unmet_of(tx, run, WEEKS, cell)] for cell in cells])

    assert unmet() == [["P1/research"], ["P1/content", "P2/content"]]
    move_cell(ledger, run, ("P1", "research"), CellMove("completed"))
    assert unmet() == [[], ["P1/content", "P2/content"]]
    assert ledger.store.read(lambda tx: can_start(tx, run, WEEKS, ("P1", "content")))
    sync(ledger, run)
    assert unmet()[1] == ["* /content"]


# -------------------------------------------------------------------------------------------------------- the table


def test_the_table_comes_page_by_page_with_totals_of_all(anywhere: Engine) -> None:
    ledger = anywhere.ledger
    run = week(ledger, "A", "c", "a", "gone", "b")
    sync(ledger, run, "c", "a", "b")
    for status in ("in_progress", "failed", "in_progress"):
        move_cell(ledger, run, ("c", "research"), CellMove(status))
    first = ledger.store.read(lambda tx: matrix_page(tx, run, WEEKS, 2))
    assert [row.item.name for row in first.rows] == ["c", "a"]
    assert (first.types, list(first.group)) == (["research", "content"], ["blog_post"])
    assert first.totals == {"research": {"in_progress": 1, "pending": 2}, "content": {"pending": 3}}
    cell = first.rows[0].cells["research"]
    assert (cell.task.status, cell.task.attempts, cell.agent, cell.stale) == ("in_progress", 2, "researcher", False)
    second = ledger.store.read(lambda tx: matrix_page(tx, run, WEEKS, 2, first.cursor))
    assert ([row.item.name for row in second.rows], second.group, second.cursor) == (["b"], {}, None)


# ------------------------------------------------------------------------------------------------------ how it is read


@pytest.mark.parametrize("name", ["cell_counts", "count_ready_cells"])
def test_totals_are_read_from_the_index_of_cells_alone(engine: Engine, name: str) -> None:
    text = queries("sqlite")[name]
    of = {"run_id": 1, "names": "[]", "ids": "[]"}

    def work(tx: Transaction) -> str:
        planning = tx.with_queries({"plan": f"EXPLAIN QUERY PLAN {text}"})
        rows = planning.execute("plan", {key: value for key, value in of.items() if f":{key}" in text})
        return "\n".join(str(row[3]) for row in rows)

    assert "USING COVERING INDEX task_cell" in engine.ledger.store.read(work)


def test_the_reason_of_what_is_taken_out_is_the_one_of_its_index() -> None:
    assert f"'{REMOVED}'" in queries("sqlite")["cells_out"]
