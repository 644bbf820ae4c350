"""Pruning: what is over and old goes, whole; what is not stays; the history vouches for what is gone."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from tasktrail.engine.health import _look_at_removals
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import worker_of
from tasktrail.engine.pruning import Pruning
from tasktrail.engine.removals import removals
from tasktrail.engine.values import Encoded, encode
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import WrongState
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, Verb
from tasktrail.model.run import Kind, Run
from tasktrail.store.opening import open_store
from tasktrail.store.transaction import Transaction
from tasktrail.testing import FakeClock
from tests.engine.executing import Engine

DAY_S = 86_400
LARGE = encode(["x" * 5000], "the result")
OTHER = encode(["y" * 5000], "the result")
TABLES = ("run", "task", "need", "attempt", "output", "reuse", "item", "document", "payload", "definition")
RECORDING = """
INSERT INTO attempt (n, fence, trace_id, span_id, started_at, ended_at, outcome, type, public_id, task_ref, details)
VALUES (1, 1, :trace_id, :public_id, :at, :at, :outcome, 'task_execution', :public_id, 'daily', '{}')
"""


def make(engine: Engine, name: str, *verbs: Verb, kind: Kind = "dag", n_tasks: int = 1) -> Run:
    """Store a run of a chain of tasks and ask the verbs of each."""
    drafts = tuple(TaskDraft(f"t{n}", needs=(Need(f"t{n - 1}"),) if n else ()) for n in range(n_tasks))
    run = engine.ledger.create_run(RunDraft(kind, name, "etl", drafts))
    for task in engine.ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id)):
        for verb in verbs:
            engine.ledger.ask(task.id, Ask(verb))
    return engine.run(run.id)


def pruning(engine: Engine, days: int = 90, **options: bool | int) -> Pruning:
    until = engine.clock.now() - days * DAY_S * 1_000_000
    return Pruning(engine.ledger, until, **options)  # type: ignore[arg-type]  # each by its name


def names(engine: Engine) -> list[str]:
    return sorted(str(row[1]) for row in engine.rows("newest_runs", prefix="", limit=100))


def sql(engine: Engine, text: str, **params: object) -> list[tuple[object, ...]]:
    """Run a statement that is none of ours."""

    def work(tx: Transaction) -> list[tuple[object, ...]]:
        return tx.with_queries({"it": text}).execute("it", params).fetchall()

    return engine.ledger.store.write(work)


def left(engine: Engine) -> dict[str, object]:
    """Return how many rows each table has that has any."""
    counts = {name: sql(engine, f"SELECT count(*) FROM {name}")[0][0] for name in TABLES}
    return {name: number for name, number in counts.items() if number}


@pytest.mark.parametrize("kind", ["dag", "plan", "matrix", "job", "cards"])
def test_what_is_over_and_old_goes_with_all_that_belongs_to_it(anywhere: Engine, kind: Kind):
    old = make(anywhere, "old", "start", "complete", kind=kind, n_tasks=3)
    task = anywhere.task(old.id, "t0")
    more = {"id": task.id, "run": old.id}
    sql(anywhere, "INSERT INTO output VALUES (1, :id, 1, 0, 5, 7, '1ready')", **more)
    sql(anywhere, "INSERT INTO reuse VALUES ('key', :id, 1)", **more)
    sql(anywhere, "INSERT INTO item (run_id, name, position) VALUES (:run, 'Argo', 1)", **more)
    anywhere.clock.advance(60 * DAY_S)
    make(anywhere, "young", "start", "complete", kind=kind)
    anywhere.clock.advance(60 * DAY_S)

    gone = pruning(anywhere).prune()

    assert gone == Counter(runs=1, tasks=3, attempts=3, events=9)
    assert names(anywhere) == ["young"]
    assert left(anywhere) == {"run": 1, "task": 1, "attempt": 1}
    assert anywhere.rows("events_of_runs", ids=json.dumps([old.id])) == []


def test_what_would_go_is_what_goes_and_looking_changes_nothing(anywhere: Engine):
    make(anywhere, "one", "start", "complete", n_tasks=3)
    make(anywhere, "two", "start", "fail")
    make(anywhere, "open")
    anywhere.clock.advance(100 * DAY_S)
    before = anywhere.rows("last_event"), names(anywhere)

    found = pruning(anywhere).look()

    assert (anywhere.rows("last_event"), names(anywhere)) == before
    assert pruning(anywhere).prune() == +found.rows
    assert pruning(anywhere).look().rows == Counter(runs=0, tasks=0, attempts=0, events=0)


def test_what_is_open_held_or_attached_stays_and_is_said(anywhere: Engine):
    make(anywhere, "waiting")
    make(anywhere, "plan-with-a-failure", "start", "fail", kind="plan")
    make(anywhere, "held", "start", "complete")
    attached, detached = make(anywhere, "attached", "start", "complete"), make(anywhere, "gone", "start", "complete")
    for run, gone_at in ((attached, None), (detached, 5)):
        row = {"id": run.id, "path": f"{run.name}.json", "at": gone_at}
        sql(
            anywhere,
            "INSERT INTO document (id, path, codec, detached_at) VALUES (:id, :path, 'run-json@1', :at)",
            **row,
        )
        sql(anywhere, "UPDATE run SET document_id = :id WHERE id = :id", id=run.id)
    worker_of(anywhere.ledger)
    sql(anywhere, "UPDATE run SET worker_id = 1 WHERE name = 'held'")
    from tasktrail.engine import ownership

    ownership.active.add("token")
    sql(anywhere, "UPDATE run SET owner_token = 'token' WHERE name = 'held'")
    anywhere.clock.advance(100 * DAY_S)

    found = pruning(anywhere).look()
    gone = pruning(anywhere).prune()

    ownership.active.discard("token")
    assert found.kept == Counter(open=1, held=1, attached=1)
    assert [Path(path).name for path in found.files] == ["attached.json"]
    assert gone["runs"] == 1
    assert names(anywhere) == ["attached", "held", "plan-with-a-failure", "waiting"]
    assert left(anywhere)["document"] == 1


def test_failures_are_kept_on_request(anywhere: Engine):
    make(anywhere, "good", "start", "complete")
    make(anywhere, "bad", "start", "fail")
    anywhere.clock.advance(100 * DAY_S)

    assert pruning(anywhere, keep_failures=True).look().kept == Counter(failed=1)
    pruning(anywhere, keep_failures=True).prune()

    assert names(anywhere) == ["bad"]


def test_recordings_go_when_their_trace_has_nothing_younger(anywhere: Engine):
    run = make(anywhere, "young", "start", "complete")
    now = anywhere.clock.now()
    old = now - 100 * DAY_S * 1_000_000
    for public_id, trace_id, at, outcome in (
        ("alone", "a", old, "ok"),
        ("very-old", "z", -5, "ok"),
        ("failed", "b", old, "error"),
        ("first-try", "c", old, "error"),
        ("second-try", "c", now, "ok"),
        ("of-a-run", run.trace_id, old, "ok"),
    ):
        sql(anywhere, RECORDING, public_id=public_id, trace_id=trace_id, at=at, outcome=outcome)

    def recorded() -> list[object]:
        return [row[0] for row in sql(anywhere, "SELECT public_id FROM attempt WHERE type IS NOT NULL ORDER BY 1")]

    found = pruning(anywhere, keep_failures=True).look()
    assert (+found.rows, found.kept) == (Counter(recordings=2), Counter(failed=1, recent=2))
    assert pruning(anywhere, keep_failures=True).prune() == Counter(recordings=2)
    assert recorded() == ["failed", "first-try", "of-a-run", "second-try"]
    assert pruning(anywhere).prune() == Counter(recordings=1)
    assert recorded() == ["first-try", "of-a-run", "second-try"]


def after(pruning: Pruning, meanwhile: Callable[[], object]) -> Counter[str]:
    """Remove what was old before something happened; return what went."""
    batches = list(pruning._batches())
    meanwhile()
    return sum(map(pruning.ledger.store.write, batches), Counter[str]())


def test_recordings_that_have_the_numbers_of_removed_ones_stay(anywhere: Engine):
    now = anywhere.clock.now()
    old = {"trace_id": "a", "at": now - 100 * DAY_S * 1_000_000, "outcome": "ok"}
    for name in ("first", "second", "third"):
        sql(anywhere, RECORDING, public_id=name, **old)

    def meanwhile() -> None:
        pruning(anywhere).prune()
        sql(anywhere, RECORDING, public_id="young", trace_id="b", at=now, outcome="ok")
        sql(anywhere, RECORDING, public_id="failed", **{**old, "outcome": "error"})

    assert after(pruning(anywhere, keep_failures=True), meanwhile) == Counter()
    assert sql(anywhere, "SELECT public_id FROM attempt ORDER BY 1") == [("failed",), ("young",)]


def test_a_first_attempt_stays_that_is_tried_again_meanwhile(anywhere: Engine):
    now = anywhere.clock.now()
    old = now - 100 * DAY_S * 1_000_000
    sql(anywhere, RECORDING, public_id="first-try", trace_id="c", at=old, outcome="error")
    sql(anywhere, RECORDING, public_id="alone", trace_id="a", at=old, outcome="ok")
    again = {"public_id": "second-try", "trace_id": "c", "at": now, "outcome": "ok"}

    assert after(pruning(anywhere), lambda: sql(anywhere, RECORDING, **again)) == Counter(recordings=1)
    assert sql(anywhere, "SELECT public_id FROM attempt ORDER BY 1") == [("first-try",), ("second-try",)]


ATTACH = "INSERT INTO document (id, path, codec) VALUES (1, 'a.json', 'run-json@1')"


@pytest.mark.parametrize(
    "statements",
    [(ATTACH, "UPDATE run SET document_id = 1"), ("UPDATE run SET worker_id = 1, owner_token = 'token'",)],
    ids=["attached", "held"],
)
@pytest.mark.parametrize("most_rows", [1, 5_000], ids=["parts", "whole"])
def test_a_run_that_is_attached_or_taken_up_meanwhile_stays(
    anywhere: Engine, statements: tuple[str, ...], most_rows: int, monkeypatch: pytest.MonkeyPatch
):
    run = make(anywhere, "old", "start", "complete", n_tasks=3)
    worker_of(anywhere.ledger)
    anywhere.clock.advance(100 * DAY_S)
    store, real = anywhere.ledger.store, anywhere.ledger.store.write
    monkeypatch.setattr("tasktrail.engine.ownership.active", {"token"})

    def late(work: Callable[[Transaction], object], **options: float | None) -> object:
        monkeypatch.setattr(store, "write", real)
        for text in statements:
            sql(anywhere, text)
        return real(work, **options)

    monkeypatch.setattr(store, "write", late)

    assert pruning(anywhere, most_rows=most_rows).prune() == Counter()
    assert anywhere.run(run.id).n_tasks == 3


def test_a_failed_run_that_has_the_number_of_a_removed_one_is_kept_on_request(anywhere: Engine):
    make(anywhere, "good", "start", "complete")
    anywhere.clock.advance(100 * DAY_S)

    def meanwhile() -> None:
        pruning(anywhere).prune()
        anywhere.clock.advance(-100 * DAY_S)
        make(anywhere, "bad", "start", "fail")
        anywhere.clock.advance(100 * DAY_S)

    assert after(pruning(anywhere, keep_failures=True), meanwhile) == Counter()
    assert names(anywhere) == ["bad"]


def test_payloads_and_definitions_go_when_nothing_refers_to_them(anywhere: Engine):
    ledger = anywhere.ledger

    def created(name: str, workflow: str) -> int:
        said = {"kind": "workflow", "name": workflow, "hash": workflow, "spec": "{}", "at": 1}
        ledger.store.write(lambda tx: tx.execute("add_definition", said))
        ((number,),) = sql(anywhere, "SELECT id FROM definition WHERE name = :name", name=workflow)
        return ledger.create_run(RunDraft("dag", name, workflow, (TaskDraft("a"),), definition_id=int(str(number)))).id

    def give(run_id: int, *values: Encoded) -> None:
        task = anywhere.task(run_id, "a")
        for value in values:
            ledger.ask(task.id, Ask("start"))
            ledger.ask(task.id, Ask("complete", output=value.column), payload=value)
            if value is not values[-1]:
                ledger.ask(task.id, Ask("reopen"))

    old, stays = created("old", "first"), created("stays", "second")
    give(old, LARGE, OTHER)
    anywhere.clock.advance(60 * DAY_S)
    give(stays, LARGE)
    anywhere.clock.advance(60 * DAY_S)

    gone = pruning(anywhere).prune()

    assert (gone["payloads"], gone["definitions"]) == (1, 1)
    assert sql(anywhere, "SELECT hash FROM payload") == [(str(LARGE.column)[1:],)]
    assert sql(anywhere, "SELECT name FROM definition") == [("second",)]


def test_a_payload_that_only_an_event_names_stays(anywhere: Engine):
    run = make(anywhere, "open")
    task = anywhere.task(run.id, "t0")
    anywhere.ledger.ask(task.id, Ask("complete", output=LARGE.column), payload=LARGE)
    anywhere.ledger.ask(task.id, Ask("reopen"))

    assert pruning(anywhere).prune() == Counter()
    assert left(anywhere)["payload"] == 1


def test_a_payload_that_is_needed_again_meanwhile_stays(anywhere: Engine, monkeypatch: pytest.MonkeyPatch):
    run = make(anywhere, "open")
    anywhere.ledger.store.write(lambda tx: LARGE.keep(tx, 1))
    looked = Pruning._drop_payloads

    def meanwhile(self: Pruning, hashes: list[str], end: tuple[int, int], tx: Transaction) -> Counter[str]:
        task = anywhere.task(run.id, "t0")
        if task.status == "pending":
            values = {"output": LARGE.column, "id": task.id, "changes": json.dumps({"output": [None, LARGE.column]})}
            tx.with_queries({"it": "UPDATE task SET output = :output WHERE id = :id"}).execute("it", values)
            tx.record_run(run.id, "note", 1, "ann", changes=values["changes"])
        return looked(self, hashes, end, tx)

    monkeypatch.setattr(Pruning, "_drop_payloads", meanwhile)

    assert pruning(anywhere).prune() == Counter()
    assert left(anywhere)["payload"] == 1
    sql(anywhere, "UPDATE task SET output = NULL")


def large(engine: Engine) -> Run:
    """A run that stopped in its middle, with tasks that can never start, and one whose needs do not exist any more."""
    run = make(engine, "large", n_tasks=30)
    tasks = engine.ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    for task in tasks[:20]:
        engine.ledger.ask(task.id, Ask("start"))
        engine.ledger.ask(task.id, Ask("complete" if task.key != "t19" else "fail"))
    return engine.run(run.id)


def test_a_large_run_goes_in_parts_and_is_sound_after_each(anywhere: Engine):
    large(anywhere)
    anywhere.clock.advance(100 * DAY_S)
    states: list[tuple[str, int, bool]] = []

    def told(_: int) -> None:
        assert verify(anywhere.ledger.store) == []
        states.extend((run.status, run.n_tasks, run.accepts_starts) for run in map(anywhere.run, ids()))

    def ids() -> list[int]:
        return [int(str(row[0])) for row in anywhere.rows("run_ids")]

    gone = pruning(anywhere, most_rows=20).prune(told)

    assert gone == Counter(runs=1, tasks=30, attempts=20, events=43)
    assert len(states) > 3
    assert {(status, accepts) for status, _, accepts in states} == {("failed", False)}
    assert [n for _, n, _ in states] == sorted((n for _, n, _ in states), reverse=True)
    assert names(anywhere) == []


class Enough(Exception):
    """The person pressed a key."""


def test_it_can_be_stopped_and_goes_on(anywhere: Engine):
    for n in range(6):
        make(anywhere, f"run-{n}", "start", "complete", n_tasks=3)
    anywhere.clock.advance(100 * DAY_S)

    def told(_: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        pruning(anywhere, most_rows=1).prune(told)
    assert verify(anywhere.ledger.store) == []
    assert len(names(anywhere)) == 6
    pruning(anywhere, most_rows=1).prune()

    assert names(anywhere) == []
    totals, rows = anywhere.ledger.store.read(removals)
    assert (totals["runs"], totals["tasks"], len(rows)) == (6, 18, 18)


@pytest.mark.parametrize("seed", range(6))
def test_after_random_work_what_is_left_is_proven_after_each_batch(anywhere: Engine, seed: int):
    rng = random.Random(seed)
    for n in range(5):
        run = make(anywhere, f"run-{n}", kind=rng.choice(("dag", "plan")), n_tasks=rng.randint(1, 8))
        for _ in range(25):
            task = rng.choice(anywhere.ledger.store.read(lambda tx, run=run: tx.tasks("tasks_of_run", run_id=run.id)))  # type: ignore[misc]
            verbs: tuple[Verb, ...] = ("start", "complete", "fail", "skip", "retry", "reopen", "block")
            try:
                anywhere.ledger.ask(task.id, Ask(rng.choice(verbs), force=True))
            except WrongState:
                continue
        if rng.random() < 0.7 and anywhere.run(run.id).finished_at is None:
            anywhere.ledger.cancel_run(run.id)
    anywhere.clock.advance(100 * DAY_S)

    def told(_: int) -> None:
        assert verify(anywhere.ledger.store) == []

    found = pruning(anywhere).look()
    gone = pruning(anywhere, most_rows=rng.randint(1, 30)).prune(told)

    assert gone == +found.rows
    assert len(names(anywhere)) == 5 - gone["runs"]


# ------------------------------------------------------------------------------------------------------------ the proof


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    """A file from which three runs went, each in a batch of its own."""
    path = tmp_path / "tasks.db"
    store, clock = open_store(str(path)), FakeClock()
    engine = Engine(Ledger(store, actor="ann", clock=clock), clock)
    for name in ("one", "two", "three"):
        make(engine, name, "start", "complete")
    clock.advance(100 * DAY_S)
    make(engine, "young", "start", "complete")
    pruning(engine, most_rows=1).prune()
    assert verify(store) == []
    store.close()
    return path


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE event SET changes = replace(changes, 'tasks', 'casks') WHERE seq = {second}", "is not what it was"),
        ("UPDATE event SET at = at + 1 WHERE seq = {second}", "is not what it was when it was written"),
        ("DELETE FROM event WHERE seq = {second}", "does not follow the removal before it"),
        ("DELETE FROM event WHERE seq = {first}", "does not follow the removal before it"),
        ("INSERT INTO event (seq, at, actor, verb) VALUES (1, 1, 'eve', 'note')", "on record as removed before event"),
        ("UPDATE event SET actor = 'eve' WHERE seq = {second}", None),
    ],
)  # fmt: skip
def test_a_removal_that_is_tampered_with_is_found(pruned: Path, statement: str, words: str | None):
    connection = apsw.Connection(str(pruned))
    connection.execute("DROP TRIGGER event_is_never_changed")
    seqs = [row[0] for row in connection.execute("SELECT seq FROM event WHERE verb = 'pruned' ORDER BY seq")]
    connection.execute(statement.format(first=seqs[0], second=seqs[1]))
    connection.close()
    store = open_store(str(pruned))

    findings = verify(store)

    store.close()
    assert [words in finding for finding in findings] == [True] if words else findings == []


def test_the_doctor_says_what_was_pruned_when_and_by_whom(pruned: Path):
    store = open_store(str(pruned))

    (check,) = _look_at_removals(store)

    assert check.message == "3 runs, 3 tasks, 3 attempts, 15 events; 2026-04-11, by ann"
    store.close()
