"""What every store must know of failures: which are one error, how often each was seen, and what helped."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tasktrail.engine.errors import KnownError, error_of, ignore, known_error, list_errors, resolve
from tasktrail.engine.failure_memory import memory_of, remembered
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.readers import Reader
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Ambiguous, NotFound
from tasktrail.model.lifecycle import Ask, Failure, decide
from tasktrail.model.run import Run
from tasktrail.model.task import Outcome, Task
from tasktrail.store.queries import queries
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Transaction
from tasktrail.testing.fakes import FakeClock
from tasktrail.testing.stored import MARK, Stored, task_of

ONE = "fp1:00000000000000aa"
OTHER = "fp1:00000000000000ab"
GONE = Failure("OSError", "gone", "the stack", ONE)


class Rolled(Exception):
    """Raised by a test's work so that nothing of it stays."""


def error(store: Store, fingerprint: str = ONE) -> KnownError:
    """Return a known error."""
    found = store.read(lambda tx: known_error(tx, fingerprint))
    assert found is not None
    return found


def fingerprints(store: Store, task: Task) -> list[str | None]:
    """Return those of the attempts of a task, in order."""
    attempts = store.read(lambda tx: tx.attempts("attempts_of_task", task_id=task.id))
    return [attempt.fingerprint for attempt in attempts]


def fail(ledger: Ledger, task: Task, failure: Failure | None = GONE, outcome: Outcome = "error") -> Task:
    """Begin a task and let it fail."""
    return ledger.ask(ledger.ask(task.id, Ask("start")).id, Ask("fail", failure=failure, outcome=outcome))


def again(ledger: Ledger, task: Task, failure: Failure = GONE) -> Task:
    """Let a task that failed fail again."""
    return fail(ledger, ledger.ask(task.id, Ask("retry")), failure)


def fail_both(ledger: Ledger, store: Store, run: Run) -> None:
    """Let both tasks of a run fail in one transaction, with two errors, and make them ready again."""
    tasks = [task_of(store, run, key) for key in ("a", "b")]
    failures = (GONE, Failure("OSError", "other", None, OTHER))

    def work(tx: Transaction) -> None:
        begun = tx.apply([(decide(task, Ask("start"), 5), MARK) for task in tasks])
        both = zip(begun, failures[:: 1 if run.id % 2 else -1], strict=True)
        ended = tx.apply([(decide(one.after, Ask("fail", failure=why), 6), MARK) for one, why in both])
        tx.apply([(decide(one.after, Ask("retry"), 7), MARK) for one in ended])

    ledger.commit(work)


class ErrorsContract(Stored):
    """Tests of the table `error` and of failure memory; part of `StoreContract`."""

    def test_columns_of_errors_are_the_fields_of_the_value(self) -> None:
        """A column that is added in one place alone would shift all that follow."""
        columns = re.findall(r"errors?\.(\w+)", queries(self.database)["error_columns"])

        assert columns == ["error_type" if name == "type" else name for name in KnownError._fields]

    @pytest.mark.requirement("AX-014", "AX-081")
    def test_failures_of_one_fingerprint_are_counted_together(
        self, store: Store, ledger: Ledger, etl: Run, clock: FakeClock
    ) -> None:
        """Each attempt keeps it; the error has the first and the last time, and the last message."""
        began = clock.now()
        task = fail(ledger, task_of(store, etl, "extract"))
        clock.advance(60)
        task = again(ledger, task, Failure("OSError", "gone " * 200, None, ONE))

        assert fingerprints(store, task) == [ONE, ONE]
        seen = error(store)
        assert (seen.type, seen.occurrences, seen.first_at, seen.last_at) == ("OSError", 2, began, clock.now())
        assert seen.example == ("gone " * 200)[:500]
        assert seen.status == "open"
        assert verify(store) == []

    def test_a_success_has_no_fingerprint(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Nor do those that were given back or cancelled."""
        task = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))
        for verb in ("release", "start", "complete"):
            task = ledger.ask(task.id, Ask(verb))

        assert fingerprints(store, task) == [None, None]
        assert store.read(lambda tx: list_errors(tx)).errors == []

    def test_a_time_out_a_death_and_silence_are_told_by_the_step(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Of the same step alike, whatever their words are; of another step not."""
        found: dict[str, list[str | None]] = {}
        for key in ("extract", "report"):
            task = ledger.ask(task_of(store, etl, key).id, Ask("start", force=True))
            task = ledger.ask(task.id, Ask("retry", failure=Failure("TimeoutError", "after 1 s"), outcome="timeout"))
            task = ledger.ask(task.id, Ask("start", force=True))
            task = ledger.ask(task.id, Ask("retry", failure=Failure("TimeoutError", "in time"), outcome="timeout"))
            task = ledger.ask(task.id, Ask("start", force=True))
            task = ledger.ask(task.id, Ask("lapse", failure=Failure("WorkerDied", "gone"), outcome="lost"))
            task = ledger.ask(task.id, Ask("start", force=True))
            task = ledger.ask(task.id, Ask("fail"))
            found[key] = fingerprints(store, task)

        assert found["extract"][0] == found["extract"][1]
        assert len({*found["extract"], *found["report"]} - {None}) == 6
        assert verify(store) == []

    def test_a_failure_without_an_attempt_counts_too(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Its event has the fingerprint."""
        task = ledger.ask(task_of(store, etl, "extract").id, Ask("fail", failure=GONE))
        events = store.read(lambda tx: tx.rows("latest_events_of_task", id=task.id, before=None, limit=1))

        assert f'"fingerprint": [null, "{ONE}"]' in str(events[0][7])
        assert error(store).occurrences == 1
        assert remembered(ledger, task) is None
        task = ledger.ask(ledger.ask(task.id, Ask("retry")).id, Ask("fail", failure=GONE))
        memory = remembered(ledger, task)
        assert memory is not None
        assert (memory.error.occurrences, memory.tasks) == (2, [])

    def test_failures_of_one_transaction_all_count(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Of one and the same error."""
        tasks = [task_of(store, etl, key) for key in ("extract", "report")]

        ledger.commit(lambda tx: tx.apply([(decide(task, Ask("fail", failure=GONE), 9), MARK) for task in tasks]))
        assert (error(store).occurrences, error(store).last_at) == (2, 9)

    def test_what_is_rolled_back_is_not_counted(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """The count is part of the transaction of the failure."""
        task = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))

        def work(tx: Transaction) -> None:
            tx.apply([(decide(task, Ask("fail", failure=GONE), 9), MARK)])
            raise Rolled

        with pytest.raises(Rolled):
            store.write(work)
        assert store.read(lambda tx: known_error(tx, ONE)) is None

    @pytest.mark.crash
    def test_eight_writers_of_one_error_lose_no_count(self, store: Store, ledger: Ledger) -> None:
        """Each with a task and a run of its own, all at once; in one transaction each with a second error."""
        runs = [ledger.create_run(RunDraft("dag", f"r{n}", "w", (TaskDraft("a"), TaskDraft("b")))) for n in range(8)]
        gate = threading.Barrier(8)

        def work(run: Run) -> None:
            gate.wait(60)
            for _ in range(5):
                fail_both(ledger, store, run)

        with ThreadPoolExecutor(8) as pool:
            assert [*pool.map(work, runs)] == [None] * 8
        assert (error(store).occurrences, error(store, OTHER).occurrences) == (40, 40)
        assert verify(store) == []

    def test_an_error_that_is_seen_after_it_was_resolved_has_regressed(
        self, store: Store, ledger: Ledger, etl: Run, clock: FakeClock
    ) -> None:
        """What is ignored is counted, and in no list that does not ask for it."""
        task = fail(ledger, task_of(store, etl, "extract"))
        clock.advance(1)
        assert resolve(ledger, "00000000000000a", "a cable").status == "resolved"
        clock.advance(1)
        task = again(ledger, task)
        assert (error(store).status, error(store).note) == ("regressed", "a cable")

        assert resolve(ledger, ONE).status == "resolved"
        assert ignore(ledger, ONE).status == "ignored"
        assert ignore(ledger, ONE).ignored_at == clock.now()
        clock.advance(1)
        again(ledger, task)
        assert (error(store).status, error(store).occurrences) == ("ignored", 3)
        assert store.read(lambda tx: list_errors(tx)).errors == []
        assert store.read(lambda tx: list_errors(tx, status="ignored")).errors == [error(store)]
        assert ignore(ledger, ONE, off=True).status == "regressed"

    def test_what_is_said_of_an_error_is_an_event_of_no_run(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Readers of the log get it; saying the same again writes nothing."""
        fail(ledger, task_of(store, etl, "extract"))
        resolve(ledger, ONE, "a cable")
        resolve(ledger, ONE)
        ignore(ledger, ONE)
        ignore(ledger, ONE)

        told = [one for one in Reader(ledger).page() if one.run is None]
        assert [(one.event.verb, one.event.actor, one.event.note) for one in told] == [
            ("error_resolved", "tester", "a cable"), ("error_ignored", "tester", None),
        ]  # fmt: skip
        assert told[0].event.changes["fingerprint"] == [None, ONE]
        assert told[0].event.changes["resolved_at"][0] is None
        assert verify(store) == []

    def test_errors_are_listed_page_by_page_the_last_seen_first(
        self, store: Store, ledger: Ledger, etl: Run, clock: FakeClock
    ) -> None:
        """Also those that were last seen in the same moment."""
        task = fail(ledger, task_of(store, etl, "extract"))
        for number in range(6):
            clock.advance(number % 2)
            task = again(ledger, task, Failure("E", str(number), None, f"fp1:000000000000000{number}"))
        whole = store.read(lambda tx: list_errors(tx, limit=100))
        page = store.read(lambda tx: list_errors(tx, limit=2))
        pages = [*page.errors]
        while page.cursor:
            page = store.read(partial(list_errors, limit=2, cursor=page.cursor))
            pages += page.errors

        assert [one.example for one in pages] == ["5", "3", "4", "1", "2", "0", "gone"]
        assert pages == whole.errors
        since = store.read(lambda tx: list_errors(tx, since=clock.now())).errors
        assert [one.example for one in since] == ["5"]

    def test_an_error_is_found_by_how_its_fingerprint_begins(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """What begins several is ambiguous, and the candidates are named."""
        task = fail(ledger, task_of(store, etl, "extract"))
        again(ledger, task, Failure("E", "", None, OTHER))

        assert store.read(lambda tx: error_of(tx, "00000000000000ab")).fingerprint == OTHER
        assert store.read(lambda tx: error_of(tx, ONE)).fingerprint == ONE
        with pytest.raises(Ambiguous) as several:
            store.read(lambda tx: error_of(tx, "fp1:00"))
        assert several.value.details == (f"{ONE} OSError", f"{OTHER} E")
        for text in ("ff", "fp2:00", ""):
            with pytest.raises(NotFound):
                store.read(partial(error_of, text=text))

    def test_memory_knows_where_an_error_was_and_what_helped(
        self, store: Store, ledger: Ledger, etl: Run, clock: FakeClock
    ) -> None:
        """The notes from the failure to the success come with it, and no others."""
        task = task_of(store, etl, "extract")
        ledger.note(task, "long before")
        clock.advance(1)
        task = fail(ledger, task)
        assert remembered(ledger, task) is None
        ledger.note(task, "the cable was loose")
        clock.advance(1)
        task = ledger.ask(ledger.ask(task.id, Ask("retry")).id, Ask("start"))
        before = remembered(ledger, task)
        assert before is not None
        assert (before.tasks, before.mended) == (["etl:extract"], [])
        ledger.ask(task.id, Ask("complete", summary="plugged it in"), note="took long")
        mended_at = clock.now()
        clock.advance(1)
        ledger.note(task, "long after")
        other = fail(ledger, task_of(store, etl, "transform"))

        memory = remembered(ledger, other)
        assert memory is not None
        assert (memory.error.occurrences, memory.tasks) == (2, ["etl:extract"])
        (mended,) = memory.mended
        assert (mended.task, mended.attempt, mended.at, mended.actor) == ("etl:extract", 2, mended_at, "tester")
        assert mended.notes == ["the cable was loose", "took long", "plugged it in"]

    def test_memory_of_what_was_never_seen_is_nothing(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Nor is there any of a task that begins for the first time."""
        task = ledger.ask(task_of(store, etl, "extract").id, Ask("start"))

        assert store.read(lambda tx: memory_of(tx, ONE)) is None
        assert remembered(ledger, task) is None
        assert remembered(ledger, ledger.ask(task.id, Ask("complete"))) is None
