"""Undo on every database: what comes back, what does not, what it is refused over; each history folds to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktrail.engine.batches import TaskMark, mark_tasks
from tasktrail.engine.claims import claim_next, end_claim
from tasktrail.engine.drafts import RunEdit, TaskEdit, save
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import history
from tasktrail.engine.plan_lists import PlanTaskEdit, edit_task, write_list
from tasktrail.engine.plans import add_note, existing_plan, found_task, mark_task, read_plan
from tasktrail.engine.undo import Undone, of_actor, of_batch, of_event, of_task, undo
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Conflict, Held, LeaseLost, NotFound, TasktrailError, WrongState
from tasktrail.model.lifecycle import Ask
from tasktrail.model.plan import PlanTask
from tasktrail.model.task import STATUSES, Status
from tasktrail.model.undoing import Told
from tasktrail.store.opening import open_store
from tasktrail.store.transaction import Transaction
from tasktrail.testing import FakeClock, FixedIds


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A plan A, B after A, C; whatever a test did to it, its history must fold to its rows."""
    with ExitStack() as stack:
        url = str(tmp_path / "tasks.db")
        if request.param == "postgres":
            url = stack.enter_context(request.getfixturevalue("server").schema())
        store = stack.enter_context(closing(open_store(url)))
        ledger = a_plan(Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds()))
        yield ledger
        assert verify(store) == []


def a_plan(ledger: Ledger) -> Ledger:
    write_list(ledger, "p", [plan("A"), plan("B", "A"), plan("C")])
    return ledger


def plan(key: str, *needs: str, title: str = "", priority: int = 3) -> PlanTask:
    return PlanTask(key, title or f"Do {key}", "pending", priority, needs)


def state(ledger: Ledger) -> dict[str, PlanTask]:
    """All that undo brings back; a task in progress comes back as pending, and starts stay counted."""
    now = read_plan(ledger, "p")
    return {
        one.key: replace(
            one,
            status="pending" if one.status == "in_progress" else one.status,
            attempts=0,
            updated_at=None,
            status_updated_at=None,
            history=(),
        )
        for one in (now.tasks if now else ())
    }


def last(ledger: Ledger, key: str, verb: str | None = None) -> int:
    """The number of the last event of a task."""
    events = history(ledger, found_task(ledger, "p", key)).events
    return max(event.seq for event in events if verb in (None, event.verb))


def undo_last(ledger: Ledger, key: str, *, dry_run: bool = False) -> Undone:
    return undo(ledger, of_task(found_task(ledger, "p", key)), dry_run=dry_run)


def since(ledger: Ledger, after: int) -> Callable[[Transaction], list[Told]]:
    """All changes of tasks behind an event."""
    run = ledger.store.read(lambda tx: existing_plan(tx, "p"))

    def select(tx: Transaction) -> list[Told]:
        rows = tx.rows("told_of_run", run_id=run.id, after=after, before=None)
        events = [Told._make(row) for row in rows]
        return [event for event in events if event.task_id is not None or event.verb == "added"]

    return select


def end_of_log(ledger: Ledger) -> int:
    row = ledger.store.read(lambda tx: tx.row("last_event"))
    assert row is not None
    return int(str(row[0]))


# ------------------------------------------------------------------------------------------------------ what comes back


@pytest.mark.parametrize("status", ["completed", "failed", "blocked", "skipped", "cancelled"])
def test_a_move_is_taken_back_by_a_new_event_that_names_it(ledger: Ledger, status: Status) -> None:
    before = state(ledger)
    mark_task(ledger, "p", "A", status, note="so it is", result="a result")
    number = last(ledger, "A")

    done = undo(ledger, of_event(number)).tasks

    assert state(ledger) == before
    assert [(one.task, one.events, one.from_status, one.to_status) for one in done] == [
        ("A", [number], status, "pending")
    ]
    newest = history(ledger, found_task(ledger, "p", "A")).events[-1]
    assert (newest.verb, newest.note, newest.changes["undoes"]) == ("undo", f"undo of {number}", [None, [number]])


def test_what_was_reopened_is_completed_again_with_its_result_and_time(ledger: Ledger) -> None:
    mark_task(ledger, "p", "A", "completed", result="it works")
    before = state(ledger)
    mark_task(ledger, "p", "A", "pending")

    undo_last(ledger, "A")

    assert state(ledger) == before
    assert state(ledger)["A"].result == "it works"


def test_an_edit_is_taken_back_in_all_its_parts(ledger: Ledger) -> None:
    before = state(ledger)
    edit_task(ledger, "p", "C", PlanTaskEdit("Another", 1, ("B",), {"module": "x"}))

    (done,) = undo_last(ledger, "C").tasks

    assert state(ledger) == before
    assert sorted(done.fields) == ["metadata", "needs", "priority", "title"]
    mark_task(ledger, "p", "C", "completed")
    assert state(ledger)["C"].status == "completed"


def test_an_edit_is_taken_back_although_the_task_moved_since(ledger: Ledger) -> None:
    edit_task(ledger, "p", "C", PlanTaskEdit("Another"))
    number = last(ledger, "C")
    mark_task(ledger, "p", "C", "completed", result="fine")

    undo(ledger, of_event(number))

    assert (state(ledger)["C"].title, state(ledger)["C"].status, state(ledger)["C"].result) == (
        "Do C", "completed", "fine",
    )  # fmt: skip


def test_a_note_that_is_undone_is_shown_no_more_and_the_history_keeps_it(ledger: Ledger) -> None:
    add_note(ledger, "p", "A", "wrong")
    number = last(ledger, "A")

    undo(ledger, of_event(number))

    assert state(ledger)["A"].notes == ()
    assert "wrong" in [event.note for event in history(ledger, found_task(ledger, "p", "A")).events]
    with pytest.raises(Conflict) as caught:
        undo(ledger, of_event(number))
    assert caught.value.details == (f"task A: event {number} (note by ann) was undone before",)
    undo_last(ledger, "A")
    assert [note.text for note in state(ledger)["A"].notes] == ["wrong"]


def test_undoing_an_undo_does_it_again(ledger: Ledger) -> None:
    mark_task(ledger, "p", "A", "completed", note="by hand", result="fine")
    done = state(ledger)
    undo_last(ledger, "A")
    undone = state(ledger)

    undo_last(ledger, "A")
    assert state(ledger) == done
    undo_last(ledger, "A")
    assert state(ledger) == undone


def test_tasks_that_were_added_are_taken_out_and_come_back(ledger: Ledger) -> None:
    before = state(ledger)
    write_list(ledger, "p", [plan("A"), plan("B", "A"), plan("C"), plan("D", "C"), plan("E", "D")])
    after = state(ledger)

    undone = undo(ledger, of_event(last_of_run(ledger, "added")))

    assert state(ledger) == before
    assert [one.task for one in undone.tasks] == ["D", "E"]
    undo(ledger, of_batch(undone.batches[0]))
    assert state(ledger) == after


def test_a_list_that_was_written_is_undone_as_a_whole(ledger: Ledger) -> None:
    mark_task(ledger, "p", "A", "completed")
    before = state(ledger)
    write_list(ledger, "p", [plan("C", "N", title="C anew"), plan("N", "A"), plan("A", priority=1)])
    assert set(state(ledger)) == {"A", "C", "N"}

    undo(ledger, of_event(last_of_run(ledger, "batch")))

    assert state(ledger) == before


def test_a_plan_that_was_created_is_emptied(ledger: Ledger) -> None:
    undo(ledger, of_event(last_of_run(ledger, "created")))

    assert state(ledger) == {}


def last_of_run(ledger: Ledger, verb: str) -> int:
    events = history(ledger, replace(found_task(ledger, "p", "A"), task=None)).events
    return max(event.seq for event in events if event.verb == verb)


# -------------------------------------------------------------------------------------------------- what does not come


def test_no_claim_is_brought_back_and_what_it_did_is_listed(ledger: Ledger) -> None:
    claim = claim_next(ledger, "p", owner="bo", lease_s=60).claim
    assert claim
    end_claim(ledger, "p", "A", claim.token, "completed", result="done")

    undone = undo_last(ledger, "A")

    task = found_task(ledger, "p", "A").task
    assert task
    assert (task.status, task.lease_token, task.attempts) == ("pending", None, 1)
    assert undone.tasks[0].remark == "it was in progress; no claim is brought back"
    assert undone.effects == ["attempt 1 of task A, by bo, really ran: what it did outside stays"]


def test_undoing_a_start_takes_the_task_from_its_holder_whose_answer_is_kept_as_late(ledger: Ledger) -> None:
    claim = claim_next(ledger, "p", owner="bo", lease_s=60).claim
    assert claim

    undo_last(ledger, "A")

    with pytest.raises(LeaseLost):
        end_claim(ledger, "p", "A", claim.token, "completed", result="too late")
    task = found_task(ledger, "p", "A")
    assert task.task
    assert (task.task.status, task.task.fence) == ("pending", 2)
    assert history(ledger, task).events[-1].verb == "late"
    with pytest.raises(Conflict):
        undo(ledger, of_event(last(ledger, "A", "start")))
    undo_last(ledger, "A")  # not the late answer, but the undo before it: no claim comes back


# --------------------------------------------------------------------------------------------------------- what refuses


def test_it_is_refused_by_name_where_a_later_event_stands_on_it(ledger: Ledger) -> None:
    mark_task(ledger, "p", "A", "completed")
    number = last(ledger, "A")
    mark_task(ledger, "p", "A", "pending")
    before = state(ledger)

    with pytest.raises(Conflict) as caught:
        undo(ledger, of_event(number))

    later = last(ledger, "A")
    assert caught.value.details == (
        f"task A: event {later} (reopen by ann) stands on event {number} (complete by ann)",
    )
    assert state(ledger) == before


def test_the_starts_of_a_dependant_are_one_line_of_the_refusal(ledger: Ledger) -> None:
    mark_task(ledger, "p", "A", "completed")
    for status in ("in_progress", "pending", "in_progress"):
        mark_task(ledger, "p", "B", status)

    with pytest.raises(Conflict) as caught:
        undo_last(ledger, "A")

    (fault,) = caught.value.details
    assert fault.endswith("(start by ann), and 1 more")


def test_it_is_refused_by_name_where_a_dependant_was_started_since(ledger: Ledger) -> None:
    mark_task(ledger, "p", "A", "completed")
    mark_task(ledger, "p", "B", "in_progress")

    with pytest.raises(Conflict) as caught:
        undo_last(ledger, "A")

    start = last(ledger, "B", "start")
    assert caught.value.details == (f"task A: task B needs it and was started since, event {start} (start by ann)",)
    undo_last(ledger, "B")
    with pytest.raises(Conflict, match="nothing was changed"):  # its attempt really began
        undo_last(ledger, "A")


def test_both_can_be_undone_together(ledger: Ledger) -> None:
    before, place = state(ledger), end_of_log(ledger)
    mark_task(ledger, "p", "A", "completed")
    mark_task(ledger, "p", "B", "in_progress")

    undone = undo(ledger, since(ledger, place))

    assert state(ledger) == before
    assert undone.effects == ["attempt 1 of task B, by ann, really ran: what it did outside stays"]


def test_a_start_stands_on_the_needs_that_it_found(ledger: Ledger) -> None:
    edit_task(ledger, "p", "B", PlanTaskEdit(needs=()))
    number = last(ledger, "B")
    mark_task(ledger, "p", "B", "in_progress")

    with pytest.raises(Conflict):
        undo(ledger, of_event(number))


def test_what_others_need_is_not_taken_out(ledger: Ledger) -> None:
    write_list(ledger, "p", [plan("A"), plan("B", "A"), plan("C"), plan("D")])
    edit_task(ledger, "p", "C", PlanTaskEdit(needs=("D",)))

    with pytest.raises(Conflict) as caught:
        undo(ledger, of_event(last_of_run(ledger, "added")))

    assert caught.value.details == ("task D: task C needs it, and was not added with it",)


def test_needs_that_would_make_a_cycle_do_not_come_back(ledger: Ledger) -> None:
    edit_task(ledger, "p", "B", PlanTaskEdit(needs=()))
    edit_task(ledger, "p", "A", PlanTaskEdit(needs=("B",)))

    with pytest.raises(Conflict) as caught:
        undo_last(ledger, "B")

    assert caught.value.details == ("tasks need each other in a cycle: A -> B -> A",)
    assert (state(ledger)["A"].needs, state(ledger)["B"].needs) == (("B",), ())


def test_a_step_that_a_process_executes_and_what_is_no_change_of_a_task_are_refused(ledger: Ledger) -> None:
    worker = ledger.store.write(
        lambda tx: tx.row("add_worker", name="w", host="h", pid=1, boot_id="b", lock_name="l", queues=None, labels=None,
                          at=1)
    )  # fmt: skip
    run = ledger.create_run(RunDraft("dag", "etl", "etl", (TaskDraft("fetch"),)))
    (task,) = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    assert worker
    ledger.ask(task.id, Ask("start", worker_id=int(str(worker[0]))))

    with pytest.raises(Held, match="fetch is being executed"):
        undo(ledger, of_actor("ann", 0, run))
    ledger.pause_run(run.id)
    with pytest.raises(WrongState, match="pause"):
        undo(ledger, of_event(end_of_log(ledger)))
    with pytest.raises(NotFound):
        undo(ledger, of_event(10_000))
    ledger.ask(task.id, Ask("complete", output="1", force=True))
    (done,) = undo(ledger, of_actor("ann", 0, run)).tasks
    assert (done.run, done.from_status, done.to_status) == ("etl", "completed", "pending")


def test_a_task_that_was_cancelled_with_its_run_can_start_again(ledger: Ledger) -> None:
    run = ledger.create_run(RunDraft("dag", "etl", "etl", (TaskDraft("fetch"),)))
    ledger.cancel_run(run.id)

    undo(ledger, of_actor("ann", 0, run))

    after = ledger.store.read(lambda tx: tx.run(run.id))
    assert (after.status, after.accepts_starts) == ("running", True)


def test_whether_a_failed_step_stops_its_run_is_counted_again(ledger: Ledger) -> None:
    run = ledger.create_run(RunDraft("dag", "etl", "etl", (TaskDraft("fetch"),)))
    (task,) = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    failed = ledger.ask(task.id, Ask("fail"))
    save(ledger, RunEdit(run.id, [TaskEdit(task.id, failed.version, definition={"critical": 0})]))
    assert not ledger.store.read(lambda tx: tx.run(run.id)).stopped

    undo(ledger, of_event(end_of_log(ledger)))

    assert ledger.store.read(lambda tx: tx.run(run.id)).stopped


def test_a_dry_run_says_the_same_and_changes_nothing(ledger: Ledger) -> None:
    mark_task(ledger, "p", "A", "completed", result="x")
    before, end = state(ledger), end_of_log(ledger)

    said = undo_last(ledger, "A", dry_run=True)

    assert (state(ledger), end_of_log(ledger)) == (before, end)
    assert undo_last(ledger, "A").tasks == said.tasks


# --------------------------------------------------------------------------------------------- actors and batches


def test_an_actors_changes_since_a_moment_are_undone_and_no_others(ledger: Ledger) -> None:
    clock = ledger.clock
    assert isinstance(clock, FakeClock)
    mark_task(ledger, "p", "A", "completed")
    before = state(ledger)
    clock.advance(10)
    bo = Ledger(ledger.store, actor="bo", clock=clock, ids=FixedIds())
    mark_task(bo, "p", "B", "completed")
    edit_task(bo, "p", "A", PlanTaskEdit("Bo was here"))
    add_note(bo, "p", "C", "and here")

    undone = undo(ledger, of_actor("bo", clock.now()), plan="p")

    assert state(ledger) == before
    assert [one.task for one in undone.tasks] == ["B", "A", "C"]
    with pytest.raises(NotFound, match="cy changed nothing"):
        undo(ledger, of_actor("cy", 0))


@pytest.mark.requirement("JB-062")
def test_a_batch_is_marked_and_undone_as_one(ledger: Ledger) -> None:
    before = state(ledger)
    marked = mark_tasks(ledger, "p", [TaskMark("A", "completed", "n", "r"), TaskMark("C", "failed")])
    assert [state(ledger)[key].status for key in "ABC"] == ["completed", "pending", "failed"]
    assert marked.batch

    assert len(undo(ledger, of_batch(last(ledger, "C"))).tasks) == 2
    assert state(ledger) == before
    mark_task(ledger, "p", "A", "completed")
    alone = last(ledger, "A")
    mark_tasks(ledger, "p", [TaskMark("B", "failed"), TaskMark("C", "failed")])
    with pytest.raises(NotFound, match="part of no batch"):
        undo(ledger, of_batch(alone))


@pytest.mark.requirement("JB-062")
def test_a_batch_with_faults_names_all_of_them_and_changes_nothing(ledger: Ledger) -> None:
    claim_next(ledger, "p", owner="bo", lease_s=60)
    before = state(ledger)
    marks = [
        TaskMark("A", "completed"),
        TaskMark("X", "failed"),
        *[TaskMark("B", "failed")] * 2,
        TaskMark("C", "failed"),
    ]

    with pytest.raises(TasktrailError) as caught:
        mark_tasks(ledger, "p", marks)

    assert caught.value.details == (
        "task A is claimed by somebody else", "plan p has no task X", "task B is given 2 times",
    )  # fmt: skip
    assert state(ledger) == before
    items = mark_tasks(ledger, "p", marks, partial=True).items
    assert [isinstance(item, TasktrailError) for item in items] == [True, True, True, True, False]
    assert state(ledger)["C"].status == "failed"


# ---------------------------------------------------------------------------------------------------- whatever was done

KEYS = st.sampled_from("ABC")
CALLS: st.SearchStrategy[Callable[[Ledger], object]] = st.one_of(
    st.builds(lambda key, status: lambda led: mark_task(led, "p", key, status, note="n", result="r"), KEYS,
              st.sampled_from(STATUSES)),
    st.builds(lambda key, text: lambda led: add_note(led, "p", key, text), KEYS, st.sampled_from(["n", "m"])),
    st.builds(
        lambda key, title, priority, needs: lambda led: edit_task(
            led, "p", key, PlanTaskEdit(title, priority, needs, {"x": title})
        ),
        KEYS, st.sampled_from(["t", "u"]), st.integers(1, 3), st.sampled_from([(), ("A",), ("C",), ("B", "C")]),
    ),
    st.builds(lambda keys: lambda led: write_list(led, "p", [plan(key) for key in keys]),
              st.lists(st.sampled_from("ABCD"), unique=True)),
    st.just(lambda led: claim_next(led, "p", owner="bo", lease_s=60)),
    st.builds(lambda keys, status: lambda led: mark_tasks(led, "p", [TaskMark(key, status) for key in keys]),
              st.lists(KEYS, unique=True), st.sampled_from(STATUSES)),
    st.builds(lambda key: lambda led: undo_last(led, key), KEYS),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(calls=st.lists(CALLS, min_size=1, max_size=8))
def test_after_undoing_the_last_call_all_is_as_it_was_and_proven(calls: Sequence[Callable[[Ledger], object]]) -> None:
    ledger = a_plan(Ledger(open_store("memory:"), actor="ann", clock=FakeClock(), ids=FixedIds()))
    before, place = state(ledger), end_of_log(ledger)
    for call in calls:
        before, place = state(ledger), end_of_log(ledger)
        _tried(call, ledger)
        assert verify(ledger.store) == []

    _tried(lambda led: undo(led, since(led, place)), ledger, WrongState)  # where nothing comes back, nothing need to

    assert state(ledger) == before
    assert verify(ledger.store) == []
    ledger.store.close()


def _tried(call: Callable[[Ledger], object], ledger: Ledger, refusal: type[TasktrailError] = TasktrailError) -> None:
    """Some calls are refused; then they change nothing."""
    place = end_of_log(ledger)
    try:
        call(ledger)
    except refusal:
        assert end_of_log(ledger) == place
