"""What every store must do, as tests: subclass `StoreContract`, give it a `store` fixture, and run pytest."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.readers import Reader
from tasktrail.engine.verification import verify
from tasktrail.model.attempt import ATTEMPT_FIELDS
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Conflict, NotFound
from tasktrail.model.lifecycle import Ask, decide
from tasktrail.model.run import RUN_FIELDS, Run
from tasktrail.model.task import FIELDS, Task
from tasktrail.store.queries import queries
from tasktrail.store.records import Mark
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Transaction
from tasktrail.testing.asking_contract import AskingContract
from tasktrail.testing.errors_contract import ErrorsContract
from tasktrail.testing.fakes import FakeClock
from tasktrail.testing.needs_contract import NeedsContract
from tasktrail.testing.stored import MARK, snapshot, task_of

_PARAMETER: Final = re.compile(r"(?<![:\w]):(\w+)")
_QUERY: Final = re.compile(r"(SELECT|INSERT|UPDATE|DELETE)\b(?! value\b)")
_SAMPLES: Final[dict[str, object]] = {
    "kind": "dag", "name": "etl", "workflow": "etl", "prefix": "e", "key": "load", "item": "", "map_index": -1,
    "limit": 10, "after": 0, "now": 1, "at": 1, "updated_at": 1, "created_at": 1, "position": 99, "task_id": 1, "n": 1,
    "trace_id": "0" * 32, "span_id": "0" * 16, "verb": "note", "actor": "tester", "status": "pending", "spec": "{}",
    "statuses": '["pending"]', "ids": "[]", "was_fence": 0, "was_status": "pending", "was_version": 1, "held": False,
    "fence": 0, "needed_key": "load", "optional": False, "priority": 3, "critical": True, "max_retries": 3,
    "host": "here", "pid": 1, "boot_id": "boot-1", "lock_name": "lock", "hash": "0", "data": "1", "path": "/tmp/week",
    "codec": "plan_json", "folder": "/tmp", "paused": 0, "resumes": 0, "dead_needs": 0, "unmet": 0, "attempts": 0,
    "tries": 0, "losses": 0, "done": 1, "total": 2, "attempt": 1, "length": 1, "lines": "1a", "known": 1,
    "items": '["an item"]', "names": '["load"]', "removed": "gone", "number": 99, "checksum": "0", "oldest": 1,
}  # fmt: skip
"""Values with which every query can run on a store that holds one run; those that are missing are null."""
_SAMPLES_OF: Final[dict[str, dict[str, object]]] = {
    "add_run": {"id": 999, "name": "other"}, "add_task": {"id": 999, "key": "other"}, "open_attempt": {"n": 999},
    "see_error": {"fingerprint": "fp1:0", "times": 1, "first_at": 1, "last_at": 1},
    "add_recording": {"type": "observation", "started_at": 1, "ended_at": 1, "outcome": "ok"},
    "count_run": {"status": "created"}, "put_run": {"status": "created", "skipped_meets": 0},
}  # fmt: skip


class Undo(Exception):
    """Raised by a test's work so that nothing of it stays."""


class StoreContract(NeedsContract, ErrorsContract, AskingContract):
    """Tests that a store passes whatever database it lives in.

    A subclass overrides the fixture `store` (empty, closed by the fixture itself) and, where a database other than
    SQLite speaks, `database`. Where callers queue for the writer, `await_queued` stages the race for it.
    """

    def await_queued(self, store: Store, callers: int) -> None:
        """Return once so many callers wait for the write that runs; a database that has no queue returns at once."""

    # queries

    def test_columns_of_queries_are_the_fields_of_values(self) -> None:
        """A column that is added in one place alone would shift all that follow."""
        named = queries(self.database)
        columns = {name: re.split(r",\s*", named[f"{name}_columns"]) for name in ("task", "run", "attempt")}

        assert columns == {"task": [*FIELDS], "run": [*RUN_FIELDS], "attempt": [*ATTEMPT_FIELDS]}

    def test_every_named_query_runs(self, store: Store, etl: Run) -> None:
        """Each is run with sample values and undone."""
        named = queries(self.database)
        for name in sorted(name for name, text in named.items() if _QUERY.match(text)):
            known = {**_SAMPLES, "id": etl.id, "run_id": etl.id, **_counters(etl), **_SAMPLES_OF.get(name, {})}
            params = {word: known.get(word) for word in _PARAMETER.findall(named[name])}
            with pytest.raises(Undo):
                store.write(partial(_run_and_undo, name, params))

    def test_values_come_back_as_they_were_given(self, store: Store, ledger: Ledger, clock: FakeClock) -> None:
        """Every column of a new task and run is where its name says."""
        draft = TaskDraft(
            "fetch", "BBB", 2, title="Fetch it", priority=-1, critical=False, queue="gpu", labels='["a"]',
            max_retries=7, retry='{"a":1}', timeout_ms=1500, metadata='{"k":"ü"}',
        )  # fmt: skip
        run = ledger.create_run(RunDraft("job", "nightly-1", "nightly", (draft,), target="m:f", metadata='{"x":1}'))
        found = store.read(lambda tx: tx.task("task_by_key", key="fetch", run_id=run.id, item="BBB", map_index=2))

        assert (run.kind, run.name, run.workflow, run.target) == ("job", "nightly-1", "nightly", "m:f")
        assert (run.status, run.n_pending, run.created_at, run.metadata) == ("created", 1, clock.now(), '{"x":1}')
        assert found == Task(
            found.id if found else 0, run.id, "fetch", "BBB", 2, 1, "pending", 1, 0, 0, -1, 0, "gpu", '["a"]', None, 0,
            0, 0, 0, None, None, None, None, None, 7, '{"a":1}', 1500, None, None, None, None, None, clock.now(),
            None, None,
        )  # fmt: skip

    def test_ready_tasks_come_by_priority_then_position_and_those_whose_time_has_come(
        self, store: Store, ledger: Ledger, clock: FakeClock
    ) -> None:
        """Smaller is more urgent; a task that waits for its time is not ready before it."""
        drafts = [TaskDraft("late", priority=1), *(TaskDraft(key, priority=int(key[1])) for key in ("p3", "p1", "p2"))]
        run = ledger.create_run(RunDraft("dag", "r", "r", (*drafts, TaskDraft("p1b", priority=1))))
        late = task_of(store, run, "late")
        ledger.ask(ledger.ask(late.id, Ask("start")).id, Ask("retry", not_before=clock.now() + 5_000_000))

        def keys(query: str) -> list[str]:
            return [
                task.key
                for task in store.read(
                    lambda tx: tx.tasks(query, run_id=run.id, now=clock.now(), without=None, limit=9)
                )
            ]

        assert (keys("ready_tasks"), keys("due_tasks")) == (["p1", "p1b", "p2", "p3"], [])
        clock.advance(5)
        assert (keys("ready_tasks"), keys("due_tasks")) == (["p1", "p1b", "p2", "p3"], ["late"])

    # writing

    def test_a_write_that_raises_leaves_nothing(self, store: Store, etl: Run) -> None:
        """Task, attempt, event and counters go together or not at all."""

        def work(tx: Transaction) -> None:
            tx.apply([(decide(_first(tx, etl), Ask("start"), 5), MARK)])
            tx.set_run(etl.id, paused=1)
            tx.settle()
            raise Undo

        before = snapshot(store, etl.id)
        with pytest.raises(Undo):
            store.write(work)

        assert snapshot(store, etl.id) == before
        assert verify(store) == []

    def test_a_write_returns_what_its_work_returns_and_readers_see_it(self, store: Store, etl: Run) -> None:
        """Once write has returned, every reader sees it."""

        def work(tx: Transaction) -> str:
            tx.set_run(etl.id, paused=1)
            return "done"

        assert store.write(work) == "done"
        assert store.read(lambda tx: tx.run(etl.id)).paused == 1

    def test_what_a_reader_writes_does_not_stay(self, store: Store, etl: Run) -> None:
        """Reading is no way round the one writer."""
        store.read(lambda tx: tx.execute("drop_run", {"id": etl.id}))

        assert store.read(lambda tx: tx.run(etl.id)).name == "etl"

    def test_a_write_inside_a_write_is_refused(self, store: Store, etl: Run) -> None:
        """It would wait for itself; the store goes on afterwards."""

        def work(_: Transaction) -> None:
            store.write(lambda tx: tx.set_run(etl.id, paused=1))

        with pytest.raises(RuntimeError, match="inside a transaction"):
            store.write(work)

        assert store.write(lambda tx: tx.run(etl.id)).paused == 0

    def test_a_reader_keeps_its_snapshot_or_writers_wait_for_it(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Whatever others write meanwhile, a reader sees one moment."""
        with ThreadPoolExecutor(1) as other:

            def read_twice(tx: Transaction) -> tuple[list[str], list[str]]:
                first: list[str] = [task.status for task in tx.tasks("tasks_of_run", run_id=etl.id)]
                writing = other.submit(ledger.cancel_run, etl.id)
                self.await_writer(store, writing.done)
                return first, [task.status for task in tx.tasks("tasks_of_run", run_id=etl.id)]

            first, second = store.read(read_twice)

        assert first == second == ["pending"] * 4
        assert [task.status for task in store.read(lambda tx: tx.tasks("tasks_of_run", run_id=etl.id))] == [
            "cancelled"
        ] * 4

    def await_writer(self, store: Store, written: Callable[[], bool]) -> None:
        """Return once another thread's write is done; where writers wait for readers, at once."""

    def test_one_callers_error_does_not_poison_the_commit_of_others(self, store: Store, ledger: Ledger) -> None:
        """Callers that come while a commit runs share the next; each keeps what it did or gets its own error."""
        drafts = tuple(TaskDraft(f"t{n}") for n in range(8))
        run = ledger.create_run(RunDraft("dag", "shared", "shared", drafts))
        tasks = store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))

        def work(task: Task) -> Callable[[Transaction], str]:
            def start(tx: Transaction) -> str:
                tx.apply([(decide(task, Ask("start"), 5), MARK)])
                if task.position % 2:
                    raise Undo(task.key)
                return task.key

            return start

        outcomes = self.write_together(store, [work(task) for task in tasks])

        assert [str(outcome) for outcome in outcomes] == [task.key for task in tasks]
        assert [isinstance(outcome, Undo) for outcome in outcomes] == [True, False] * 4
        statuses = [task.status for task in store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))]
        assert statuses == ["pending", "in_progress"] * 4
        assert verify(store) == []

    def write_together(self, store: Store, works: list[Callable[[Transaction], str]]) -> list[object]:
        """Hold the writer, let a thread ask for each work, let go; return their results and errors in order."""
        inside, go = threading.Event(), threading.Event()

        def hold(_: Transaction) -> None:
            inside.set()
            assert go.wait(60)

        def ask(work: Callable[[Transaction], str]) -> object:
            try:
                return store.write(work)
            except Undo as error:
                return error

        with ThreadPoolExecutor(len(works) + 1) as threads:
            holder = threads.submit(store.write, hold)
            assert inside.wait(60)
            asked = [threads.submit(ask, work) for work in works]
            try:
                self.await_queued(store, len(works))
            finally:
                go.set()
            holder.result()
            return [one.result() for one in asked]

    @pytest.mark.requirement("BL-061")
    def test_eight_threads_lose_no_update(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """8 × 50 read-change-write cycles on one row, and as many new attempts of one task."""
        task = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))

        def bump(tx: Transaction) -> None:
            tx.set_run(etl.id, resumes=tx.run(etl.id).resumes + 1)

        def work(_: int) -> None:
            for _ in range(50):
                store.write(bump)
                ledger.ask(task.id, Ask("restart"))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))

        assert store.read(lambda tx: tx.run(etl.id)).resumes == 400
        assert task_of(store, etl, "extract").attempts == 401
        assert verify(store) == []

    @pytest.mark.requirement("BL-061")
    def test_two_hundred_runs_created_at_once_are_all_there(self, store: Store, ledger: Ledger) -> None:
        """From eight threads; and the same id is given once."""
        with ThreadPoolExecutor(8) as threads:
            runs = list(
                threads.map(
                    lambda n: ledger.create_run(RunDraft("dag", f"run-{n}", "w", (TaskDraft("a"),))), range(200)
                )
            )
            twice = list(threads.map(lambda _: _created(ledger, RunDraft("dag", "same", "w")), range(8)))

        assert len({run.id for run in runs}) == 200
        found = store.read(lambda tx: tx.runs("runs_of_workflow", workflow="w", limit=500))
        assert {run.name for run in found} == {*(f"run-{n}" for n in range(200)), "same"}
        assert sorted(twice) == [False] * 7 + [True]

    def test_a_reader_beside_writers_sees_each_event_once_and_in_order(self, store: Store, ledger: Ledger) -> None:
        """Also one that is committed after a higher one; four threads write while it reads."""
        reader, read = Reader(ledger), list[int]()

        def work(n: int) -> None:
            for number in range(25):
                ledger.create_run(RunDraft("dag", f"run-{n}-{number}", "w", (TaskDraft("a"),)))

        with ThreadPoolExecutor(4) as threads:
            writing = [threads.submit(work, n) for n in range(4)]
            while not all(one.done() for one in writing):
                read += [logged.event.seq for logged in reader.page()]
        while page := reader.page():
            read += [logged.event.seq for logged in page]

        runs = store.read(lambda tx: tx.runs("runs_of_workflow", workflow="w", limit=500))
        rows = [row for run in runs for row in store.read(lambda tx, run=run: tx.rows("fold_events", run_id=run.id))]  # type: ignore[misc]  # bound now
        assert len(rows) == 100
        assert read == sorted(int(str(row[0])) for row in rows)

    # guards

    def test_a_change_decided_on_an_old_version_applies_nothing(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """No row, no attempt, no event, no counter."""
        old = task_of(store, etl, "extract")
        ledger.ask(ledger.ask(old.id, Ask("block")).id, Ask("unblock"))

        _assert_refused(store, etl, old, Ask("start"), MARK)

    def test_a_change_decided_on_another_status_applies_nothing(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """A holder's answer comes after the task has been taken away."""
        claimed = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))
        ledger.ask(claimed.id, Ask("release"))

        _assert_refused(store, etl, claimed, Ask("complete"), Mark("tester", held=True))

    def test_an_answer_with_an_old_fence_applies_nothing(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """The same status again, but another attempt."""
        claimed = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))
        ledger.ask(claimed.id, Ask("restart"))

        _assert_refused(store, etl, claimed, Ask("complete"), Mark("tester", held=True))

    def test_an_answer_with_the_current_fence_applies_whatever_was_edited(
        self, store: Store, ledger: Ledger, etl: Run
    ) -> None:
        """An edit moves the version, not the claim."""
        claimed = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))
        edit = dict.fromkeys(("retry", "timeout_ms", "queue", "labels", "title", "metadata")) | {
            "critical": 1,
            "priority": 3,
            "max_retries": 9,
        }
        store.write(lambda tx: tx.execute("edit_task", {**edit, "id": claimed.id, "was_version": claimed.version}))
        answer = (decide(claimed, Ask("complete", output="1"), 9), Mark("tester", held=True))

        assert len(store.write(lambda tx: tx.apply([answer]))) == 1
        assert task_of(store, etl, "extract").output == "1"

    def test_a_run_that_is_as_its_writer_left_it_takes_what_was_decided(
        self, store: Store, ledger: Ledger, etl: Run
    ) -> None:
        """Whoever expects that nobody else was there finds all of what it did."""
        claimed = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))
        left = store.read(lambda tx: tx.run(etl.id))
        answer = (decide(claimed, Ask("complete", output="1"), 9), Mark("tester", held=True))

        def finish(tx: Transaction) -> tuple[bool, int, Run]:
            tx.expect(left)
            as_left, done = tx.is_as_left(etl.id), tx.apply([answer])
            tx.settle()
            return as_left, len(done), tx.settled(etl.id)

        as_left, done, settled = store.write(finish)

        assert (as_left, done) == (True, 1)
        assert settled == store.read(lambda tx: tx.run(etl.id))
        assert settled.n_completed == left.n_completed + 1
        assert verify(store) == []

    def test_a_run_that_somebody_changed_meanwhile_is_not_as_it_was_left(self, store: Store, etl: Run) -> None:
        """What was decided on it is decided again."""
        left = store.read(lambda tx: tx.run(etl.id))
        store.write(lambda tx: tx.set_run(etl.id, paused=1))

        def look(tx: Transaction) -> tuple[bool, bool]:
            tx.expect(left)
            return tx.is_as_left(etl.id), tx.accepts_starts(etl.id)

        assert store.write(look) == (False, False)

    def test_what_was_expected_in_vain_leaves_nothing(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """A claim that somebody else made first is refused, although its run was expected to be as it was."""
        task, left = task_of(store, etl, "extract"), store.read(lambda tx: tx.run(etl.id))
        ledger.ask(task.id, Ask("start"))
        before = snapshot(store, etl.id)

        def claim(tx: Transaction) -> int:
            tx.expect(left)
            return len(tx.apply([(decide(task, Ask("start"), 9), Mark("tester"))]))

        assert store.write(claim) == 0
        assert snapshot(store, etl.id) == before
        assert verify(store) == []

    def test_what_is_wrong_in_the_work_itself_is_raised(self, store: Store, etl: Run) -> None:
        """Also where something was expected, and was so."""
        left = store.read(lambda tx: tx.run(etl.id))

        def work(tx: Transaction) -> None:
            tx.expect(left)
            raise Undo

        with pytest.raises(Undo):
            store.write(work)

    # runs

    def test_a_run_is_rolled_up_in_the_commit_that_moves_its_tasks(
        self, store: Store, ledger: Ledger, clock: FakeClock
    ) -> None:
        """From created over running to its end, with times; a retry takes the end back."""
        run = ledger.create_run(RunDraft("dag", "r", "r", (TaskDraft("a"), TaskDraft("b", critical=False))))
        a, b = (task_of(store, run, key) for key in "ab")

        def now() -> tuple[str, int | None]:
            found = store.read(lambda tx: tx.run(run.id))
            return found.status, found.finished_at

        assert now() == ("created", None)
        ledger.ask(a.id, Ask("start"))
        assert now() == ("running", None)
        ledger.ask(a.id, Ask("complete"))
        assert now() == ("running", None)
        clock.advance(3)
        ledger.ask(b.id, Ask("fail"))
        assert now() == ("partial", clock.now())
        ledger.ask(b.id, Ask("retry"))
        assert now() == ("running", None)
        assert verify(store) == []

    def test_a_run_that_was_settled_is_what_a_reader_finds(self, store: Store, etl: Run) -> None:
        """Whoever goes on with it needs not read it again."""
        task = task_of(store, etl, "extract")

        def start(tx: Transaction) -> Run:
            tx.apply([(decide(task, Ask("start"), 9), MARK)])
            tx.settle()
            return tx.settled(etl.id)

        assert store.write(start) == store.read(lambda tx: tx.run(etl.id))

    def test_a_critical_failure_stops_a_dag_but_not_a_plan(self, store: Store, ledger: Ledger) -> None:
        """What could still start does not."""
        drafts = (TaskDraft("a"), TaskDraft("b"))
        for kind, expected in (("dag", "failed"), ("plan", "running")):
            run = ledger.create_run(RunDraft(kind, "r", "r", drafts))  # type: ignore[arg-type]  # two kinds, as listed
            ledger.ask(task_of(store, run, "a").id, Ask("fail"))
            assert store.read(lambda tx, run=run: tx.run(run.id)).status == expected  # type: ignore[misc]  # bound now

    @pytest.mark.requirement("BL-052")
    def test_history_cannot_be_altered_through_the_store(
        self, store: Store, ledger: Ledger, etl: Run, clock: FakeClock
    ) -> None:
        """Every change is one line: who, when, from what to what."""
        clock.advance(1)
        ledger.ask(task_of(store, etl, "extract").id, Ask("skip", reason="not needed"))

        events = store.read(lambda tx: tx.rows("events_of_run", run_id=etl.id, after=0, limit=10))

        at, actor, verb, was, now, _, changes, _, key = events[1][1:10]
        assert (at, actor, verb, was, now, key) == (clock.now(), "tester", "skip", "pending", "skipped", "extract")
        assert changes == f'{{"completed_at":[null,{clock.now()}],"reason":[null,"not needed"]}}'
        assert not [
            text for text in queries(self.database).values() if re.search(r"UPDATE event|INTO event.*ON CONFLICT", text)
        ]

    def test_a_dropped_run_is_gone_with_all_that_belongs_to_it(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """And its id may be given again."""
        task = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))
        ledger.drop_run(etl.id)

        with pytest.raises(NotFound):
            store.read(lambda tx: tx.run(etl.id))
        assert store.read(lambda tx: tx.attempts("attempts_of_task", task_id=task.id)) == []
        assert ledger.create_run(RunDraft("dag", "etl", "etl", (TaskDraft("a"),))).n_pending == 1
        assert verify(store) == []

    def test_a_store_that_was_closed_opens_again(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Twice closed is closed."""
        store.close()
        store.close()

        if store.path:
            assert ledger.cancel_run(etl.id).status == "cancelled"


def _first(tx: Transaction, run: Run) -> Task:
    return tx.tasks("tasks_of_run", run_id=run.id)[0]


def _counters(run: Run) -> dict[str, object]:
    return {name: getattr(run, name) for name in RUN_FIELDS if name == "version" or name.startswith("n_")}


def _run_and_undo(name: str, params: dict[str, object], tx: Transaction) -> None:
    try:
        tx.execute(name, params).fetchall()
    except Exception as error:  # of whatever database it is
        raise AssertionError(f"query {name} does not run with {params}: {error}") from error
    raise Undo


def _created(ledger: Ledger, draft: RunDraft) -> bool:
    try:
        ledger.create_run(draft)
    except Conflict:
        return False
    return True


def _assert_refused(store: Store, run: Run, task: Task, ask: Ask, mark: Mark) -> None:
    """Assert that a change which was decided on `task` applies nothing."""
    before = snapshot(store, run.id)

    assert store.write(lambda tx: tx.apply([(decide(task, ask, 9), mark)])) == []
    assert snapshot(store, run.id) == before
