"""From what people type to records: references, lists, history."""

from __future__ import annotations

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import (
    find,
    find_run,
    find_task,
    history,
    lasted_us,
    list_runs,
    names_like,
    overview,
    owners,
    run_reference,
)  # fmt: skip
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Ambiguous, BadInput, NotFound
from tasktrail.model.lifecycle import Ask
from tasktrail.model.run import Kind, Run
from tasktrail.store.opening import open_store


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(open_store("memory:"), actor="ann@desk")


def make(ledger: Ledger, name: str, *tasks: TaskDraft, kind: Kind = "dag", workflow: str = "etl") -> Run:
    return ledger.create_run(RunDraft(kind, name, workflow, tasks))


def finish(ledger: Ledger, run: Run) -> None:
    for task in ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)):
        ledger.ask(task.id, Ask("complete"))


def test_a_run_is_found_by_its_id_and_by_kind_and_id(ledger: Ledger):
    run = make(ledger, "nightly")

    assert find_run(ledger, "nightly").id == find_run(ledger, "dag/nightly").id == run.id


def test_an_id_of_several_kinds_is_ambiguous_unless_a_kind_is_meant(ledger: Ledger):
    dag, plan = make(ledger, "A"), make(ledger, "A", kind="plan")

    with pytest.raises(Ambiguous) as caught:
        find_run(ledger, "A")
    assert caught.value.details == ("plan/A", "dag/A")
    assert find_run(ledger, "A", "dag").id == dag.id
    assert find_run(ledger, "plan/A", "dag").id == plan.id
    assert run_reference(dag, {"A"}) == "dag/A"
    assert run_reference(dag) == "A"


def test_an_unknown_id_names_what_was_probably_meant(ledger: Ledger):
    make(ledger, "nightly-2025-05-28")
    make(ledger, "3f2504e0-4f89-11d3-9a0c-0305e82c3301")

    with pytest.raises(NotFound, match=r"did you mean nightly-2025-05-28\?"):
        find_run(ledger, "nightly-2025-05-27")
    with pytest.raises(NotFound, match=r"did you mean 3f2504e0-4f89-11d3-9a0c-0305e82c3301\?"):
        find_run(ledger, "3f25")


def test_the_name_of_a_workflow_is_no_reference_and_its_newest_runs_are_named(ledger: Ledger):
    for n in range(7):
        make(ledger, f"run-{n}")

    with pytest.raises(NotFound) as caught:
        find_run(ledger, "etl")

    assert caught.value.details == tuple(f"run-{n} (created)" for n in (6, 5, 4, 3, 2))
    assert caught.value.hint == "tasktrail run dag --status run-6"


@pytest.mark.parametrize("text", ["", "../x", "a b", "x:y", "dog/A", "🚀", "x" * 200])
def test_what_can_be_no_id_is_not_found_either(ledger: Ledger, text: str):
    with pytest.raises(NotFound, match="no run has the id"):
        find_run(ledger, text)


def test_a_task_is_found_in_its_run_and_what_we_print_leads_back(ledger: Ledger):
    cells = (TaskDraft("research", item="ch01"), TaskDraft("parse", map_index=2), TaskDraft("T1"), TaskDraft("a/b#3"))
    make(ledger, "A", *cells)

    for text, key in (
        ("A:ch01/research", "research"),
        ("A:parse#2", "parse"),
        ("A:T1", "T1"),
        ("dag/A:a/b#3", "a/b#3"),
    ):
        found = find_task(ledger, text)
        assert found.task is not None
        assert (found.run.name, found.task.key) == ("A", key)


def test_a_bare_key_is_looked_for_in_open_runs_then_in_all(ledger: Ledger):
    old, new = make(ledger, "old", TaskDraft("T1")), make(ledger, "new", TaskDraft("T1"))
    finish(ledger, old)

    assert find_task(ledger, "T1").run.id == new.id

    finish(ledger, new)
    with pytest.raises(Ambiguous) as caught:
        find_task(ledger, "T1")
    assert caught.value.details == ("dag/new:T1", "dag/old:T1")


def test_more_candidates_than_can_be_read_are_counted(ledger: Ledger):
    for n in range(13):
        make(ledger, f"run-{n}", TaskDraft("T1"))

    with pytest.raises(Ambiguous, match="T1 names 13 tasks") as caught:
        find_task(ledger, "T1")
    assert len(caught.value.details) == 11
    assert caught.value.details[-1] == "… and 3 more"


def test_a_run_wins_over_a_task_of_the_same_name(ledger: Ledger):
    make(ledger, "other", TaskDraft("T1"))
    run = make(ledger, "T1", TaskDraft("x"))

    assert find(ledger, "T1").run.id == run.id
    assert find(ledger, "T1").task is None


def test_a_missing_task_names_what_was_probably_meant(ledger: Ledger):
    make(ledger, "A", TaskDraft("fetch_data"))

    with pytest.raises(NotFound, match=r"run A has no task fetch_date; did you mean fetch_data\?"):
        find_task(ledger, "A:fetch_date")
    with pytest.raises(NotFound, match="no run has the id B"):
        find_task(ledger, "B:fetch_data")
    with pytest.raises(NotFound, match="no task is called fix: typo"):
        find_task(ledger, "fix: typo")
    with pytest.raises(BadInput):
        find_task(ledger, "x" * 5_000)


def test_lists_go_page_by_page_whatever_begins_meanwhile(ledger: Ledger):
    for n in range(5):
        make(ledger, f"run-{n}")

    first = list_runs(ledger, limit=2)
    make(ledger, "newer")
    second = list_runs(ledger, limit=2, cursor=first.cursor)
    third = list_runs(ledger, limit=2, cursor=second.cursor)

    assert [run.name for page in (first, second, third) for run in page.runs] == [f"run-{n}" for n in (4, 3, 2, 1, 0)]
    assert third.cursor is None
    with pytest.raises(BadInput, match="expected the cursor"):
        list_runs(ledger, cursor="gone")


def test_lists_are_filtered(ledger: Ledger):
    make(ledger, "a", kind="plan", workflow="w")
    done = make(ledger, "b", TaskDraft("x"))
    finish(ledger, done)

    assert [run.name for run in list_runs(ledger, kind="plan").runs] == ["a"]
    assert [run.name for run in list_runs(ledger, status="completed").runs] == ["b"]
    assert [run.name for run in list_runs(ledger, workflow="w").runs] == ["a"]
    assert list_runs(ledger, workflow="w", status="failed").runs == []


def test_a_page_says_which_names_are_shared(ledger: Ledger):
    make(ledger, "A")
    make(ledger, "A", kind="plan")
    make(ledger, "B")

    assert list_runs(ledger).shared == {"A"}
    assert names_like(ledger, "B") == ["B"]
    assert names_like(ledger, "") == ["B", "A", "A"]


def test_a_history_ends_with_the_newest_and_goes_back_page_by_page(ledger: Ledger):
    run = make(ledger, "A", TaskDraft("T1"))
    found = find_task(ledger, "A:T1")
    assert found.task is not None
    for verb in ("block", "unblock", "skip"):
        ledger.ask(found.task.id, Ask(verb))

    newest = history(ledger, found, limit=2)
    before = history(ledger, found, limit=2, cursor=newest.cursor)

    assert [event.verb for event in newest.events] == ["unblock", "skip"]
    assert ([event.verb for event in before.events], before.cursor) == (["block"], None)
    assert newest.events[-1].key == "T1"
    assert "created" in [event.verb for event in history(ledger, find(ledger, "A")).events]
    assert lasted_us(run, None, run.created_at) is None
    with pytest.raises(BadInput, match="expected the cursor"):
        history(ledger, found, cursor="-1")


def test_an_overview_tells_no_duration_of_what_was_lost(ledger: Ledger):
    """Nobody knows when its process died; a step that was lost and nothing else has none."""
    run = make(ledger, "nightly", TaskDraft("fetch"))
    task = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))[0]
    ledger.ask(ledger.ask(task.id, Ask("start")).id, Ask("lapse", outcome="lost"))

    assert overview(ledger, run).worked_us == {}


def test_an_overview_has_all_tasks_and_what_they_took(ledger: Ledger):
    run = make(ledger, "A", TaskDraft("T1"), TaskDraft("T2"))
    task = find_task(ledger, "A:T1").task
    assert task is not None
    ledger.ask(task.id, Ask("start"))
    ledger.ask(task.id, Ask("complete"))

    seen = overview(ledger, run)

    assert [one.key for one in seen.tasks] == ["T1", "T2"]
    assert list(seen.worked_us) == [task.id]
    assert (seen.owner, seen.shared, seen.retrying) == (None, False, False)
    assert owners(ledger, [seen.run]) == {}
