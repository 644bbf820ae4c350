"""Threads that share commits: who leads, who goes along, and what an interruption leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from types import SimpleNamespace

import apsw
import pytest

from tasktrail.model.errors import StoreError
from tasktrail.store.group_commit import _LARGEST_BATCH, Batch, GroupCommit, Ticket
from tasktrail.store.sqlite import SqliteStore
from tasktrail.store.transaction import Transaction


class Desk:
    """Stands for the store: notes each batch and the thread that leads it, and holds the first until `go`."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.leaders: list[int] = []
        self.inside, self.go = threading.Event(), threading.Event()
        self.group = GroupCommit(self.commit)

    def commit(self, batch: Batch) -> None:
        self.leaders.append(threading.get_ident())
        if not self.batches:
            self.batches.append([])
            self.inside.set()
            assert self.go.wait(60)
            self.batches.pop()
        self.batches.append([])
        for ticket in batch.tickets:
            try:
                ticket.result = ticket.work(None)
            except Exception as error:
                ticket.error = error
            self.batches[-1].append(ticket.result)

    def submit(self, value: object) -> object:
        return self.group.submit(Ticket(lambda _: value, 1.0))

    def await_waiting(self, callers: int) -> None:
        end = time.monotonic() + 60
        while len(self.group._waiting) != callers:
            assert time.monotonic() < end
            time.sleep(0)


def in_order(desk: Desk, threads: ThreadPoolExecutor, values: Sequence[object]) -> list[Future[object]]:
    """Submit one value per thread, each once the one before waits."""
    futures = []
    for value in values:
        futures.append(threads.submit(desk.submit, value))
        desk.await_waiting(len(futures))
    return futures


def test_an_uncontended_caller_commits_on_its_own_thread() -> None:
    desk = Desk()
    desk.go.set()

    assert desk.submit("one") == "one"
    assert desk.submit("two") == "two"
    assert desk.leaders == [threading.get_ident()] * 2
    assert desk.batches == [["one"], ["two"]]


def test_callers_that_come_while_a_commit_runs_share_the_next_in_the_order_they_came() -> None:
    desk = Desk()
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(desk.submit, "first")
        assert desk.inside.wait(60)
        rest = in_order(desk, threads, ["a", "b", "c", "d"])
        desk.go.set()

        assert [future.result(60) for future in (first, *rest)] == ["first", "a", "b", "c", "d"]

    assert desk.batches == [["first"], ["a", "b", "c", "d"]]
    assert desk.leaders[1] != desk.leaders[0], "the first who waits leads, not the one who has its answer already"


def test_whoever_leads_does_the_work_of_each_caller_in_its_own_context() -> None:
    around: ContextVar[str] = ContextVar("around", default="nobody")
    desk = Desk()

    def caller(name: str) -> object:
        around.set(name)
        return desk.group.submit(Ticket(lambda _: around.get(), 1.0))

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(desk.submit, "first")
        assert desk.inside.wait(60)
        rest = [threads.submit(copy_context().run, caller, name) for name in ("a", "b", "c")]
        desk.await_waiting(3)
        desk.go.set()

        assert [future.result(60) for future in (first, *rest)] == ["first", "a", "b", "c"]


def test_a_batch_has_a_largest_size_and_the_rest_goes_with_the_one_after() -> None:
    desk = Desk()
    many = _LARGEST_BATCH + 10
    with ThreadPoolExecutor(many + 1) as threads:
        first = threads.submit(desk.submit, "first")
        assert desk.inside.wait(60)
        rest = [threads.submit(desk.submit, n) for n in range(many)]
        desk.await_waiting(many)
        desk.go.set()

        assert [future.result(60) for future in (first, *rest)] == ["first", *range(many)]

    assert [len(batch) for batch in desk.batches] == [1, _LARGEST_BATCH, 10]


def test_an_error_goes_to_the_caller_whose_it_is() -> None:
    desk = Desk()
    desk.go.set()

    with pytest.raises(ZeroDivisionError):
        desk.group.submit(Ticket(lambda _: 1 // 0, 1.0))

    assert desk.submit("after") == "after"


def test_a_submission_inside_a_submission_is_refused() -> None:
    desk = Desk()
    desk.go.set()

    with pytest.raises(RuntimeError, match="a transaction was asked for inside a transaction of the same thread"):
        desk.group.submit(Ticket(lambda _: desk.submit("inner"), 1.0))

    assert desk.submit("after") == "after"


class Interrupted(BaseException):
    """What a signal's handler raises while a thread waits."""


class InterruptedWake:
    """A ticket's lock whose second acquire is interrupted."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.acquired = 0
        self.interrupt = threading.Event()

    def acquire(self, timeout: float = -1) -> bool:
        self.acquired += 1
        if self.acquired == 1:
            return self.lock.acquire()
        assert self.interrupt.wait(60)
        raise Interrupted

    def release(self) -> None:
        self.lock.release()


def interrupted(
    desk: Desk, wake: InterruptedWake, monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> Future[object]:
    """Let a caller wait on `wake`."""
    with monkeypatch.context() as patch:
        own = SimpleNamespace(Lock=lambda: wake, get_ident=threading.get_ident)
        patch.setattr("tasktrail.store.group_commit.threading", own)
        future = threads.submit(desk.submit, "withdrawn")
        desk.await_waiting(1)
    return future


def test_the_work_of_an_interrupted_caller_is_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, wake = Desk(), InterruptedWake()
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(desk.submit, "first")
        assert desk.inside.wait(60)
        future = interrupted(desk, wake, monkeypatch, threads)
        wake.interrupt.set()
        assert isinstance(future.exception(60), Interrupted)
        rest = in_order(desk, threads, ["a", "b"])
        desk.go.set()
        assert [one.result(60) for one in (first, *rest)] == ["first", "a", "b"]

    assert desk.batches == [["first"], ["a", "b"]]


def test_an_heir_that_is_interrupted_passes_the_lead_on(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, wake = Desk(), InterruptedWake()
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(desk.submit, "first")
        assert desk.inside.wait(60)
        future = interrupted(desk, wake, monkeypatch, threads)
        follower = threads.submit(desk.submit, "follower")
        desk.await_waiting(2)
        desk.go.set()
        assert first.result(60) == "first"
        wake.interrupt.set()

        assert isinstance(future.exception(60), Interrupted)
        assert follower.result(60) == "follower"

    assert desk.submit("after") == "after"
    assert desk.batches == [["first"], ["follower"], ["after"]]


def test_when_the_commit_itself_fails_everybody_is_told_and_nothing_stays() -> None:
    """A database that rolls everything back by itself, as on a full disk, must not hide why."""
    store = SqliteStore(None)
    inside, go = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        inside.set()
        assert go.wait(60)

    def add(tx: Transaction) -> None:
        tx.execute("add_payload", {"hash": threading.current_thread().name, "data": "1", "at": 1})

    def roll_back(tx: Transaction) -> None:
        assert store._writer is not None
        store._writer.execute("ROLLBACK")
        raise apsw.FullError("database or disk is full")

    with ThreadPoolExecutor(4) as threads:
        holder = threads.submit(store.write, hold)
        assert inside.wait(60)
        asked: list[Future[None]] = []
        for work in (add, roll_back, add):
            asked.append(threads.submit(store.write, work))
            end = time.monotonic() + 60
            while len(store._group._waiting) != len(asked):
                assert time.monotonic() < end
                time.sleep(0)
        go.set()
        holder.result(60)
        errors = [one.exception(60) for one in asked]

    assert [type(error) for error in errors] == [StoreError] * 3
    assert ["the disk is full" in str(error) for error in errors] == [True] * 3
    assert store.write(lambda tx: "after") == "after"
