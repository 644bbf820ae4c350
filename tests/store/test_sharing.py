"""What several workers may do to one run at the same time on a server, and how they notice what they may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import cast

import pytest

from tasktrail.engine.execution import Answer, Joining
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.pooling import FromPool, Share
from tasktrail.engine.steps import Step
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.store.postgres import PostgresStore
from tasktrail.store.transaction import Transaction
from tasktrail.testing.stored import task_of
from tests.postgres import Server

KEYS = ("a", "b", "c", "d", "e")
MOST = 3


class Worker:
    """Somebody who takes one task at a time of the run, and may be asked to wait while others do something."""

    def __init__(self, url: str) -> None:
        self.store = PostgresStore(url, busy_s=5)
        self.ledger = Ledger(self.store, actor="tester")
        self.meanwhile: list[Callable[[], object]] = []
        """What others do between its answer and its look for more."""
        self.afterwards: list[Callable[[], object]] = []
        """What they do between that look and its commit."""

    def join(self, run: Run) -> None:
        """Claim a first task, and know the run from then on."""
        self.run = run
        self._joining = Joining(self.ledger, run.id)
        self._joining.most = MOST
        plan = Plan(cast("dict[str, Step]", dict.fromkeys((*KEYS, "last", "late"))), max_parallel=MOST)
        self._picker = FromPool(self.ledger, run, plan, Share(["q"], (), 1))
        (self.claim,) = self._joining.begin(self._pick).claims

    def go_on(self, ask: Ask | None = None) -> list[str]:
        """Hand in the task and return the keys of what is claimed next."""
        turn = self._joining.advance([Answer(self.claim, ask or Ask("complete"))], self._pick)
        return [claim.task.key for claim in turn.claims]

    def _pick(self, tx: Transaction) -> list[Task]:
        _do_all(self.meanwhile)
        picked = self._picker.pick(tx, 0)
        _do_all(self.afterwards)
        return picked


def _do_all(todo: list[Callable[[], object]]) -> None:
    while todo:
        todo.pop()()


@pytest.fixture
def workers(server: Server) -> Iterator[tuple[Worker, Worker]]:
    """Two of them, each with a task of a run of six, the last of which needs the first; what they leave is sound."""
    with server.schema() as url:
        one, other = Worker(url), Worker(url)
        with closing(one.store), closing(other.store):
            drafts = tuple(TaskDraft(key, queue="q", critical=False) for key in KEYS)
            drafts += (TaskDraft("last", queue="q", needs=(Need("a"),)),)
            run = one.ledger.create_run(RunDraft("dag", "r", "r", drafts))
            one.join(run)
            other.join(run)
            yield one, other
            assert verify(one.store) == []


def test_one_commits_while_the_other_is_at_it(workers: tuple[Worker, Worker]) -> None:
    """Neither waits for the other, and neither takes what the other is about to start."""
    one, other = workers
    taken: list[str] = []
    one.afterwards.append(lambda: taken.extend(other.go_on()))

    assert one.go_on() == ["c"]
    assert taken == ["d"]


def test_nothing_is_started_in_a_run_that_was_paused_meanwhile(workers: tuple[Worker, Worker]) -> None:
    """Not even what was found before."""
    one, other = workers
    one.afterwards.append(lambda: other.store.write(lambda tx: tx.set_run(one.run.id, paused=1)))

    assert one.go_on() == []


def test_no_more_run_than_may(workers: tuple[Worker, Worker]) -> None:
    """Three may: the other's one, and two that somebody starts just now."""
    one, other = workers
    for key in ("c", "d"):
        task = task_of(one.store, one.run, key)
        one.meanwhile.append(lambda task=task: other.ledger.ask(task.id, Ask("start")))  # type: ignore[misc]

    assert one.go_on() == []


def test_who_needs_what_is_just_done_does_not_wait_for_it(workers: tuple[Worker, Worker]) -> None:
    """Somebody adds a task that needs it after it was handed in, before that is committed."""
    one, other = workers
    late = TaskDraft("late", needs=(Need("a"),))
    one.meanwhile.append(lambda: other.ledger.add_tasks(one.run.id, [late]))

    one.go_on()

    assert task_of(one.store, one.run, "late").unmet == 0


def test_what_fails_is_handed_in_alone(workers: tuple[Worker, Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can be reached no more by that follows from what all others did."""
    one, _ = workers
    write, shared = Transaction._write_shifts, list[bool]()

    def writing(tx: Transaction, shifts: dict[int, list[int]]) -> None:
        if shifts:
            shared.append(bool(tx._shared))
        write(tx, shifts)

    monkeypatch.setattr(Transaction, "_write_shifts", writing)
    one.go_on(Ask("fail", failure=Failure("ValueError", "for good")))

    assert shared == [False]
    assert one.store.read(lambda tx: tx.run(one.run.id)).n_unreachable == 1
