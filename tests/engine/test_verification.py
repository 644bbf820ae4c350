"""Verification: each kind of tampering is made, found and named; what was not tampered with is not."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

from tasktrail.engine.execution import Answer, Execution
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.values import encode
from tasktrail.engine.verification import _CHANGED, _ENDINGS, FOLDED, fold, verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import NotFound
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import VERBS, Ask, Failure
from tasktrail.model.task import Task
from tasktrail.store.queries import queries
from tasktrail.store.records import UNRECORDED
from tasktrail.store.seam import Store
from tasktrail.store.sqlite import SqliteStore
from tasktrail.store.transaction import Transaction
from tasktrail.testing import FakeClock, FixedIds

LARGE = encode(["x" * 5000], "the result")


def make(store: Store) -> None:
    """Fill a store: two attempts, a large result, a failure, someone unreachable, an open attempt."""
    ledger = Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds())
    drafts = (
        TaskDraft("fetch"),
        TaskDraft("load", needs=(Need("fetch"),)),
        TaskDraft("mail", critical=False),
        TaskDraft("after", needs=(Need("mail"), Need("fetch", True))),
        TaskDraft("busy"),
    )
    run = ledger.create_run(RunDraft("dag", "etl", "etl", drafts))
    fetch, load, mail, _, busy = store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    ledger.ask(fetch.id, Ask("start"))
    ledger.ask(fetch.id, Ask("retry", failure=Failure("OSError", "gone")))
    ledger.ask(fetch.id, Ask("start"))
    ledger.ask(fetch.id, Ask("complete", output=LARGE.column), payload=LARGE)
    ledger.ask(load.id, Ask("block", reason="who knows"))
    ledger.ask(load.id, Ask("unblock"))
    ledger.ask(mail.id, Ask("fail"))
    ledger.ask(busy.id, Ask("start"))
    ledger.note(busy, "half way")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("original") / "tasktrail.db"
    store = SqliteStore(path)
    make(store)
    store.close()
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, original: bytes) -> Path:
    """A copy to break."""
    path = tmp_path / "tasktrail.db"
    path.write_bytes(original)
    return path


def tampered(path: Path, *statements: str) -> list[str]:
    """Change rows as no code of ours can, and return what is found."""
    connection = apsw.Connection(str(path))
    for statement in ("PRAGMA ignore_check_constraints = ON", "DROP TRIGGER event_is_never_changed", *statements):
        connection.execute(statement)
    connection.close()
    store = SqliteStore(path)
    found = verify(store)
    store.close()
    return found


def test_what_was_not_tampered_with_is_proven(path: Path) -> None:
    store = SqliteStore(path)

    assert verify(store) == []
    assert verify(store, 1) == []
    with pytest.raises(NotFound):
        verify(store, 99)


FETCH, LOAD, AFTER, BUSY = (f"WHERE key = '{key}'" for key in ("fetch", "load", "after", "busy"))
COMPLETION = "(SELECT seq FROM event WHERE verb = 'complete')"


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        # tasks
        (
            f"UPDATE task SET status = 'pending', completed_at = NULL {FETCH}",
            "task dag/etl:fetch has status pending, but its history says completed",
        ),
        (f"UPDATE task SET attempts = 5 {FETCH}", "task dag/etl:fetch has attempts 5, but its history says 2"),
        (f"UPDATE task SET tries = 0 {FETCH}", "task dag/etl:fetch has tries 0, but its history says 1"),
        (f"UPDATE task SET losses = 2 {FETCH}", "task dag/etl:fetch has losses 2, but its history says 0"),
        (f"UPDATE task SET fence = 9 {FETCH}", "task dag/etl:fetch has fence 9, but its history says 2"),
        (f"UPDATE task SET output = '1' {FETCH}", "task dag/etl:fetch has output 1, but its history says @"),
        (
            f"UPDATE task SET summary = 'fine' {LOAD}",
            "task dag/etl:load has summary fine, but its history says nothing",
        ),
        (f"UPDATE task SET error = 'x' {FETCH}", "task dag/etl:fetch has error x, but its history says nothing"),
        (f"UPDATE task SET reason = 'x' {LOAD}", "task dag/etl:load has reason x, but its history says nothing"),
        (f"UPDATE task SET started_at = 1 {FETCH}", "task dag/etl:fetch has started_at 1, but its history says 17"),
        (f"UPDATE task SET completed_at = 1 {FETCH}", "task dag/etl:fetch has completed_at 1, but its history says 17"),
        (f"UPDATE task SET not_before = 1 {LOAD}", "task dag/etl:load has not_before 1, but its history says nothing"),
        (
            f"UPDATE task SET last_outcome = 'error' {FETCH}",
            "task dag/etl:fetch has last_outcome error, but its history says ok",
        ),
        (
            f"UPDATE task SET open_attempt = NULL {BUSY}",
            "task dag/etl:busy has open_attempt nothing, but its history says 1",
        ),
        (f"UPDATE task SET version = version + 1 {LOAD}", "task dag/etl:load has version 4, but its history says 3"),
        # errors
        ("UPDATE error SET occurrences = 0", "was counted 0 times, but 1 attempts have it"),
        ("DELETE FROM error", "was counted 0 times, but 1 attempts have it"),
        # needs
        (f"UPDATE task SET unmet = 1 {LOAD}", "task dag/etl:load has unmet 1, but its needs say 0"),
        (f"UPDATE task SET unmet = 0 {AFTER}", "task dag/etl:after has unmet 0, but its needs say 1"),
        (f"UPDATE task SET dead_needs = 0 {AFTER}", "task dag/etl:after has dead_needs 0, but its needs say 1"),
        ("DELETE FROM need WHERE needed_key = 'mail'", "run dag/etl has n_needs 3, but its tasks say 2"),
        # attempts
        (
            "UPDATE attempt SET outcome = 'ok' WHERE outcome = 'error'",
            "task dag/etl:fetch has attempt 1 ended as ok, but its history says retry",
        ),
        (
            "UPDATE attempt SET ended_at = NULL, outcome = NULL WHERE n = 2",
            "task dag/etl:fetch has attempt 2 open, but its history says complete",
        ),
        (
            "UPDATE attempt SET ended_at = 1, outcome = 'ok' WHERE ended_at IS NULL",
            "task dag/etl:busy has attempt 1 ended as ok, but its history did not end it",
        ),
        ("UPDATE attempt SET n = 3 WHERE n = 2", "task dag/etl:fetch has attempt 3, but its history did not begin it"),
        ("DELETE FROM attempt WHERE n = 2", "task dag/etl:fetch has 1 attempts, but its history began 2"),
        ("DELETE FROM attempt WHERE n = 1", "task dag/etl:fetch has 1 attempts, but its history began 2"),
        # history
        (
            f"DELETE FROM event WHERE seq = {COMPLETION}",
            "task dag/etl:fetch has status completed, but its history says in_progress",
        ),
        (
            "DELETE FROM event WHERE verb IN ('block', 'unblock')",
            "task dag/etl:load has version 3, but its history says 1",
        ),
        ("DELETE FROM event WHERE verb = 'block'", "(unblock) starts from blocked, but the task was pending"),
        (
            "UPDATE event SET to_status = 'skipped' WHERE verb = 'complete'",
            "task dag/etl:fetch has status completed, but its history says skipped",
        ),
        (
            "UPDATE event SET changes = json_set(changes, '$.tries', json('[7,8]')) WHERE verb = 'complete'",
            "(complete) changes tries from 7, but it was 1",
        ),
        ("UPDATE event SET changes = 'not json' WHERE verb = 'complete'", "(complete) has changes that cannot be read"),
        ("UPDATE event SET attempt = 1 WHERE verb = 'complete'", "(complete) ends attempt 1, but attempt 2 was open"),
        ("DELETE FROM event WHERE verb = 'roll_up'", "run dag/etl is running, but its history says created"),
        (
            "DELETE FROM event WHERE task_id IS NOT NULL",
            "has started_at 1767225600000000, but its history says that its tasks never moved",
        ),
        (
            "UPDATE event SET from_status = 'failed' WHERE verb = 'roll_up'",
            "(roll_up) starts from failed, but the run was created",
        ),
        ("DELETE FROM task WHERE key = 'busy'", "the history knows a task with row id 5, which is not there"),
        # the run
        ("UPDATE run SET n_completed = 4", "run dag/etl has n_completed 4, but its tasks say 1"),
        ("UPDATE run SET n_unreachable = 0", "run dag/etl has n_unreachable 0, but its tasks say 1"),
        ("UPDATE run SET n_stopping = 3", "run dag/etl has n_stopping 3, but its tasks say 0"),
        ("UPDATE run SET status = 'completed'", "run dag/etl is completed, but its tasks say running"),
        ("UPDATE run SET finished_at = 5", "run dag/etl is running, but finished_at is 5"),
        ("UPDATE run SET started_at = NULL", "has started_at nothing, but its history says that its tasks moved"),
        # what others refer to
        ("DELETE FROM payload", "which is not there"),
        ("UPDATE payload SET data = '[]'", "whose content is another"),
        (
            "UPDATE attempt SET output = '@0123456789abcdef' WHERE n = 2",
            "refers to the payload 0123456789ab…, which is not there",
        ),
        ("DELETE FROM run", "task row 1 refers to no run"),
    ],
)
def test_each_kind_of_tampering_is_found_and_named(path: Path, statement: str, finding: str) -> None:
    found = tampered(path, statement)

    assert [sentence for sentence in found if finding in sentence], "\n".join(found)


def test_a_change_that_the_schema_forbids_is_found_by_the_database_too(path: Path) -> None:
    found = tampered(path, "UPDATE task SET completed_at = NULL WHERE key = 'fetch'")

    assert "CHECK constraint failed in task" in found
    assert "task dag/etl:fetch has completed_at nothing, but its history says 1767225600000000" in found


def test_a_row_that_says_one_thing_wrong_gives_one_finding(path: Path) -> None:
    assert tampered(path, f"UPDATE task SET tries = 4 {FETCH}") == [
        "task dag/etl:fetch has tries 4, but its history says 1"
    ]


def test_a_need_on_a_task_of_another_run_is_found(path: Path) -> None:
    store = SqliteStore(path)
    Ledger(store, actor="ann").create_run(RunDraft("dag", "other", "other", (TaskDraft("far"),)))
    store.close()

    found = tampered(
        path, "UPDATE need SET needed_id = (SELECT id FROM task WHERE key = 'far') WHERE needed_key = 'mail'"
    )

    assert "task dag/etl:after needs mail, which is a task of another run" in found


def test_only_the_run_that_is_named_is_looked_at(path: Path) -> None:
    store = SqliteStore(path)
    other = Ledger(store, actor="ann").create_run(RunDraft("dag", "other", "other", (TaskDraft("a"),)))
    store.close()
    assert len(tampered(path, f"UPDATE task SET tries = 4 {FETCH}")) == 1

    again = SqliteStore(path)
    assert verify(again, other.id) == []


def test_every_column_that_verbs_move_is_folded() -> None:
    moved = set(re.findall(r"(\w+) = :\1,?$", queries("sqlite")["move_task"], re.MULTILINE)) - {"id", "status"}
    assert moved - UNRECORDED == _CHANGED
    assert set(FOLDED) == _CHANGED | {"status", "version", "open_attempt"}


def test_what_carries_no_change_is_passed_over() -> None:
    history = fold(
        [
            (1, 1, None, "created", None, None, None, '{"tasks":[0,1]}'),
            (2, 1, 7, "note", None, None, None, None),
            (3, 1, 7, "late", None, None, 1, '{"status":["in_progress","completed"],"output":[null,"1"]}'),
            (4, 1, None, "cancel", None, None, None, None),
            (5, 1, None, "declare", None, "failed", None, None),
            (6, 1, None, "resume", None, None, None, None),
            (7, 1, None, "a verb of a later version", None, None, None, None),
        ]
    )

    assert (history.tasks, history.status, history.moved, history.findings) == ({}, "created", False, [])


def test_an_edit_says_what_was_and_the_next_one_must_agree() -> None:
    edits = ['{"max_retries":[3,5],"metadata":[null,"{}"]}', '{"max_retries":[4,6]}']
    history = fold([(n, 1, 7, "edit", None, None, None, text) for n, text in enumerate(edits)])

    assert history.findings == [(7, "event 1 (edit) changes max_retries from 4, but it was 5")]
    assert history.tasks[7].definition == {"max_retries": 6}
    assert (history.tasks[7].version, history.moved) == (3, False)


def test_a_run_that_was_executed_interrupted_and_taken_up_again_is_proven() -> None:
    store = SqliteStore(None)
    ledger = Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds())
    drafts = tuple(TaskDraft(f"t{n}", needs=(Need(f"t{n - 1}"),) if n else ()) for n in range(6))
    run = ledger.create_run(RunDraft("dag", "r", "r", drafts))
    asks = [Ask("complete", output="1"), Ask("release"), Ask("complete"), Ask("retry", outcome="timeout"), Ask("fail")]

    def ready(tx: Transaction) -> list[Task]:
        return tx.tasks("ready_tasks", run_id=run.id, without=None, limit=1)

    execution = Execution(ledger, run.id)
    turn = execution.begin([draft.key for draft in drafts], ready)
    for ask in asks:
        turn = execution.advance([Answer(turn.claims[0], ask)], ready)
        assert verify(store) == []
    execution.end()

    execution = Execution(ledger, run.id)
    execution.begin([draft.key for draft in drafts], ready)
    execution.end()
    assert verify(store) == []


def test_every_verb_is_known_to_end_attempts_in_one_way_or_to_begin_them() -> None:
    assert set(VERBS) - set(_ENDINGS) == {"start", "unblock", "reopen"}


def test_findings_are_sentences_without_row_ids_of_tasks_that_are_there(path: Path) -> None:
    found = tampered(path, "UPDATE task SET tries = 9, fence = 9")

    assert found
    assert all(re.match(r"(task|run) dag/etl", sentence) for sentence in found)


@pytest.mark.parametrize(
    ("tampering", "fault"),
    [
        ("SELECT 1", None),
        ("DELETE FROM attempt WHERE n = 3", "has 0 attempts, but its history began 1"),
        ("UPDATE attempt SET n = 2 WHERE n = 3", "has attempt 2, but its history did not begin it"),
        ("UPDATE attempt SET outcome = 'lost'", "has attempt 3 ended as lost, but its history says complete"),
    ],
)
def test_attempts_that_were_adopted_have_no_rows_and_those_after_them_do(
    tmp_path: Path, tampering: str, fault: str | None
) -> None:
    path = tmp_path / "adopted.db"
    store = SqliteStore(path)
    ledger = Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds())
    run = ledger.create_run(RunDraft("plan", "p", "p", (TaskDraft("A"),)))
    (task,) = store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    ledger.ask(task.id, Ask("adopt", target="pending", values={"attempts": 2}))
    ledger.ask(task.id, Ask("start"))
    ledger.ask(task.id, Ask("complete"))
    store.close()

    found = tampered(path, tampering)

    assert found == [] if fault is None else any(fault in sentence for sentence in found)
