"""Plans in a store, on every database: lists, what comes next, marks and edits; each history folds to its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_lists import ListWritten, PlanTaskEdit, edit_task, write_list
from tasktrail.engine.plans import (
    NoPlan,
    NoTask,
    add_note,
    mark_task,
    next_task,
    page_of_tasks,
    plan_in,
    read_plan,
    task_in,
)
from tasktrail.engine.verification import verify
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Note, PlanTask
from tasktrail.model.task import Status
from tasktrail.store.opening import open_store
from tasktrail.store.transaction import Transaction
from tasktrail.testing import FakeClock, FixedIds

SECRET = "hunter2-" + "Tr0ub4dor"


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty store; whatever a test did to it, its history must fold to its rows."""
    with ExitStack() as stack:
        url = str(tmp_path / "tasks.db")
        if request.param == "postgres":
            url = stack.enter_context(request.getfixturevalue("server").schema())
        store = stack.enter_context(closing(open_store(url)))
        yield Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds())
        assert verify(store) == []


def plan(key: str, *needs: str, title: str = "", priority: int = 3, status: Status = "pending") -> PlanTask:
    return PlanTask(key, title or f"Do {key}", status, priority, needs)


def write(ledger: Ledger, *tasks: PlanTask, standing: tuple[str, ...] = ()) -> ListWritten:
    return write_list(ledger, "p", tasks, standing)


def tasks_of(ledger: Ledger) -> dict[str, PlanTask]:
    found = read_plan(ledger, "p")
    assert found is not None
    return {task.key: task for task in found.tasks}


def next_key(ledger: Ledger, *, skip_needs: bool = False) -> str | None:
    found = next_task(ledger, "p", skip_needs=skip_needs).task
    return found.key if found else None


# ------------------------------------------------------------------------------------------------------------- lists


@pytest.mark.requirement("JB-014")
def test_a_list_that_cannot_be_a_plan_is_refused_with_every_fault_and_nothing_is_written(ledger: Ledger) -> None:
    with pytest.raises(BadInput) as caught:
        write(ledger, plan("A", "B"), plan("B", "A"), plan("C", "X"), plan("D", "D"), plan("E"), plan("E"))

    assert caught.value.details == (
        "task E is given 2 times",
        "task C needs X, which does not exist",
        "task D needs itself",
        "tasks need each other in a cycle: A -> B -> A",
    )
    assert read_plan(ledger, "p") is None


@pytest.mark.requirement("JB-012")
def test_a_new_list_keeps_the_progress_of_tasks_it_has_and_says_what_changed(ledger: Ledger) -> None:
    write(ledger, plan("A"), plan("B", "A"), plan("C"), plan("G"))
    mark_task(ledger, "p", "A", "completed", result="it works")

    written = write(ledger, plan("N", "A"), plan("B", "N", title="Do B well"), plan("A"), plan("C"))

    assert (written.added, written.changed, written.removed) == (["N"], ["B"], ["G"])
    now = tasks_of(ledger)
    assert [(one.key, one.status, one.needs) for one in now.values()] == [
        ("N", "pending", ("A",)),
        ("B", "pending", ("N",)),
        ("A", "completed", ()),
        ("C", "pending", ()),
    ]
    assert (now["A"].result, now["B"].title) == ("it works", "Do B well")
    assert next_key(ledger) == "N", "ties go by the order of the list"


def test_the_same_list_again_changes_nothing(ledger: Ledger) -> None:
    tasks = (plan("A"), plan("B", "A", priority=1))
    write(ledger, *tasks)
    before = tasks_of(ledger)

    written = write(ledger, *tasks)

    assert (written.added, written.changed, written.removed) == ([], [], [])
    assert tasks_of(ledger) == before


@pytest.mark.parametrize("failing", ["A", "B", "C"])
def test_needs_can_be_turned_round_without_a_cycle_on_the_way(ledger: Ledger, failing: str) -> None:
    write(ledger, plan("A"), plan("B", "A"), plan("C", "B"), plan("D", "C"))
    mark_task(ledger, "p", failing, "failed")

    write(ledger, plan("D", "B"), plan("A", "B"), plan("B", "C"), plan("C"))

    assert next_key(ledger) == (None if failing == "C" else "C")
    assert [one.key for one in next_task(ledger, "p").blocked] == (["D", "A", "B"] if failing == "C" else [])


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", range(12))
def test_whatever_list_comes_after_whatever_other_all_counters_are_right(ledger: Ledger, seed: int) -> None:
    draw = Random(seed)
    statuses: list[Status] = ["pending", "in_progress", "completed", "failed"]
    for _ in range(5):
        keys = draw.sample("ABCDEFGH", draw.randint(3, 8))
        tasks = [plan(key, *draw.sample(keys[:place], min(place, 2))) for place, key in enumerate(keys)]
        draw.shuffle(tasks)

        write(ledger, *tasks)
        for key in keys[::3]:
            mark_task(ledger, "p", key, draw.choice(statuses))

        assert verify(ledger.store) == []
        assert {key: task.needs for key, task in tasks_of(ledger).items()} == {task.key: task.needs for task in tasks}


def test_a_task_that_was_removed_comes_back_as_a_new_one_and_is_not_found_meanwhile(ledger: Ledger) -> None:
    write(ledger, plan("A"), plan("B", "A"))
    mark_task(ledger, "p", "A", "in_progress")
    write(ledger, plan("B"))
    with pytest.raises(NoTask):
        mark_task(ledger, "p", "A", "completed")

    written = write(ledger, plan("B", "A"), plan("A"))

    assert (written.added, next_key(ledger)) == (["A"], "A")
    assert (tasks_of(ledger)["A"].status, tasks_of(ledger)["A"].attempts) == ("pending", 1)


@pytest.mark.requirement("JB-011")
def test_where_a_list_says_where_tasks_stand_they_are_brought_there(ledger: Ledger) -> None:
    done = PlanTask("A", "Do A", "completed", result="done", completed_at=5_000_000, notes=(Note("well", 4_000_000),))
    write(ledger, done, plan("B", "A"), standing=("A",))
    assert next_key(ledger) == "B"

    written = write(ledger, done, plan("B", "A", status="failed"), standing=("A", "B"))

    now = tasks_of(ledger)
    assert (written.changed, now["B"].status) == (["B"], "failed")
    assert (now["A"].result, now["A"].completed_at, len(now["A"].notes)) == ("done", 5_000_000, 1)
    assert now["A"].notes[0].at == 4_000_000


# -------------------------------------------------------------------------------------------------------------- next


@pytest.mark.requirement("JB-032", "JB-035")
def test_the_most_urgent_task_comes_next_and_needs_can_be_passed_over(ledger: Ledger) -> None:
    write(ledger, plan("A"), plan("B", priority=2), plan("C", "A", priority=1), plan("D", priority=2))

    assert next_key(ledger) == "B"
    assert next_key(ledger, skip_needs=True) == "C"


@pytest.mark.requirement("JB-033", "JB-036")
def test_where_nothing_can_start_it_is_said_which_tasks_never_can_and_why(ledger: Ledger) -> None:
    write(ledger, plan("A"), plan("B", "A"), plan("C", "B"))
    mark_task(ledger, "p", "A", "in_progress")
    assert next_task(ledger, "p").blocked == []

    mark_task(ledger, "p", "A", "failed")

    found = next_task(ledger, "p")
    assert (found.task, found.n_blocked) == (None, 2)
    assert [(one.key, one.reason) for one in found.blocked] == [
        ("B", "needs A, which is failed"),
        ("C", "needs B, which can no longer start"),
    ]


@pytest.mark.requirement("JB-036")
def test_a_task_that_needs_what_does_not_exist_is_named_with_what_it_needs(ledger: Ledger) -> None:
    write(ledger, plan("A"))
    ghost = {"position": 0, "needed_key": "ghost", "needed_id": None, "optional": False}

    def need_a_ghost(tx: Transaction) -> None:
        run = plan_in(tx, "p")
        task = task_in(tx, run, "A")
        tx.execute("add_need", {"task_id": task.id, **ghost})
        tx.count(run.id, n_needs=1)
        tx.shift(task, 1, 0)

    ledger.commit(need_a_ghost)
    found = next_task(ledger, "p")
    assert [(one.key, one.reason) for one in found.blocked] == [("A", "needs ghost, which does not exist")]
    assert (found.task, found.n_blocked) == (None, 1)


def test_without_a_plan_nothing_comes_next_and_nothing_can_be_marked(ledger: Ledger) -> None:
    assert (next_task(ledger, "p").task, next_task(ledger, "p").n_tasks) == (None, 0)
    with pytest.raises(NoPlan):
        mark_task(ledger, "p", "A", "completed")


def test_tasks_come_in_pages_by_status_and_by_what_is_said_of_them(ledger: Ledger) -> None:
    write(ledger, plan("A"), plan("gone"), plan("B", title="50% off"), plan("C"))
    write(ledger, plan("A"), plan("B", title="50% off"), plan("C"))
    mark_task(ledger, "p", "C", "completed", result="All GOOD")

    first = page_of_tasks(ledger, "p", limit=2)
    rest = page_of_tasks(ledger, "p", limit=2, cursor=first.cursor)

    assert ([one.key for one in first.tasks], [one.key for one in rest.tasks], rest.cursor) == (["A", "B"], ["C"], None)
    assert [one.key for one in page_of_tasks(ledger, "p", status="completed").tasks] == ["C"]
    assert [one.key for one in page_of_tasks(ledger, "p", words="good").tasks] == ["C"]
    assert [one.key for one in page_of_tasks(ledger, "p", words="0%").tasks] == ["B"]


# ------------------------------------------------------------------------------------------------------------- marks


@pytest.mark.requirement("JB-019", "JB-022")
@pytest.mark.parametrize("target", ["pending", "in_progress", "completed", "failed"])
@pytest.mark.parametrize("source", ["pending", "in_progress", "completed", "failed"])
def test_every_status_follows_every_other(ledger: Ledger, source: Status, target: Status) -> None:
    write(ledger, plan("A"), plan("B", "A"))
    mark_task(ledger, "p", "B", source)

    mark_task(ledger, "p", "B", target, note="said once")

    found = tasks_of(ledger)["B"]
    assert (found.status, [note.text for note in found.notes]) == (target, ["said once"])
    assert (found.completed_at is not None) == (target in ("completed", "failed"))
    assert found.attempts == (source == "in_progress") + (target == "in_progress")


def test_a_start_that_passes_over_needs_says_so(ledger: Ledger) -> None:
    write(ledger, plan("A"), plan("B", "A"))

    mark_task(ledger, "p", "B", "in_progress")

    assert tasks_of(ledger)["B"].reason == "started although 1 of its needs were not met"


@pytest.mark.requirement("JB-023", "JB-024")
def test_a_task_that_is_pending_again_has_no_result_which_its_history_keeps(ledger: Ledger) -> None:
    write(ledger, plan("A"))
    mark_task(ledger, "p", "A", "in_progress")
    mark_task(ledger, "p", "A", "completed", result="first")

    mark_task(ledger, "p", "A", "pending", note="again")

    found = tasks_of(ledger)["A"]
    assert (found.result, found.completed_at, found.attempts) == (None, None, 1)
    assert found.started_at is not None
    run = read_plan(ledger, "p")
    assert run is not None
    rows = ledger.store.read(lambda tx: tx.rows("fold_events", run_id=run.run.id))
    assert any('"summary":["first",null]' in str(row[7]) for row in rows)


@pytest.mark.requirement("JB-030")
def test_a_repeated_mark_keeps_the_first_result_and_fills_an_empty_one(ledger: Ledger) -> None:
    write(ledger, plan("A"))
    mark_task(ledger, "p", "A", "completed")
    at = tasks_of(ledger)["A"].completed_at

    assert mark_task(ledger, "p", "A", "completed", result="good").notes == ()
    assert mark_task(ledger, "p", "A", "completed", result="good").notes == ()
    assert mark_task(ledger, "p", "A", "completed", result="better").notes == ("result",)

    found = tasks_of(ledger)["A"]
    assert (found.result, found.completed_at, [note.text for note in found.notes]) == ("good", at, ["better"])
    assert len(found.history) == 1


@pytest.mark.requirement("JB-057", "JB-063")
def test_every_move_is_in_the_history_with_who_and_when(ledger: Ledger) -> None:
    write(ledger, plan("A"))
    mark_task(ledger, "p", "A", "in_progress")
    mark_task(ledger, "p", "A", "failed")
    mark_task(ledger, "p", "A", "in_progress")

    moves = tasks_of(ledger)["A"].history

    assert [(move.from_status, move.to_status, move.actor) for move in moves] == [
        ("pending", "in_progress", "ann"),
        ("in_progress", "failed", "ann"),
        ("failed", "pending", "ann"),
        ("pending", "in_progress", "ann"),
    ]
    assert all(move.at == ledger.clock.now() for move in moves)


def test_results_and_notes_are_scrubbed(ledger: Ledger) -> None:
    write(ledger, plan("A"))

    mark_task(ledger, "p", "A", "completed", note=f"password={SECRET}", result=f"password={SECRET}")
    add_note(ledger, "p", "A", f"password={SECRET}")

    found = tasks_of(ledger)["A"]
    assert found.result == "password=[secret]"
    assert [note.text for note in found.notes] == ["password=[secret]"] * 2


# ------------------------------------------------------------------------------------------------------------- edits


@pytest.mark.requirement("JB-042", "JB-061")
def test_an_edit_exchanges_needs_and_priority_and_refuses_a_cycle(ledger: Ledger) -> None:
    write(ledger, plan("A"), plan("B", "A"), plan("C"))
    edited = edit_task(ledger, "p", "C", PlanTaskEdit(priority=1, needs=("B",), extra={"module": "auth"}))
    assert (edited.priority, edited.needs, edited.extra) == (1, ("B",), {"module": "auth"})
    assert edited.updated_at == ledger.clock.now()
    assert next_key(ledger) == "A"

    with pytest.raises(BadInput) as caught:
        edit_task(ledger, "p", "A", PlanTaskEdit(title="other", needs=("C", "X")))

    assert caught.value.details == (
        "task A needs X, which does not exist",
        "tasks need each other in a cycle: A -> C -> B -> A",
    )
    assert tasks_of(ledger)["A"].title == "Do A"
