"""What every store must count: which needs are met, which can no longer be, both ways, whatever happens."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, Failure, decide
from tasktrail.model.run import Run
from tasktrail.store.records import Mark
from tasktrail.store.seam import Store
from tasktrail.testing.ledger_machine import LedgerMachine
from tasktrail.testing.stored import MARK, Stored, counters, task_of


class NeedsContract(Stored):
    """Tests of `unmet`, `dead_needs` and `n_unreachable`; part of `StoreContract`."""

    def test_a_failure_makes_dependants_unreachable_and_a_retry_brings_them_back(
        self, store: Store, ledger: Ledger, etl: Run
    ) -> None:
        """Down a chain and back; what needs it only optionally can go on."""
        extract = task_of(store, etl, "extract")
        assert counters(store, etl) == {"extract": (0, 0), "transform": (1, 0), "load": (1, 0), "report": (1, 0)}

        ledger.ask(extract.id, Ask("fail", failure=Failure("OSError", "gone")))
        assert counters(store, etl) == {"extract": (0, 0), "transform": (1, 1), "load": (1, 1), "report": (0, 0)}
        assert store.read(lambda tx: tx.run(etl.id)).n_unreachable == 2

        ledger.ask(extract.id, Ask("retry"))
        assert counters(store, etl) == {"extract": (0, 0), "transform": (1, 0), "load": (1, 0), "report": (1, 0)}
        assert store.read(lambda tx: tx.run(etl.id)).n_unreachable == 0

    def test_reopening_puts_pending_dependants_back_to_waiting(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """A dependant that had started stays as it is."""
        extract = task_of(store, etl, "extract")
        ledger.ask(extract.id, Ask("complete"))
        assert counters(store, etl)["transform"] == (0, 0)

        ledger.ask(extract.id, Ask("reopen"))
        assert counters(store, etl)["transform"] == (1, 0)

    def test_a_skipped_task_meets_needs_except_in_a_matrix(self, store: Store, ledger: Ledger) -> None:
        """The tracker counts completed alone."""
        drafts = (TaskDraft("a"), TaskDraft("b", needs=(Need("a"),)))
        for kind, expected in (("plan", (0, 0)), ("matrix", (1, 1))):
            run = ledger.create_run(RunDraft(kind, "r", "r", drafts))  # type: ignore[arg-type]  # two kinds, as listed
            ledger.ask(task_of(store, run, "a").id, Ask("skip"))
            assert counters(store, run)["b"] == expected

    def test_many_at_once_count_once_per_need(self, store: Store, ledger: Ledger) -> None:
        """A join that needs four tasks which end in one transaction."""
        needs = tuple(Need(f"t{n}", optional=n == 3) for n in range(4))
        run = ledger.create_run(
            RunDraft("dag", "join", "join", (*(TaskDraft(f"t{n}") for n in range(4)), TaskDraft("join", needs=needs)))
        )
        tasks = store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))[:4]

        store.write(lambda tx: tx.apply([(decide(task, Ask("complete"), 5), MARK) for task in tasks[1:]]))
        assert counters(store, run)["join"] == (1, 0)
        store.write(lambda tx: tx.apply([(decide(tasks[0], Ask("complete"), 6), MARK)]))
        assert counters(store, run)["join"] == (0, 0)
        assert verify(store) == []

    def test_a_late_added_task_counts_the_needs_that_are_already_met_or_dead(
        self, store: Store, ledger: Ledger, etl: Run
    ) -> None:
        """It may need what is finished, what failed and what can no longer be reached."""
        ledger.ask(task_of(store, etl, "extract").id, Ask("fail"))
        run = ledger.add_tasks(
            etl.id,
            [
                TaskDraft("needs-failed", needs=(Need("extract"),)),
                TaskDraft("may-need-failed", needs=(Need("extract", True),)),
                TaskDraft("needs-unreachable", needs=(Need("load"),)),
                TaskDraft("may-need-unreachable", needs=(Need("load", True),)),
            ],
        )
        found = list(counters(store, etl).values())[4:]

        assert found == [(1, 1), (0, 0), (1, 1), (0, 0)]
        assert run.n_unreachable == 4
        assert verify(store) == []

    def test_an_answer_counts_needs_as_they_are_now_not_as_they_were_at_the_claim(
        self, store: Store, ledger: Ledger, etl: Run
    ) -> None:
        """While a step ran, what it needs was taken back: given back, it is unreachable, and so are its dependants."""
        extract = task_of(store, etl, "extract")
        ledger.ask(extract.id, Ask("complete"))
        claimed = ledger.ask(task_of(store, etl, "transform").id, Ask("start"))
        ledger.ask(ledger.ask(extract.id, Ask("reopen")).id, Ask("cancel"))

        store.write(lambda tx: tx.apply([(decide(claimed, Ask("release"), 9), Mark("tester", held=True))]))

        assert counters(store, etl) == {"extract": (0, 0), "transform": (1, 1), "load": (1, 1), "report": (0, 0)}
        assert verify(store) == []

    def test_changes_of_one_transaction_may_point_both_ways(self, store: Store, ledger: Ledger, etl: Run) -> None:
        """Taking a run up again retries what failed and reopens what had been left out, in one commit."""
        extract, transform = task_of(store, etl, "extract"), task_of(store, etl, "transform")
        ledger.ask(extract.id, Ask("fail"))
        ledger.ask(transform.id, Ask("skip"))
        extract, transform = task_of(store, etl, "extract"), task_of(store, etl, "transform")
        changes = [decide(extract, Ask("retry"), 9), decide(transform, Ask("reopen"), 9)]

        assert len(store.write(lambda tx: tx.apply([(change, MARK) for change in changes]))) == 2
        assert counters(store, etl) == {"extract": (0, 0), "transform": (1, 0), "load": (1, 0), "report": (1, 0)}
        assert verify(store) == []

    def test_random_verbs_keep_every_counter_true(self, store: Store) -> None:
        """A stateful machine against `model.graph`."""
        few = settings(
            max_examples=self.examples,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            phases=[Phase.generate, Phase.shrink] if self.shrinks else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(lambda: LedgerMachine(store), settings=few)  # type: ignore[arg-type]  # a factory will do
