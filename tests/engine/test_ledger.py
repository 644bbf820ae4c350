"""The ledger: what it takes, what it refuses, and that no secret reaches the file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine.execution import Answer, Execution
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.scrubbing import Scrubber
from tasktrail.engine.values import decode, encode
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput, Conflict, Held, NotFound, UnmetNeed, WrongState
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, Failure, Verb
from tasktrail.model.run import Run
from tasktrail.model.scrub import TEXT
from tasktrail.model.task import Task
from tasktrail.store.sqlite import SqliteStore
from tasktrail.store.transaction import Transaction
from tasktrail.testing import FakeClock, FixedIds

SECRET = "hunter2-" + "Tr0ub4dor"
TOLD = f"login failed, password={SECRET} for the database"
CLEAN = "login failed, password=[secret] for the database"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    store = SqliteStore(tmp_path / "tasktrail.db")
    yield Ledger(store, actor="ann", clock=clock, ids=FixedIds())
    store.close()


@pytest.fixture
def run(ledger: Ledger) -> Run:
    """A run of two: load needs fetch."""
    return ledger.create_run(RunDraft("dag", "r", "w", (TaskDraft("fetch"), TaskDraft("load", needs=(Need("fetch"),)))))


def task(ledger: Ledger, run: Run, key: str) -> Task:
    found = ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1))
    assert found is not None
    return found


def first_ready(run: Run) -> Callable[[Transaction], list[Task]]:
    """What an execution starts next."""
    return lambda tx: tx.tasks("ready_tasks", run_id=run.id, without=None, limit=1)


def nothing(_: Transaction) -> list[Task]:
    return []


def events(ledger: Ledger, run: Run) -> list[tuple[object, ...]]:
    """Return verb, note and task of every event."""
    found = ledger.store.read(lambda tx: tx.rows("events_of_run", run_id=run.id, after=0, limit=1000))
    return [(row[3], row[8], row[9]) for row in found]


def bytes_of(ledger: Ledger) -> bytes:
    """Return the file and its log as another process reads them: reading here would drop this process's locks."""
    path = str(ledger.store.path)
    return subprocess.run(["cat", path, f"{path}-wal"], capture_output=True, check=True).stdout


# ------------------------------------------------------------------------------------------------------------ creating


def test_a_run_that_cannot_be_a_graph_is_refused_with_every_fault_and_nothing_is_stored(ledger: Ledger) -> None:
    drafts = (
        TaskDraft("a", needs=(Need("b"),)),
        TaskDraft("b", needs=(Need("a"), Need("ghost"))),
        TaskDraft("c"),
        TaskDraft("c"),
    )

    with pytest.raises(BadInput) as error:
        ledger.create_run(RunDraft("dag", "r", "w", drafts))

    assert error.value.details == (
        "task c is given 2 times",
        "task b needs ghost, which does not exist",
        "tasks need each other in a cycle: a -> b -> a",
    )
    assert ledger.store.read(lambda tx: tx.rows("run_ids")) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 129, "-a", "a\0b", "a b", "😀"])
def test_a_run_id_that_could_be_a_path_is_refused(ledger: Ledger, name: str) -> None:
    with pytest.raises(BadInput):
        ledger.create_run(RunDraft("dag", name, "w"))


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "a\0b"])
def test_a_key_that_cannot_be_shown_is_refused(ledger: Ledger, key: str) -> None:
    with pytest.raises(BadInput):
        ledger.create_run(RunDraft("dag", "r", "w", (TaskDraft(key),)))


def test_an_id_is_given_once_per_kind(ledger: Ledger, run: Run) -> None:
    with pytest.raises(Conflict, match="dag run r exists already"):
        ledger.create_run(RunDraft("dag", "r", "w"))

    assert ledger.create_run(RunDraft("plan", "r", "w")).name == "r"


def test_a_task_that_is_needed_twice_is_needed_once_and_not_optionally(ledger: Ledger) -> None:
    drafts = (TaskDraft("a"), TaskDraft("b", needs=(Need("a", True), Need("a"), Need("a", True))))
    run = ledger.create_run(RunDraft("dag", "r", "w", drafts))

    ledger.ask(task(ledger, run, "a").id, Ask("fail"))
    assert (task(ledger, run, "b").unmet, task(ledger, run, "b").dead_needs) == (1, 1)
    assert verify(ledger.store) == []


def test_tasks_are_added_behind_those_that_are_there(ledger: Ledger, run: Run) -> None:
    ledger.ask(task(ledger, run, "fetch").id, Ask("complete"))
    after = ledger.add_tasks(
        run.id, [TaskDraft("check", needs=(Need("fetch"),)), TaskDraft("send", needs=(Need("check"),))]
    )

    assert (after.n_pending, after.n_completed, after.n_needs) == (3, 1, 3)
    assert [(task(ledger, run, key).unmet, task(ledger, run, key).position) for key in ("check", "send")] == [
        (0, 3),
        (1, 4),
    ]
    assert verify(ledger.store) == []


def test_adding_a_task_that_needs_a_task_that_is_not_there_adds_nothing(ledger: Ledger, run: Run) -> None:
    with pytest.raises(BadInput):
        ledger.add_tasks(run.id, [TaskDraft("x"), TaskDraft("y", needs=(Need("ghost"),))])
    with pytest.raises(BadInput):
        ledger.add_tasks(run.id, [TaskDraft("fetch")])

    assert ledger.store.read(lambda tx: tx.run(run.id)) == run
    assert verify(ledger.store) == []


def test_adding_to_a_run_that_is_over_lets_it_run_again(ledger: Ledger) -> None:
    run = ledger.create_run(RunDraft("dag", "r", "w", (TaskDraft("a"),)))
    ledger.ask(task(ledger, run, "a").id, Ask("complete"))

    after = ledger.add_tasks(run.id, [TaskDraft("b")])

    assert (after.status, after.finished_at) == ("running", None)
    assert verify(ledger.store) == []


# -------------------------------------------------------------------------------------------------------------- asking


@pytest.mark.requirement("BL-042")
def test_what_the_table_refuses_changes_nothing(ledger: Ledger, run: Run) -> None:
    done = ledger.ask(task(ledger, run, "fetch").id, Ask("complete"))
    before = events(ledger, run)

    with pytest.raises(WrongState, match="task fetch is completed; start needs pending"):
        ledger.ask(done.id, Ask("start"))
    with pytest.raises(NotFound):
        ledger.ask(999, Ask("start"))

    assert task(ledger, run, "fetch") == done
    assert events(ledger, run) == before


def test_a_start_waits_for_needs_unless_it_is_forced(ledger: Ledger, run: Run) -> None:
    with pytest.raises(UnmetNeed, match="task load waits for 1 of its needs"):
        ledger.ask(task(ledger, run, "load").id, Ask("start"))

    assert ledger.ask(task(ledger, run, "load").id, Ask("start", force=True)).status == "in_progress"


def test_the_task_that_comes_back_is_the_row(ledger: Ledger, run: Run, clock: FakeClock) -> None:
    verbs: list[Verb] = [
        "start",
        "retry",
        "start",
        "fail",
        "retry",
        "block",
        "unblock",
        "start",
        "complete",
        "reopen",
        "skip",
    ]
    for verb in verbs:
        clock.advance(1)
        assert ledger.ask(task(ledger, run, "fetch").id, Ask(verb)) == task(ledger, run, "fetch")


def test_attempts_are_spans_that_follow_each_other(ledger: Ledger, run: Run, clock: FakeClock) -> None:
    fetch = task(ledger, run, "fetch")
    ledger.ask(fetch.id, Ask("start"))
    clock.advance(2)
    ledger.ask(fetch.id, Ask("retry", failure=Failure("OSError", "gone", "at line 1")))
    ledger.ask(fetch.id, Ask("start"))
    clock.advance(3)
    ledger.ask(fetch.id, Ask("complete", output="7"))

    first, second = ledger.store.read(lambda tx: tx.attempts("attempts_of_task", task_id=fetch.id))
    assert (first.n, first.outcome, first.duration_us, first.error_type, first.stack) == (
        1,
        "error",
        2_000_000,
        "OSError",
        "at line 1",
    )
    assert (second.n, second.outcome, second.duration_us, second.output, second.fence) == (2, "ok", 3_000_000, "7", 2)
    assert second.retry_of == first.id
    assert first.trace_id == second.trace_id == run.trace_id
    assert first.span_id != second.span_id


@pytest.mark.parametrize("verb", ["complete", "fail", "retry", "block", "release", "restart"])
def test_while_a_lease_holds_its_token_is_needed(ledger: Ledger, run: Run, verb: Verb) -> None:
    held = ledger.ask(task(ledger, run, "fetch").id, Ask("start", lease_token="token-9"))

    for token in (None, "another"):
        with pytest.raises(Held, match="task fetch is claimed by somebody else"):
            ledger.ask(held.id, Ask(verb), token=token)
    assert task(ledger, run, "fetch") == held

    assert ledger.ask(held.id, Ask(verb), token="token-9").version == held.version + 1


@pytest.mark.parametrize("verb", ["complete", "fail", "restart"])
def test_force_takes_a_held_task(ledger: Ledger, run: Run, verb: Verb) -> None:
    held = ledger.ask(task(ledger, run, "fetch").id, Ask("start", lease_token="token-9"))

    assert ledger.ask(held.id, Ask(verb, force=True)).version == held.version + 1


@pytest.mark.parametrize("verb", ["cancel", "skip"])
def test_a_person_takes_a_task_away_without_a_token_and_the_fence_moves(ledger: Ledger, run: Run, verb: Verb) -> None:
    held = ledger.ask(task(ledger, run, "fetch").id, Ask("start", lease_token="token-9"))
    taken = ledger.ask(held.id, Ask(verb))

    assert (taken.fence, taken.lease_token, taken.open_attempt) == (held.fence + 1, None, None)


def test_a_task_that_a_process_executes_is_held(ledger: Ledger, run: Run) -> None:
    execution = Execution(ledger, run.id)
    execution.begin(["fetch"], first_ready(run))

    with pytest.raises(Held, match="task fetch is being executed by worker"):
        ledger.ask(task(ledger, run, "fetch").id, Ask("complete"))


def test_an_answer_after_a_cancellation_is_kept_as_late_and_changes_nothing(ledger: Ledger, run: Run) -> None:
    execution = Execution(ledger, run.id)
    turn = execution.begin(["fetch"], first_ready(run))
    ledger.cancel_run(run.id)
    before = task(ledger, run, "fetch")

    late = execution.advance([Answer(turn.claims[0], Ask("complete", output="1"))], nothing).late

    assert [one.key for one in late] == ["fetch"]
    assert task(ledger, run, "fetch") == before
    assert ("late", None, "fetch") in events(ledger, run)
    assert verify(ledger.store) == []


# ---------------------------------------------------------------------------------------------------------- cancelling


@pytest.mark.requirement("BL-049")
def test_cancelling_a_run_takes_what_is_not_finished_even_what_waits_for_its_retry(
    ledger: Ledger, clock: FakeClock
) -> None:
    keys = ["done", "failed", "running", "retrying", "blocked", "pending"]
    run = ledger.create_run(RunDraft("plan", "r", "w", tuple(TaskDraft(key) for key in keys)))
    asks: dict[str, list[Ask]] = {
        "done": [Ask("complete")], "failed": [Ask("fail")], "running": [Ask("start")],
        "retrying": [Ask("start"), Ask("retry", not_before=clock.now() + 10_000_000)], "blocked": [Ask("block")],
    }  # fmt: skip
    for key, listed in asks.items():
        for one in listed:
            ledger.ask(task(ledger, run, key).id, one)

    after = ledger.cancel_run(run.id, "not needed any more")

    statuses = [task(ledger, run, key).status for key in keys]
    assert statuses == ["completed", "failed", *["cancelled"] * 4]
    assert task(ledger, run, "retrying").not_before is None
    assert (after.status, after.cancelled_at, after.finished_at) == ("partial", clock.now(), clock.now())
    assert ("cancel", "not needed any more", None) in events(ledger, run)
    assert verify(ledger.store) == []


@pytest.mark.requirement("BL-048")
def test_cancelling_twice_changes_nothing_more(ledger: Ledger, run: Run, clock: FakeClock) -> None:
    first = ledger.cancel_run(run.id)
    before = events(ledger, run)
    clock.advance(5)

    again = ledger.cancel_run(run.id)

    assert (again.status, again.cancelled_at, again.finished_at) == ("cancelled", first.cancelled_at, first.finished_at)
    assert events(ledger, run) == before


@pytest.mark.parametrize("verb", ["complete", "fail"])
def test_a_run_that_is_over_cannot_be_cancelled(ledger: Ledger, run: Run, verb: Verb) -> None:
    for key in ("fetch", "load"):
        ledger.ask(task(ledger, run, key).id, Ask(verb))
    before = events(ledger, run)

    with pytest.raises(WrongState, match=r"; cancel needs a run that is not over$") as refused:
        ledger.cancel_run(run.id)

    assert refused.value.hint == f"tasktrail run dag --status {run.name}"
    assert events(ledger, run) == before


def test_a_cancelled_run_that_ended_as_failed_may_be_cancelled_again(ledger: Ledger) -> None:
    run = ledger.create_run(RunDraft("dag", "r", "w", (TaskDraft("a", critical=False), TaskDraft("b"))))
    ledger.ask(task(ledger, run, "a").id, Ask("fail"))
    first = ledger.cancel_run(run.id)
    before = events(ledger, run)

    assert (first.status, ledger.cancel_run(run.id).status) == ("failed", "failed")
    assert events(ledger, run) == before


@pytest.mark.parametrize(("ask_first", "verb"), [("cancel_run", "reopen"), ("fail", "retry")])
def test_a_retry_or_reopening_lifts_the_cancellation(ledger: Ledger, ask_first: str, verb: Verb) -> None:
    run = ledger.create_run(RunDraft("dag", "r", "w", (TaskDraft("fetch", critical=False), TaskDraft("other"))))
    if ask_first == "fail":
        ledger.ask(task(ledger, run, "fetch").id, Ask("fail"))
    ledger.cancel_run(run.id)

    ledger.ask(task(ledger, run, "fetch").id, Ask(verb))

    now = ledger.store.read(lambda tx: tx.run(run.id))
    assert (now.cancelled_at, now.accepts_starts) == (None, True)
    assert verify(ledger.store) == []


def test_an_empty_run_that_is_cancelled_is_cancelled(ledger: Ledger) -> None:
    assert ledger.cancel_run(ledger.create_run(RunDraft("dag", "r", "w")).id).status == "cancelled"


def test_a_declared_status_holds_until_a_task_moves(ledger: Ledger, run: Run) -> None:
    declared = ledger.declare_run(run.id, "failed", "the engine broke")
    assert (declared.status, declared.declared_error) == ("failed", "the engine broke")
    assert verify(ledger.store) == []

    ledger.ask(task(ledger, run, "fetch").id, Ask("start"))
    now = ledger.store.read(lambda tx: tx.run(run.id))
    assert (now.status, now.declared_status, now.finished_at) == ("running", None, None)
    assert verify(ledger.store) == []


# ----------------------------------------------------------------------------------------------------------- scrubbing


def tell(ledger: Ledger, run: Run, where: str) -> None:
    """Let the secret in by one of the doors for text."""
    fetch = task(ledger, run, "fetch")
    failure = {"type": "OSError", "message": "gone", "stack": None} | {where: TOLD}
    doors: dict[str, Any] = {
        "reason": lambda: ledger.ask(fetch.id, Ask("skip", reason=TOLD)),
        "summary": lambda: ledger.ask(fetch.id, Ask("complete", summary=TOLD)),
        "note": lambda: ledger.note(fetch, TOLD),
        "note of an ask": lambda: ledger.ask(fetch.id, Ask("complete"), note=TOLD),
        "cancel": lambda: ledger.cancel_run(run.id, TOLD),
        "declare": lambda: ledger.declare_run(run.id, "failed", TOLD),
        "adopted error": lambda: ledger.ask(fetch.id, Ask("adopt", target="failed", values={"error": TOLD})),
        "adopted summary": lambda: ledger.ask(fetch.id, Ask("adopt", target="completed", values={"summary": TOLD})),
        "answer's reason": lambda: answer(ledger, run, Ask("block", reason=TOLD)),
        "answer's summary": lambda: answer(ledger, run, Ask("complete", summary=TOLD)),
        "answer's note": lambda: answer(ledger, run, Ask("complete"), note=TOLD),
    }
    if where in ("type", "message", "stack"):
        ledger.ask(ledger.ask(fetch.id, Ask("start")).id, Ask("fail", failure=Failure(**failure)))  # type: ignore[arg-type]
    elif where.startswith("answer's failure"):
        answer(ledger, run, Ask("fail", failure=Failure("OSError", TOLD, TOLD)))
    else:
        doors[where]()


def answer(ledger: Ledger, run: Run, ask: Ask, note: str | None = None) -> None:
    execution = Execution(ledger, run.id)
    turn = execution.begin(["fetch"], first_ready(run))
    execution.advance([Answer(turn.claims[0], ask, note=note)], nothing)


@pytest.mark.parametrize(
    "where",
    [
        "reason", "summary", "note", "note of an ask", "cancel", "declare", "type", "message", "stack", "adopted error",
        "adopted summary", "answer's failure", "answer's reason", "answer's summary", "answer's note",
    ],
)  # fmt: skip
def test_no_secret_in_a_text_reaches_the_file(ledger: Ledger, run: Run, where: str) -> None:
    tell(ledger, run, where)

    found = bytes_of(ledger)
    assert SECRET.encode() not in found
    assert b"login failed" in found, "the rest of the text is kept"
    assert verify(ledger.store) == []


def test_the_scrubber_is_the_one_that_was_given(ledger: Ledger, run: Run) -> None:
    own = Ledger(ledger.store, actor="ann", scrub=Scrubber(TEXT, own=lambda: [("upper", str.upper)]))

    assert own.ask(task(ledger, run, "fetch").id, Ask("skip", reason="not needed")).reason == "NOT NEEDED"


def test_equal_values_are_alike_in_the_texts_of_a_failure(ledger: Ledger) -> None:
    stack = "ben@example.org asked for ann@example.org"

    kept = ledger.clean_failure(Failure("E", "no letter to ann@example.org", stack))

    assert (kept.message, kept.stack) == ("no letter to [email]", "[email:2] asked for [email]")


def test_data_is_stored_exactly(ledger: Ledger) -> None:
    value = {"password": SECRET, "text": "ü\n\t\u2028 ' \" \\ 😀", "list": [1, 2.5, None, True, -(2**63)], "": {}}
    encoded = encode(value, "the result")
    draft = TaskDraft("a", title=TOLD, metadata=encode(value, "metadata").column)
    run = ledger.create_run(RunDraft("dag", "r", "w", (draft,), metadata=draft.metadata))
    done = ledger.ask(task(ledger, run, "a").id, Ask("complete", output=encoded.column), payload=encoded)

    assert ledger.store.read(lambda tx: decode(done.output, tx)) == value
    assert ledger.store.read(lambda tx: decode(tx.run(run.id).metadata, tx)) == value
    found = bytes_of(ledger)
    assert found.count(SECRET.encode()) >= 4
    assert verify(ledger.store) == []


def test_a_large_value_is_kept_once_by_its_content(ledger: Ledger, run: Run) -> None:
    encoded = encode({"page": "x" * 50_000}, "the result")
    for key in ("fetch", "load"):
        ledger.ask(task(ledger, run, key).id, Ask("complete", output=encoded.column), payload=encoded)

    fetch = task(ledger, run, "fetch")
    assert fetch.output == task(ledger, run, "load").output
    assert str(fetch.output).startswith("@")
    assert ledger.store.read(lambda tx: decode(fetch.output, tx)) == {"page": "x" * 50_000}
    assert verify(ledger.store) == []
